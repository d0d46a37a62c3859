namespace ImageAccess.Proxy.Foundation.Files;

/// <summary>Rows of text as RFC 4180 has them. A cell that a spreadsheet would run as a formula begins with an apostrophe.</summary>
internal static class Csv
{
    public static async Task WriteAsync(TextWriter output, IEnumerable<string[]> rows)
    {
        foreach (var row in rows)
            await output.WriteAsync(LineOf(row));
    }

    /// <summary>A row, with its end of line.</summary>
    public static string LineOf(string[] row) => string.Join(',', row.Select(Cell)) + "\r\n";

    private static string Cell(string text)
    {
        if (text is ['=' or '+' or '-' or '@' or '\t' or '\r', ..])
            text = "'" + text;
        return text.AsSpan().ContainsAny("\",\r\n") ? $"\"{text.Replace("\"", "\"\"", StringComparison.Ordinal)}\"" : text;
    }
}
