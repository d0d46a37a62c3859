using System.Text.Json;

namespace ImageAccess.Proxy.Tools.Engines.Docker;

/// <summary>What dockerd is told: by <c>daemon.json</c>, by its command line, by the variables that systemd gives it.</summary>
internal static class DockerReader
{
    private static readonly JsonDocumentOptions Lenient = new() { CommentHandling = JsonCommentHandling.Skip, AllowTrailingCommas = true };

    public static IEnumerable<EngineConfiguration> Read(ConfigurationFiles files)
    {
        var daemons = files.CommandLines().Where(line => Path.GetFileName(line[0]) == "dockerd").ToList();
        string[] places =
        [
            .. files.PathsOf(DockerEngine.Daemon),
            .. files.PathsOf(DockerEngine.RootlessDaemon),
            .. daemons.SelectMany(line => ValuesOf(line, "--config-file")),
        ];
        return places.Distinct().Select(place => ReadDaemon(files, place))
            .Concat(daemons.Select(line => Describe(
                files, "the command line of dockerd", ValuesOf(line, "--registry-mirror"), ValuesOf(line, "--insecure-registry"), [.. ValuesOf(line, "--https-proxy"), .. ValuesOf(line, "--http-proxy")])))
            .Concat(files.PathsOf(DockerEngine.Unit.DropIns).Select(file => Describe(files, file, [], [], SystemdUnit.Proxies(files.Read(file) ?? ""))))
            .OfType<EngineConfiguration>();
    }

    private static EngineConfiguration? ReadDaemon(ConfigurationFiles files, string file)
    {
        if (files.Read(file) is not { } text)
            return null;
        try
        {
            using var json = JsonDocument.Parse(text, Lenient);
            if (json.RootElement.ValueKind != JsonValueKind.Object)
                throw new JsonException("is no object");
            var proxies = json.RootElement.TryGetProperty("proxies", out var map) && map.ValueKind == JsonValueKind.Object
                ? map.EnumerateObject().Where(member => member.Name is "https-proxy" or "http-proxy").Select(member => Text(member.Value))
                : [];
            return Describe(files, file, Texts(json.RootElement, "registry-mirrors"), Texts(json.RootElement, "insecure-registries"), [.. proxies.OfType<string>()]);
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            files.Remark(file, $"is not valid JSON: {exception.Message}");
            return null;
        }

        static string? Text(JsonElement value) => value.ValueKind == JsonValueKind.String ? value.GetString() : null;

        static IReadOnlyList<string> Texts(JsonElement json, string name) =>
            json.TryGetProperty(name, out var list) && list.ValueKind == JsonValueKind.Array ? [.. list.EnumerateArray().Select(Text).OfType<string>()] : [];
    }

    private static EngineConfiguration? Describe(
        ConfigurationFiles files, string file, IReadOnlyList<string> mirrorTexts, IReadOnlyList<string> insecure, IReadOnlyList<string> proxyTexts)
    {
        var mirrors = files.MirrorsIn(file, "a mirror", mirrorTexts);
        var proxies = files.ProxiesIn(file, proxyTexts);
        return mirrors.Count + proxies.Count == 0 ? null : new EngineConfiguration
        {
            Engine = "docker",
            File = file,
            Mirrors = mirrors,
            Proxies = proxies,
            Fallback = mirrors.Count == 0 ? null
                : new Fallback(IsToDockerHub: true, "registry-mirrors always falls back to Docker Hub when no mirror serves; push, manifest inspect and buildx imagetools always go there" + BuildsPast(mirrors, insecure)),
        };
    }

    /// <summary>
    /// Which builds go to Docker Hub while the mirror serves. Until Docker 28 the builder in dockerd speaks TLS to every mirror beyond
    /// loopback, unless <c>insecure-registries</c> has it with <c>http://</c>; most versions read it without, too.
    /// </summary>
    private static string BuildsPast(IReadOnlyList<MirrorAddress> mirrors, IReadOnlyList<string> insecure)
    {
        var plain = mirrors.Select(mirror => mirror.Registry.Origin)
            .FirstOrDefault(origin => origin is { Scheme: "http", IsLoopback: false } && !insecure.Contains($"http://{origin.Authority}"));
        if (plain is null)
            return "";
        var (versions, address) = (insecure.Contains(plain.Authority) ? "Docker 20.10" : "Docker before 28", $"http://{plain.Authority}");
        return $"; builds of {versions} with BuildKit go there at once, because they speak TLS to {address}: give it https, or write {address} into insecure-registries";
    }

    /// <summary><c>--name VALUE</c> and <c>--name=VALUE</c>.</summary>
    private static List<string> ValuesOf(string[] line, string name)
    {
        var values = line.Where(word => word.StartsWith($"{name}=", StringComparison.Ordinal)).Select(word => word[(name.Length + 1)..]).ToList();
        for (var i = 0; i + 1 < line.Length; i++)
        {
            if (line[i] == name)
                values.Add(line[i + 1]);
        }

        return values;
    }
}
