using System.Text;

namespace ImageAccess.Proxy.Tests;

/// <summary>What a directory of a running program holds. A file may go at any moment: SQLite removes the companions of a database with its last connection.</summary>
internal static class FilesThere
{
    public static IEnumerable<string> TextsOf(string directory) => Of(directory).Select(file => Encoding.UTF8.GetString(file.Content));

    public static IEnumerable<(string Path, byte[] Content)> Of(string directory)
    {
        foreach (var path in Directory.GetFiles(directory, "*", SearchOption.AllDirectories))
        {
            if (Read(path) is { } content)
                yield return (path, content);
        }
    }

    private static byte[]? Read(string path)
    {
        try
        {
            using var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
            using var bytes = new MemoryStream();
            stream.CopyTo(bytes);
            return bytes.ToArray();
        }
        catch (FileNotFoundException)
        {
            return null;
        }
    }
}
