namespace ImageAccess.Proxy.Tests;

/// <summary>What a directory of a running program holds. A file may go at any moment: SQLite removes the companions of a database with its last connection.</summary>
internal static class FilesThere
{
    public static IEnumerable<string> TextsOf(string directory)
    {
        foreach (var file in Directory.GetFiles(directory, "*", SearchOption.AllDirectories))
        {
            string text;
            try
            {
                text = File.ReadAllText(file);
            }
            catch (FileNotFoundException)
            {
                continue;
            }

            yield return text;
        }
    }
}
