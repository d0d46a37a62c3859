using System.Collections.Concurrent;
using System.Net;
using System.Net.Http.Headers;
using System.Text.Json;

namespace ImageAccess.FakeHubs;

/// <summary>
/// Answers registry requests from a real registry. What is Docker Hub's stays here: tokens, limits, the redirect of blobs,
/// and the host in <c>Location</c>.
/// </summary>
internal sealed class BackendContent(FakeHub hub, CdnLinks links, Uri backend) : IRegistryContent, IDisposable
{
    private static readonly string[] RequestHeadersToDrop =
        ["Accept", "Authorization", "Host", "Connection", "Transfer-Encoding", "Content-Length"];
    private static readonly string[] ResponseHeadersToDrop = ["Connection", "Transfer-Encoding", "Date", "Location"];
    private readonly ConcurrentDictionary<string, string> _repositoryOfBlob = new(StringComparer.Ordinal);
    private readonly HttpMessageInvoker _registry = new(new SocketsHttpHandler
    {
        AllowAutoRedirect = false,
        UseProxy = false,
        UseCookies = false,
        ActivityHeadersPropagator = null,
    });

    public async ValueTask<bool> HasRepositoryAsync(string repository, CancellationToken cancel)
    {
        if (!RegistryTarget.IsName(repository))
            return false;
        using var request = new HttpRequestMessage(HttpMethod.Get, new Uri(backend, $"/v2/{repository}/tags/list"));
        using var response = await _registry.SendAsync(request, cancel);
        return response.StatusCode is HttpStatusCode.OK;
    }

    public async ValueTask<IReadOnlyList<string>> RepositoriesAsync(CancellationToken cancel)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, new Uri(backend, "/v2/_catalog?n=1000"));
        using var response = await _registry.SendAsync(request, cancel);
        using var catalog = JsonDocument.Parse(await response.Content.ReadAsByteArrayAsync(cancel));
        return [.. catalog.RootElement.GetProperty("repositories").EnumerateArray().Select(name => name.GetString()!)];
    }

    public Task ServeAsync(HttpContext http, RegistryTarget target, TokenGrant grant) => (target.Kind, http.Request.Method) switch
    {
        (TargetKind.Blob, "GET") => RedirectAsync(http, target),
        (TargetKind.Uploads, "POST") when http.Request.Query["from"] is [{ } from] && !grant.Allows(from, "pull") =>
            ForwardAsync(http, http.Request.Path.Value!),
        _ => ForwardAsync(http, http.Request.Path.Value + http.Request.QueryString),
    };

    public Task ServeBlobAsync(HttpContext http, string digest) => _repositoryOfBlob.TryGetValue(digest, out var repository)
        ? ForwardAsync(http, $"/v2/{repository}/blobs/{digest}")
        : CdnFace.RefuseAsync(http, 404, "NoSuchKey", "The specified key does not exist.");

    public async Task PushAsync(string repository, string tag, BuiltImage image, CancellationToken cancel)
    {
        foreach (var blob in image.Blobs)
        {
            var uploads = new Uri(backend, $"/v2/{repository}/blobs/uploads/");
            using var started = await PushAsync(HttpMethod.Post, uploads, content: null, cancel);
            var session = new Uri(backend, started.Headers.Location!);
            var end = new Uri($"{session.AbsoluteUri}&digest={Uri.EscapeDataString(FakeRegistry.DigestOf(blob.Span))}");
            using var stored = await PushAsync(HttpMethod.Put, end, new ReadOnlyMemoryContent(blob), cancel);
        }

        foreach (var (manifest, mediaType) in image.Platforms.Append((image.Manifest, image.MediaType)))
        {
            var reference = manifest.Equals(image.Manifest) ? tag : FakeRegistry.DigestOf(manifest.Span);
            var content = new ReadOnlyMemoryContent(manifest) { Headers = { ContentType = new MediaTypeHeaderValue(mediaType) } };
            var address = new Uri(backend, $"/v2/{repository}/manifests/{reference}");
            using var stored = await PushAsync(HttpMethod.Put, address, content, cancel);
        }
    }

    public void Dispose() => _registry.Dispose();

    private async Task RedirectAsync(HttpContext http, RegistryTarget target)
    {
        using var request = new HttpRequestMessage(HttpMethod.Head, new Uri(backend, http.Request.Path.Value!));
        using var response = await _registry.SendAsync(request, http.RequestAborted);
        if (response.StatusCode is not HttpStatusCode.OK)
        {
            await http.BlobUnknownAsync(target.Reference);
            return;
        }

        _repositoryOfBlob[target.Reference] = target.Repository;
        await links.RedirectAsync(http, hub.CdnFor(http), target.Reference);
    }

    private async Task ForwardAsync(HttpContext http, string target)
    {
        using var request = new HttpRequestMessage(new HttpMethod(http.Request.Method), new Uri(backend, target));
        if (http.Request.Method is "POST" or "PUT" or "PATCH")
        {
            request.Content = new StreamContent(http.Request.Body);
            request.Content.Headers.ContentLength = http.Request.ContentLength;
        }

        foreach (var (name, values) in http.Request.Headers)
        {
            if (!RequestHeadersToDrop.Contains(name, StringComparer.OrdinalIgnoreCase)
                && !request.Headers.TryAddWithoutValidation(name, values.AsEnumerable()))
                request.Content?.Headers.TryAddWithoutValidation(name, values.AsEnumerable());
        }

        // Without these the registry would make an older manifest of an index; Docker Hub answers what was pushed.
        string[] manifests = [BuiltImage.OciIndex, BuiltImage.OciManifest, BuiltImage.DockerList, BuiltImage.DockerManifest];
        request.Headers.TryAddWithoutValidation("Accept", manifests);

        using var response = await _registry.SendAsync(request, http.RequestAborted);
        http.Response.StatusCode = (int)response.StatusCode;
        foreach (var (name, values) in response.Headers.NonValidated.Concat(response.Content.Headers.NonValidated))
        {
            if (!ResponseHeadersToDrop.Contains(name, StringComparer.OrdinalIgnoreCase))
                http.Response.Headers[name] = values.ToArray();
        }

        if (response.Headers.Location is { } location)
            http.Response.Headers.Location = hub.RegistryFor(http).AbsoluteUri.TrimEnd('/') + PathAndQuery(location.OriginalString);
        if (!HttpMethods.IsHead(http.Request.Method))
            await response.Content.CopyToAsync(http.Response.Body, http.RequestAborted);
    }

    /// <summary>Of an absolute or relative address, byte for byte.</summary>
    private static string PathAndQuery(string location)
    {
        var scheme = location.IndexOf("://", StringComparison.Ordinal);
        return scheme < 0 ? location : location[location.IndexOf('/', scheme + 3)..];
    }

    private async Task<HttpResponseMessage> PushAsync(HttpMethod method, Uri address, HttpContent? content, CancellationToken cancel)
    {
        using var request = new HttpRequestMessage(method, address) { Content = content };
        var response = await _registry.SendAsync(request, cancel);
        return response.EnsureSuccessStatusCode();
    }
}
