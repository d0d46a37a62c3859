namespace ImageAccess.EndToEnd.Tests.Clients;

/// <summary>Podman and Buildah, which share a store and its configuration: <c>registries.conf</c> names the mirror.</summary>
internal sealed class Podman : IClient
{
    private readonly Cell _cell;
    private readonly string _program;

    private Podman(Cell cell, string program)
    {
        _cell = cell;
        _program = program;
    }

    public static Podman Of(Cell cell, string registries) => new(Registries.Written(cell, registries), "podman");

    public static Podman Buildah(Cell cell, string registries) => new(Registries.Written(cell, registries), "buildah");

    public Task<Outcome> RunAsync(params IReadOnlyList<string> arguments) => RunWithInputAsync("", arguments);

    public Task<Outcome> PullAsync(string image) =>
        RunAsync(["pull", "--signature-policy", _cell.PathOf(Registries.SignaturePolicy), .. Registries.TlsOf(image), Image.Full(image)]);

    public async Task<string> IdentityAsync(string image) =>
        (await RunAsync("inspect", "--format", _program == "podman" ? "{{.Id}} {{.RootFS.Layers}}" : "{{.FromImageID}}", "--type", "image", Image.Full(image)))
        .Succeeded().Text.Trim();

    public async Task<bool> HasAsync(string image) =>
        (await RunAsync("inspect", "--type", "image", Image.Full(image))).ExitCode == 0;

    public async Task RemoveAsync(string image) => (await RunAsync("rmi", "--force", Image.Full(image))).Succeeded();

    public Task<Outcome> LoginAsync(string user, string password, string host) =>
        RunWithInputAsync(password, ["login", .. Registries.TlsOf($"{host}/x"), "--username", user, "--password-stdin", host]);

    public Task<Outcome> PushAsync(string image, string destination) =>
        RunAsync(["push", "--signature-policy", _cell.PathOf(Registries.SignaturePolicy), .. Registries.TlsOf(destination), Image.Full(image), $"docker://{Image.Full(destination)}"]);

    /// <summary>Builds a Dockerfile of FROM and COPY; the context has a file <c>file</c> in it.</summary>
    public Task<Outcome> BuildAsync(string tag, string dockerfile)
    {
        _cell.Write("context/file", "a file of the build context\n");
        _cell.Write("context/Dockerfile", dockerfile);
        return RunAsync(
            "build", "--isolation", "chroot", "--signature-policy", _cell.PathOf(Registries.SignaturePolicy), "--tag", tag, _cell.PathOf("context"));
    }

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    private Task<Outcome> RunWithInputAsync(string input, IReadOnlyList<string> arguments)
    {
        string[] store = ["--root", _cell.PathOf("root"), "--runroot", _cell.PathOf("state"), "--storage-driver", "vfs"];
        string[] engine = _program == "podman" ? ["--cgroup-manager", "cgroupfs", "--events-backend", "none", "--tmpdir", _cell.PathOf("engine")] : [];
        return _cell.RunWithInputAsync(input, [_program, .. store, .. engine, .. arguments]);
    }
}

/// <summary>What podman, buildah and skopeo read alike.</summary>
internal static class Registries
{
    public const string SignaturePolicy = "policy.json";

    public const string Configuration = "registries.conf";

    /// <summary>A <c>registries.conf</c> that names a mirror before Docker Hub.</summary>
    public static string Of(Uri mirror) => $"""
        unqualified-search-registries = ["docker.io"]
        [[registry]]
        prefix = "docker.io"
        location = "docker.io"
        [[registry.mirror]]
        location = "{mirror.Authority}"
        insecure = true
        [[registry]]
        location = "{mirror.Authority}"
        insecure = true

        """;

    public static Cell Written(Cell cell, string registries)
    {
        cell.Write(SignaturePolicy, """{ "default": [ { "type": "insecureAcceptAnything" } ] }""");
        cell.Set("CONTAINERS_REGISTRIES_CONF", cell.Write(Configuration, registries));
        cell.Set("PODMAN_IGNORE_CGROUPSV1_WARNING", "1");
        cell.Set("REGISTRY_AUTH_FILE", cell.Write("auth.json", "{}"));
        return cell;
    }

    public static string[] TlsOf(string image) =>
        Image.Full(image).StartsWith("docker.io/", StringComparison.Ordinal) ? [] : ["--tls-verify=false"];
}
