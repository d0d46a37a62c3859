namespace ImageAccess.Proxy.Foundation.Files;

/// <summary>What the content of a document comes to: a value, or every problem of it.</summary>
internal delegate T? DocumentParser<out T>(ReadOnlyMemory<byte> content, out IReadOnlyList<string> problems)
    where T : class;

/// <summary>A reading of a document and what was made of it: a value, or the cause why there is none.</summary>
internal sealed class ParsedFile<T> : IFileContent
    where T : class
{
    /// <summary>A log has room for so many; <c>imageaccess policy validate</c> names all.</summary>
    private const int MaximumProblems = 20;

    public ParsedFile(FileReading reading, DocumentParser<T> parse)
    {
        IsMissing = reading.IsMissing;
        Flaw = reading.Failure;
        if (reading.Bytes is not { } bytes)
            return;

        Value = parse(bytes, out var problems);
        if (Value is not null)
        {
            (Bytes, Flaw) = (bytes.ToArray(), null);
            return;
        }

        var first = PrintableText.Of(problems[0]);
        Flaw = problems.Count == 1 ? $"is refused: {first}" : $"is refused: {first} (and {problems.Count - 1} more)";
        Problems = [.. problems.Take(MaximumProblems).Select(PrintableText.Of)];
        if (problems.Count > MaximumProblems)
            Problems = [.. Problems, $"and {problems.Count - MaximumProblems} more"];
    }

    public T? Value { get; }

    /// <summary>The content of a good document, to be kept.</summary>
    public byte[]? Bytes { get; }

    /// <inheritdoc/>
    public string? Flaw { get; }

    /// <summary>There is no such file.</summary>
    public bool IsMissing { get; }

    /// <summary>What is wrong with the document, each fit for a line of a log; empty where it could not even be read.</summary>
    public IReadOnlyList<string> Problems { get; } = [];
}
