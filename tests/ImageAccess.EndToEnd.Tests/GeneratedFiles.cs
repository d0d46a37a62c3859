using System.Diagnostics;
using System.Text.Json;

namespace ImageAccess.EndToEnd.Tests;

/// <summary>What <c>imageaccess clients</c> writes for a client of a proxy at some address.</summary>
internal sealed class GeneratedFiles
{
    private readonly JsonElement _facts;

    private GeneratedFiles(string folder, JsonElement facts)
    {
        Folder = folder;
        _facts = facts;
    }

    public string Folder { get; }

    /// <summary>What is to be run when the files are there, but for daemons.</summary>
    public IEnumerable<string> Commands =>
        _facts.GetProperty("commands").EnumerateArray().Select(command => command.GetProperty("run").GetString()!)
            .Where(command => !command.Contains("systemctl", StringComparison.Ordinal));

    /// <param name="folder">Where the tree is to be.</param>
    /// <param name="publicUrl">How clients reach the mirror, or none.</param>
    /// <param name="arguments">CLIENT, <c>--mode</c> and what else the verb needs.</param>
    public static async Task<GeneratedFiles> WriteAsync(string folder, string? publicUrl, params IReadOnlyList<string> arguments)
    {
        var start = new ProcessStartInfo("dotnet");
        foreach (var argument in (IEnumerable<string>)[ProxyUnderTest.Assembly(), "clients", .. arguments, "--json", "--write", folder])
            start.ArgumentList.Add(argument);
        if (publicUrl is not null) start.Environment["IMAGEACCESS_PublicUrl"] = publicUrl;
        var written = (await Running.ToEndAsync(start, "imageaccess clients", "", TimeSpan.FromSeconds(60))).Succeeded();
        return new GeneratedFiles(folder, JsonSerializer.Deserialize<JsonElement>(written.Text));
    }

    /// <summary>A file by its path on the client.</summary>
    public string Read(string path) => File.ReadAllText(PathOf(path));

    /// <summary>A file that is printed for other cases and not written.</summary>
    /// <param name="when">The words in which the case is described, or some of them.</param>
    public string Alternative(string path, string when = "") => _facts.GetProperty("alternatives").EnumerateArray()
        .Single(file => file.GetProperty("path").GetString() == path && file.GetProperty("when").GetString()!.Contains(when, StringComparison.Ordinal))
        .GetProperty("content").GetString()!;

    public string PathOf(string path) => Path.Combine(Folder, path.TrimStart('/'));
}
