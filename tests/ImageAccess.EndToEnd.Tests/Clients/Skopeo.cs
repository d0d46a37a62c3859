namespace ImageAccess.EndToEnd.Tests.Clients;

/// <summary>Skopeo copies an image into a folder, byte for byte.</summary>
internal sealed class Skopeo : IClient
{
    private readonly Cell _cell;

    private Skopeo(Cell cell) => _cell = cell;

    public static Skopeo Of(Cell cell, string registries) => new(Registries.Written(cell, registries));

    public Task<Outcome> PullAsync(string image)
    {
        string[] tls = Registries.TlsOf(image).Length > 0 ? ["--src-tls-verify=false"] : [];
        return RunAsync(["copy", .. tls, $"docker://{Image.Full(image)}", $"dir:{FolderOf(image)}"]);
    }

    public Task<Outcome> LoginAsync(string user, string password, string host) =>
        _cell.RunWithInputAsync(password, ["skopeo", "login", .. Registries.TlsOf($"{host}/x"), "--username", user, "--password-stdin", host]);

    public Task<Outcome> CopyToAsync(string image, string destination, params IReadOnlyList<string> options) =>
        RunAsync([
            "copy", .. Registries.TlsOf(destination).Length > 0 ? ["--dest-tls-verify=false"] : Array.Empty<string>(), .. options,
            $"dir:{FolderOf(image)}", $"docker://{Image.Full(destination)}"]);

    /// <summary>Every file of the image with its bytes.</summary>
    public async Task<string> IdentityAsync(string image)
    {
        var files = new List<string>();
        foreach (var file in Directory.EnumerateFiles(FolderOf(image)).Order(StringComparer.Ordinal))
            files.Add($"{Path.GetFileName(file)} {Convert.ToHexString(await File.ReadAllBytesAsync(file))}");
        return string.Join('\n', files);
    }

    public Task<bool> HasAsync(string image) => Task.FromResult(File.Exists(Path.Combine(FolderOf(image), "manifest.json")));

    public Task RemoveAsync(string image)
    {
        Directory.Delete(FolderOf(image), recursive: true);
        return Task.CompletedTask;
    }

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    public Task<Outcome> RunAsync(params IReadOnlyList<string> arguments) =>
        _cell.RunAsync([
            "skopeo", "--policy", _cell.PathOf(Registries.SignaturePolicy), "--registries-conf", _cell.PathOf(Registries.Configuration), .. arguments]);

    private string FolderOf(string image) =>
        Directory.CreateDirectory(_cell.PathOf(Path.Combine("images", Image.Full(image).Replace('/', '_').Replace(':', '_').Replace('@', '_')))).FullName;
}
