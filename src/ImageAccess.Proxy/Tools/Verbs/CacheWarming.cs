using System.Globalization;
using System.Net;
using System.Text.Json;
using ImageAccess.Core.Oci;
using ImageAccess.Proxy.Foundation.Configuration;

namespace ImageAccess.Proxy.Tools.Verbs;

/// <summary>
/// <c>imageaccess cache warm IMAGE…</c>: pulls images through the running proxy as an anonymous client, and discards them. The proxy keeps
/// what the policy allows, as it does for every other client.
/// </summary>
internal sealed class CacheWarming(Uri mirror, string? platform, TimeProvider time, ProgressLine progress) : IDisposable
{
    private const string Types =
        "application/vnd.oci.image.index.v1+json, application/vnd.docker.distribution.manifest.list.v2+json, "
        + "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json";

    private readonly HttpClient _client = new(new SocketsHttpHandler { UseProxy = false, UseCookies = false, AllowAutoRedirect = false, ConnectTimeout = TimeSpan.FromSeconds(5) })
    {
        BaseAddress = mirror,
        Timeout = Timeout.InfiniteTimeSpan,
        MaxResponseContentBufferSize = ManifestRequest.MaximumSize,
        DefaultRequestHeaders = { { "User-Agent", "imageaccess" } },
    };

    private readonly HashSet<string> _done = new(StringComparer.Ordinal);
    private readonly long _started = time.GetTimestamp();
    private long _bytes;
    private long _known;

    /// <summary>The mirror listener of the proxy that runs with this configuration.</summary>
    /// <exception cref="MisuseException">The configuration does not say where.</exception>
    public static Uri MirrorOf(IConfiguration configuration)
    {
        if (configuration["PublicUrl"] is { } url && Uri.TryCreate(url, UriKind.Absolute, out var address))
            return address;
        var listener = ListenAddress.Parse(configuration["Listen:Mirror"]!);
        if (listener.Port == 0 || listener.IsTls)
            throw new MisuseException("--mirror: Listen:Mirror does not say how the mirror is reached; name it, as http://127.0.0.1:5000");
        return new UriBuilder("http", listener.Host is { } host && !host.Equals(IPAddress.Any) ? host.ToString() : "127.0.0.1", listener.Port).Uri;
    }

    /// <summary>Pulls an image and tells the outcome.</summary>
    /// <exception cref="MisuseException">The proxy does not answer.</exception>
    public async Task<(bool IsKept, string Text)> WarmAsync(ImageName image, CancellationToken cancellationToken)
    {
        try
        {
            var repository = image.Repository!.Value;
            var token = await TokenAsync(repository, cancellationToken);
            var before = _bytes;
            await PullAsync(repository, image.Digest?.Value ?? image.Tag?.Value ?? "latest", token, cancellationToken);
            return (true, $"{CacheCommands.Size(_bytes - before)}");
        }
        catch (RefusedException refusal)
        {
            return (false, refusal.Message);
        }
        catch (Exception exception) when (exception is HttpRequestException or IOException or JsonException or KeyNotFoundException or InvalidOperationException)
        {
            return exception is HttpRequestException { HttpRequestError: HttpRequestError.ConnectionError }
                ? throw new MisuseException($"the proxy at {mirror.GetLeftPart(UriPartial.Authority)} does not answer ({exception.GetBaseException().Message}); start it")
                : (false, "what came is no image, or broke off");
        }
    }

    public void Dispose() => _client.Dispose();

    private async Task<string> TokenAsync(string repository, CancellationToken cancellationToken)
    {
        using var answer = await GetAsync($"/token?service=registry.docker.io&scope=repository:{repository}:pull", null, cancellationToken);
        var json = await answer.Content.ReadFromJsonAsync<JsonElement>(cancellationToken);
        return json.GetProperty("token").GetString() ?? throw new RefusedException("the token service gave no token");
    }

    /// <summary>Pulls a manifest and everything that it names: the images of an index, the configuration and layers of an image.</summary>
    private async Task PullAsync(string repository, string reference, string token, CancellationToken cancellationToken)
    {
        JsonElement manifest;
        using (var answer = await GetAsync($"/v2/{repository}/manifests/{reference}", token, cancellationToken))
        {
            await answer.Content.LoadIntoBufferAsync(ManifestRequest.MaximumSize, cancellationToken);
            manifest = await answer.Content.ReadFromJsonAsync<JsonElement>(cancellationToken);
        }

        if (manifest.TryGetProperty("manifests", out var children))
        {
            foreach (var child in children.EnumerateArray().Where(IsWanted))
                await PullAsync(repository, Text(child, "digest"), token, cancellationToken);
            return;
        }

        var blobs = manifest.GetProperty("layers").EnumerateArray().Append(manifest.GetProperty("config"))
            .Where(blob => _done.Add(repository + Text(blob, "digest"))).ToList();
        _known += blobs.Sum(blob => blob.GetProperty("size").GetInt64());
        foreach (var blob in blobs)
            await DownloadAsync(repository, Text(blob, "digest"), token, cancellationToken);
    }

    private bool IsWanted(JsonElement child) => platform is null
        || (child.TryGetProperty("platform", out var of) && $"{Text(of, "os")}/{Text(of, "architecture")}" == platform);

    private async Task DownloadAsync(string repository, string digest, string token, CancellationToken cancellationToken)
    {
        using var answer = await GetAsync($"/v2/{repository}/blobs/{digest}", token, cancellationToken);
        await using var body = await answer.Content.ReadAsStreamAsync(cancellationToken);
        var buffer = new byte[64 * 1024];
        while (await body.ReadAsync(buffer, cancellationToken) is > 0 and var count)
        {
            _bytes += count;
            var left = time.GetElapsedTime(_started) * ((double)Math.Max(0, _known - _bytes) / _bytes);
            progress.Report($"{CacheCommands.Size(_bytes)} of {CacheCommands.Size(_known)} known so far, {left.TotalSeconds:0} s to go");
        }
    }

    private async Task<HttpResponseMessage> GetAsync(string target, string? token, CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, target);
        request.Headers.Add("Accept", Types);
        if (token is not null)
            request.Headers.Authorization = new("Bearer", token);
        var answer = await _client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellationToken);
        if (answer.StatusCode == HttpStatusCode.OK)
            return answer;
        using (answer)
            throw new RefusedException(answer.StatusCode == HttpStatusCode.Unauthorized ? "there is none, or it is private" : TextTable.Plain(string.Create(CultureInfo.InvariantCulture, $"{(int)answer.StatusCode} {answer.ReasonPhrase}")));
    }

    private static string Text(JsonElement json, string name) => json.GetProperty(name).GetString() ?? "";

    private sealed class RefusedException(string message) : Exception(message);
}
