using ImageAccess.Proxy.Tools.Scanning;
using Tomlyn;
using Tomlyn.Model;

namespace ImageAccess.Proxy.Tools.Engines;

/// <summary>The configuration files of a machine, and what was wrong with those that could not be read.</summary>
/// <param name="root">Where the file system of the machine begins.</param>
/// <param name="home">The user's home folder, as the machine names it.</param>
internal sealed class ConfigurationFiles(string root, string home)
{
    private readonly List<string> _remarks = [];

    public IReadOnlyList<string> Remarks => _remarks;

    /// <summary>The paths of a file of an engine on this machine. Of a folder's files, those that are there, in the order in which programs read them.</summary>
    public IReadOnlyList<string> PathsOf(EngineFile file)
    {
        var path = file.Path.StartsWith("~/", StringComparison.Ordinal) ? $"{home.TrimEnd('/')}{file.Path[1..]}" : file.Path;
        var star = path.IndexOf('*', StringComparison.Ordinal);
        return star < 0 ? [path] : List(path[..(star - 1)], path[star..]);
    }

    public bool IsFolder(string path) => Directory.Exists(Place(path));

    /// <summary>The text of a file; null when it is not there. A file that cannot be read is null too, and remarked.</summary>
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

    private IReadOnlyList<string> List(string folder, string pattern)
    {
        try
        {
            return [.. Directory.EnumerateFiles(Place(folder), pattern).Select(file => $"{folder}/{Path.GetFileName(file)}").Order(StringComparer.Ordinal)];
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

    /// <summary>The mirrors that a file names. One that cannot be read is remarked.</summary>
    /// <param name="file">The file.</param>
    /// <param name="what">As the file calls one: <c>a mirror</c>.</param>
    /// <param name="texts">As they stand there.</param>
    public IReadOnlyList<MirrorAddress> MirrorsIn(string file, string what, IEnumerable<string> texts)
    {
        var mirrors = new List<MirrorAddress>();
        foreach (var text in texts)
        {
            if (MirrorAddress.TryParseUrl(text, isWholePath: false, out var mirror))
                mirrors.Add(mirror);
            else
                Remark(file, $"names {what} that is no address");
        }

        return mirrors;
    }

    /// <summary>The forward proxies that a file names. One that cannot be read is remarked.</summary>
    public IReadOnlyList<ProxyAddress> ProxiesIn(string file, IEnumerable<string> texts)
    {
        var proxies = new List<ProxyAddress>();
        foreach (var text in texts.Where(text => text.Length > 0))
        {
            if (ProxyAddress.TryParse(text, file, out var proxy))
                proxies.Add(proxy);
            else
                Remark(file, "names a proxy that is no http or https address; it was not tried");
        }

        return proxies;
    }

    public void Remark(string path, string problem) => _remarks.Add($"{path} {problem}");

    private string Place(string path) => Path.Combine(root, path.TrimStart('/'));
}

/// <summary>Values of a TOML table by their kind. A value of another kind counts as absent.</summary>
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
