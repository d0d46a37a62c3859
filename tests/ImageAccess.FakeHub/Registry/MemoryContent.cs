using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.Net.Http.Headers;

namespace ImageAccess.FakeHubs;

/// <summary>Answers registry requests from <see cref="FakeRegistry"/>.</summary>
internal sealed class MemoryContent(FakeHub hub, CdnLinks links) : IRegistryContent
{
    private const int LargestManifest = 4 * 1024 * 1024;
    private readonly FakeRegistry _images = hub.Images;
    private readonly UploadSessions _uploads = new(hub);

    public ValueTask<bool> HasRepositoryAsync(string repository, CancellationToken cancel) => ValueTask.FromResult(_images.Has(repository));

    public ValueTask<IReadOnlyList<string>> RepositoriesAsync(CancellationToken cancel) => ValueTask.FromResult(_images.Repositories);

    public Task ServeAsync(HttpContext http, RegistryTarget target, TokenGrant grant) => (target.Kind, http.Request.Method) switch
    {
        (TargetKind.Manifest, "GET" or "HEAD") => ManifestAsync(http, target),
        (TargetKind.Manifest, "PUT") => PutManifestAsync(http, target),
        (TargetKind.Manifest, "DELETE") => _images.RemoveManifest(target.Repository, target.Reference)
            ? http.AnswerEmptyAsync(202)
            : http.ManifestUnknownAsync(target),
        (TargetKind.Blob, "GET" or "HEAD") => BlobAsync(http, target),
        (TargetKind.Blob, "DELETE") => _images.RemoveBlob(target.Repository, target.Reference)
            ? http.AnswerEmptyAsync(202)
            : http.BlobUnknownAsync(target.Reference),
        (TargetKind.Tags, "GET") => TagsAsync(http, target),
        (TargetKind.Referrers, "GET") => ReferrersAsync(http, target),
        (TargetKind.Uploads, _) => _uploads.ServeAsync(http, target, grant),
        _ => http.UnsupportedAsync(),
    };

    public Task ServeBlobAsync(HttpContext http, string digest) => _images.FindBlob(digest) is { } content
        ? Results.Bytes(
            content,
            "application/octet-stream",
            enableRangeProcessing: true,
            entityTag: new EntityTagHeaderValue($"\"{digest[7..39]}\"")).ExecuteAsync(http)
        : CdnFace.RefuseAsync(http, 404, "NoSuchKey", "The specified key does not exist.");

    public Task PushAsync(string repository, string tag, BuiltImage image, CancellationToken cancel)
    {
        _images.PushImage(repository, tag, image);
        return Task.CompletedTask;
    }

    private Task ManifestAsync(HttpContext http, RegistryTarget target)
    {
        if (_images.FindManifest(target.Repository, target.Reference) is not { } image)
            return http.ManifestUnknownAsync(target);
        http.Response.Headers["Docker-Content-Digest"] = image.Digest;
        http.Response.Headers.ETag = $"\"{image.Digest}\"";
        return http.Request.Headers.IfNoneMatch.Contains($"\"{image.Digest}\"", StringComparer.Ordinal)
            ? http.AnswerEmptyAsync(304)
            : http.AnswerAsync(200, image.Manifest, image.MediaType);
    }

    private async Task PutManifestAsync(HttpContext http, RegistryTarget target)
    {
        using var body = new MemoryStream();
        await http.Request.Body.CopyToAsync(body, http.RequestAborted);
        var manifest = body.ToArray();
        var mediaType = http.Request.ContentType ?? "";
        if (manifest.Length > LargestManifest)
        {
            await http.RefuseAsync(413, "MANIFEST_INVALID", "manifest invalid", "the manifest is too large");
            return;
        }

        if (ProblemOf(manifest, mediaType) is { } problem)
        {
            await http.ManifestInvalidAsync(problem);
            return;
        }

        if (target.ReferenceIsDigest && target.Reference != FakeRegistry.DigestOf(manifest))
        {
            await http.DigestInvalidAsync();
            return;
        }

        if (Missing(target.Repository, manifest) is { } missing)
        {
            await http.RefuseAsync(400, "MANIFEST_BLOB_UNKNOWN", "blob unknown to registry", new { digest = missing });
            return;
        }

        var image = _images.PushManifest(target.Repository, target.Reference, manifest, mediaType);
        if (Subject(image) is { } subject)
            http.Response.Headers["OCI-Subject"] = subject;
        http.Response.Headers.Location = new Uri(hub.RegistryFor(http), $"/v2/{target.Repository}/manifests/{image.Digest}").AbsoluteUri;
        http.Response.Headers["Docker-Content-Digest"] = image.Digest;
        if (target.ReferenceIsDigest)
            PushTags(http, target, image);
        await http.AnswerEmptyAsync(201);
    }

    /// <summary><c>?tag=a&amp;tag=b</c>, which a push by digest alone may have; each tag that was made is in a header of its own.</summary>
    private void PushTags(HttpContext http, RegistryTarget target, PushedImage image)
    {
        foreach (var tag in http.Request.Query["tag"])
        {
            _images.PushManifest(target.Repository, tag, image.Manifest, image.MediaType);
            http.Response.Headers.Append("OCI-Tag", tag);
        }
    }

    private Task BlobAsync(HttpContext http, RegistryTarget target)
    {
        if (!RegistryTarget.IsDigest(target.Reference))
            return http.DigestInvalidAsync();
        if (_images.FindBlob(target.Repository, target.Reference) is not { } content)
            return http.BlobUnknownAsync(target.Reference);
        if (HttpMethods.IsGet(http.Request.Method))
            return links.RedirectAsync(http, hub.CdnFor(http), target.Reference);
        http.Response.Headers["Docker-Content-Digest"] = target.Reference;
        http.Response.Headers.AcceptRanges = "bytes";
        return http.AnswerAsync(200, content, "application/octet-stream");
    }

    private Task TagsAsync(HttpContext http, RegistryTarget target)
    {
        if (!_images.Has(target.Repository))
            return http.NameUnknownAsync(target.Repository);
        var tags = _images.Tags(target.Repository);
        if (http.Request.Query.TryGetValue("last", out var last))
            tags = [.. tags.Where(tag => string.CompareOrdinal(tag, last) > 0)];
        if (http.Request.Query.TryGetValue("n", out var asked))
        {
            if (!int.TryParse(asked, CultureInfo.InvariantCulture, out var n) || n < 0)
                return http.RefuseAsync(400, "PAGINATION_NUMBER_INVALID", "invalid number of results requested");
            if (n < tags.Count)
            {
                tags = [.. tags.Take(n)];
                if (n > 0)
                    http.Response.Headers.Link = $"</v2/{target.Repository}/tags/list?last={tags[^1]}&n={n}>; rel=\"next\"";
            }
        }

        return http.AnswerJsonAsync(200, new { name = target.Repository, tags });
    }

    private Task ReferrersAsync(HttpContext http, RegistryTarget target)
    {
        if (!RegistryTarget.IsDigest(target.Reference))
            return http.DigestInvalidAsync();
        string? wanted = http.Request.Query["artifactType"];
        var referrers = new JsonArray();
        foreach (var image in _images.Manifests(target.Repository).Where(image => Subject(image) == target.Reference))
        {
            var manifest = JsonNode.Parse(image.Manifest.Span)!;
            var type = manifest["artifactType"]?.GetValue<string>() ?? manifest["config"]?["mediaType"]?.GetValue<string>();
            if (wanted is not null && wanted != type)
                continue;
            var descriptor = BuiltImage.Descriptor(image.MediaType, image.Manifest);
            descriptor["artifactType"] = type;
            if (manifest["annotations"] is { } annotations)
                descriptor["annotations"] = annotations.DeepClone();
            referrers.Add(descriptor);
        }

        if (wanted is not null)
            http.Response.Headers["OCI-Filters-Applied"] = "artifactType";
        var index = new JsonObject { ["schemaVersion"] = 2, ["mediaType"] = BuiltImage.OciIndex, ["manifests"] = referrers };
        return http.AnswerAsync(200, JsonSerializer.SerializeToUtf8Bytes(index, Answers.Json), BuiltImage.OciIndex);
    }

    private static string? ProblemOf(byte[] manifest, string mediaType)
    {
        try
        {
            var json = JsonNode.Parse(manifest) as JsonObject;
            if (json?["schemaVersion"]?.GetValue<int>() != 2)
                return "unsupported schema version";
            var own = json["mediaType"]?.GetValue<string>();
            return own is null || own == mediaType ? null : $"media type in manifest should be '{mediaType}' not '{own}'";
        }
        catch (Exception failure) when (failure is JsonException or InvalidOperationException or FormatException)
        {
            return failure.Message;
        }
    }

    /// <summary>A subject may be missing: a referrer can be pushed before its image.</summary>
    private string? Missing(string repository, byte[] bytes)
    {
        var manifest = JsonNode.Parse(bytes)!;
        IEnumerable<JsonNode?> wantedBlobs = [manifest["config"], .. manifest["layers"] as JsonArray ?? []];
        return wantedBlobs.Select(Digest).FirstOrDefault(digest => digest is not null && _images.FindBlob(repository, digest) is null)
            ?? (manifest["manifests"] as JsonArray ?? []).Select(Digest)
                .FirstOrDefault(digest => digest is not null && _images.FindManifest(repository, digest) is null);
    }

    private static string? Subject(PushedImage image)
    {
        try
        {
            return Digest(JsonNode.Parse(image.Manifest.Span)?["subject"]);
        }
        catch (JsonException)
        {
            return null;
        }
    }

    private static string? Digest(JsonNode? descriptor) => descriptor?["digest"]?.GetValue<string>();
}
