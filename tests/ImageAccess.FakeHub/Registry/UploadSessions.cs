using System.Collections.Concurrent;
using System.Globalization;
using System.Net.Http.Headers;

namespace ImageAccess.FakeHubs;

/// <summary>
/// Blob uploads: in one request, in pieces, or by mounting. The <c>_state</c> in a session's Location changes with each
/// answer and must come back byte for byte.
/// </summary>
internal sealed class UploadSessions(FakeHub hub)
{
    private readonly ConcurrentDictionary<string, Session> _sessions = new(StringComparer.Ordinal);

    public Task ServeAsync(HttpContext http, RegistryTarget target, TokenGrant grant)
    {
        if (http.Request.Method == "POST" && target.Reference.Length == 0)
            return StartAsync(http, target.Repository, grant);
        if (!_sessions.TryGetValue(target.Reference, out var session) || session.Repository != target.Repository)
            return http.UploadUnknownAsync();
        if (!http.Request.QueryString.Value!.TrimStart('?').Split('&').Contains("_state=" + session.State, StringComparer.Ordinal))
            return http.RefuseAsync(404, "BLOB_UPLOAD_INVALID", "blob upload invalid", "the _state is not the one of the last Location");

        return http.Request.Method switch
        {
            "GET" => AnswerAsync(http, session, 204),
            "PATCH" => AppendAsync(http, session),
            "PUT" => FinishAsync(http, session),
            "DELETE" => CancelAsync(http, session),
            _ => http.UnsupportedAsync(),
        };
    }

    private async Task StartAsync(HttpContext http, string repository, TokenGrant grant)
    {
        string? mount = http.Request.Query["mount"];
        string? from = http.Request.Query["from"];
        if (mount is not null && from is not null && grant.Allows(from, "pull") && hub.Images.FindBlob(from, mount) is { } content)
        {
            hub.Images.PushBlob(repository, content);
            await CreatedAsync(http, repository, mount);
            return;
        }

        string? digest = http.Request.Query["digest"];
        var session = new Session(repository);
        if (digest is not null)
        {
            await http.Request.Body.CopyToAsync(session.Content, http.RequestAborted);
            await StoreAsync(http, session, digest);
            return;
        }

        _sessions[session.Id] = session;
        await AnswerAsync(http, session, 202);
    }

    private async Task AppendAsync(HttpContext http, Session session)
    {
        if (StartOfRange(http) is { } start && start != session.Content.Length)
        {
            await AnswerAsync(http, session, 416);
            return;
        }

        await http.Request.Body.CopyToAsync(session.Content, http.RequestAborted);
        await AnswerAsync(http, session, 202);
    }

    private async Task FinishAsync(HttpContext http, Session session)
    {
        await http.Request.Body.CopyToAsync(session.Content, http.RequestAborted);
        _sessions.TryRemove(session.Id, out _);
        await StoreAsync(http, session, http.Request.Query["digest"].ToString());
    }

    private Task CancelAsync(HttpContext http, Session session)
    {
        _sessions.TryRemove(session.Id, out _);
        return http.AnswerEmptyAsync(204);
    }

    private Task StoreAsync(HttpContext http, Session session, string digest)
    {
        var content = session.Content.ToArray();
        if (digest != FakeRegistry.DigestOf(content))
            return http.DigestInvalidAsync();
        hub.Images.PushBlob(session.Repository, content);
        return CreatedAsync(http, session.Repository, digest);
    }

    private Task CreatedAsync(HttpContext http, string repository, string digest)
    {
        http.Response.Headers.Location = new Uri(hub.RegistryFor(http), $"/v2/{repository}/blobs/{digest}").AbsoluteUri;
        http.Response.Headers["Docker-Content-Digest"] = digest;
        return http.AnswerEmptyAsync(201);
    }

    private Task AnswerAsync(HttpContext http, Session session, int status)
    {
        session.State = Session.NextState();
        var headers = http.Response.Headers;
        var registry = hub.RegistryFor(http).AbsoluteUri.TrimEnd('/');
        headers.Location = $"{registry}/v2/{session.Repository}/blobs/uploads/{session.Id}?_state={session.State}";
        headers["Docker-Upload-UUID"] = session.Id;
        headers["Range"] = string.Create(CultureInfo.InvariantCulture, $"0-{Math.Max(0, session.Content.Length - 1)}");
        return http.AnswerEmptyAsync(status);
    }

    /// <summary>Clients write <c>0-99</c>, and some <c>bytes 0-99/*</c>.</summary>
    private static long? StartOfRange(HttpContext http)
    {
        var sent = http.Request.Headers.ContentRange.ToString();
        if (sent.Length == 0)
            return null;
        if (ContentRangeHeaderValue.TryParse(sent, out var range))
            return range.From;
        return long.TryParse(sent.Split('-')[0], CultureInfo.InvariantCulture, out var start) ? start : -1;
    }

    private sealed class Session(string repository)
    {
        public string Id { get; } = Guid.NewGuid().ToString("D");

        public string Repository => repository;

        public MemoryStream Content { get; } = new();

        /// <summary>As it stands in the query: base64url with its padding percent-encoded.</summary>
        public string State { get; set; } = NextState();

        public static string NextState() => "-_" + RandomText.Next(64) + "%3D%3D";
    }
}
