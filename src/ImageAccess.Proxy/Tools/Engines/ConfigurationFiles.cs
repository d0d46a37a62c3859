using ImageAccess.Proxy.Tools.Scanning;
using Tomlyn;
using Tomlyn.Model;

namespace ImageAccess.Proxy.Tools.Engines;

/// <summary>The configuration files of a machine, and what was wrong with those that could not be read.</summary>
/// <param name="root">Where the file system of the machine begins.</param>
/// <param name="home">The home folder of who asks, as the machine names it.</param>
internal sealed class ConfigurationFiles(string root, string home)
{
    private readonly List<string> _remarks = [];

    public IReadOnlyList<string> Remarks => _remarks;

    /// <summary>A file below the home folder.</summary>
    public string InHome(string file) => $"{home.TrimEnd('/')}/{file}";

    public bool IsFolder(string path) => Directory.Exists(Place(path));

    /// <summary>The text of a file; null where there is none, or none that can be read, which is remarked.</summary>
    public string? Read(string path)
    {
        try
        {
            using var file = new FileStream(Place(path), FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
            return SourceText.Read(file);
        }
        catch (Exception exception) when (exception is FileNotFoundException or DirectoryNotFoundException)
        {
            return null;
        }
        catch (UnauthorizedAccessException)
        {
            Remark(path, "may not be read by this user: what it says was not looked at");
            return null;
        }
        catch (Exception exception) when (exception is IOException or UnreadableFileException)
        {
            Remark(path, exception is IOException ? $"cannot be read: {exception.Message}" : exception.Message);
            return null;
        }
    }

    public TomlTable? ReadToml(string path)
    {
        if (Read(path) is not { } text)
            return null;
        try
        {
            return TomlSerializer.Deserialize<TomlTable>(text);
        }
        catch (TomlException exception)
        {
            Remark(path, $"is not valid TOML: {exception.Message.Split('\n')[0]}");
            return null;
        }
    }

    /// <summary>The files of a folder with an ending, in the order in which programs read them.</summary>
    public IReadOnlyList<string> List(string folder, string ending)
    {
        try
        {
            return [.. Directory.EnumerateFiles(Place(folder), $"*{ending}").Select(file => $"{folder}/{Path.GetFileName(file)}").Order(StringComparer.Ordinal)];
        }
        catch (DirectoryNotFoundException)
        {
            return [];
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            Remark(folder, "may not be read by this user: what it says was not looked at");
            return [];
        }
    }

    /// <summary>The command lines of programs that run, where this user may see them.</summary>
    public IEnumerable<string[]> CommandLines()
    {
        if (!Directory.Exists(Place("/proc")))
            yield break;
        foreach (var process in Directory.EnumerateDirectories(Place("/proc")).Where(folder => Path.GetFileName(folder).All(char.IsAsciiDigit)))
        {
            string text;
            try
            {
                text = File.ReadAllText(Path.Combine(process, "cmdline"));
            }
            catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
            {
                continue; // it has ended, or is not ours to see
            }

            yield return text.Split('\0');
        }
    }

    public void Remark(string path, string problem) => _remarks.Add($"{path} {problem}");

    private string Place(string path) => Path.Combine(root, path.TrimStart('/'));
}

/// <summary>Values of a TOML table by their kind; what is of another kind is not there.</summary>
internal static class TomlValues
{
    public static TomlTable? Table(this TomlTable table, string key) => Find(table, key) as TomlTable;

    public static string? Text(this TomlTable table, string key) => Find(table, key) as string;

    public static bool IsTrue(this TomlTable table, string key) => Find(table, key) is true;

    /// <summary><c>[[key]]</c>, or a list of inline tables.</summary>
    public static IEnumerable<TomlTable> Tables(this TomlTable table, string key) => Find(table, key) switch
    {
        TomlTableArray tables => tables,
        TomlArray list => list.OfType<TomlTable>(),
        _ => [],
    };

    public static IEnumerable<string> Texts(this TomlTable table, string key) => Find(table, key) is TomlArray list ? list.OfType<string>() : [];

    private static object? Find(TomlTable table, string key) => table.TryGetValue(key, out var value) ? value : null;
}
