using System.Text;
using System.Text.RegularExpressions;

namespace ImageAccess.Proxy.Tests.Walk;

/// <summary>
/// Answers written down for comparing what the registry gives directly with what comes through the proxy. What differs by
/// nature is named alike: addresses, upload sessions and their state, the count of pulls left.
/// </summary>
public sealed partial class Transcript(HttpClient client, string token, params Uri[] origins)
{
    /// <summary>Headers of the connection, and those that the proxy sets on its own answers.</summary>
    private static readonly HashSet<string> Left = new(StringComparer.OrdinalIgnoreCase)
    {
        "Date", "Connection", "Transfer-Encoding", "Cache-Control", "Docker-Distribution-Api-Version",
    };

    /// <summary>Of a blob: each content host has entity-tags of its own; through the proxy it is always the digest.</summary>
    private static readonly HashSet<string> LeftOfBlobs = new(StringComparer.OrdinalIgnoreCase) { "ETag", "Docker-Content-Digest" };

    private readonly List<string> _lines = [];

    public IReadOnlyList<string> Lines => _lines;

    /// <summary>The last answer's Location.</summary>
    public string Location { get; private set; } = "";

    public async Task AskAsync(string method, string target, byte[]? body = null, params (string Name, string Value)[] headers)
    {
        using var request = new HttpRequestMessage(new HttpMethod(method), AddressOf(target));
        if (body is not null)
            request.Content = new ByteArrayContent(body);
        if (token.Length > 0)
            request.Headers.TryAddWithoutValidation("Authorization", "Bearer " + token);
        foreach (var (name, value) in headers)
        {
            if (!request.Headers.TryAddWithoutValidation(name, value))
                request.Content!.Headers.TryAddWithoutValidation(name, value);
        }

        var answer = await client.SendAsync(request);
        if ((int)answer.StatusCode == 307)
            answer = await FollowAsync(answer, request);
        using (answer)
            _lines.Add(await WriteAsync($"{method} {target.Split('?')[0]}", answer));
    }

    /// <summary>A blob's redirect, as a client follows it.</summary>
    private async Task<HttpResponseMessage> FollowAsync(HttpResponseMessage redirect, HttpRequestMessage request)
    {
        using (redirect)
        {
            using var next = new HttpRequestMessage(request.Method, redirect.Headers.Location);
            next.Headers.Range = request.Headers.Range;
            return await client.SendAsync(next);
        }
    }

    private async Task<string> WriteAsync(string asked, HttpResponseMessage answer)
    {
        Location = answer.Headers.NonValidated.TryGetValues("Location", out var location) ? location.ToString() : "";
        var text = new StringBuilder($"{asked}\n{(int)answer.StatusCode} {answer.ReasonPhrase}\n");
        foreach (var (name, values) in answer.Headers.NonValidated.Concat(answer.Content.Headers.NonValidated).OrderBy(header => header.Key, StringComparer.OrdinalIgnoreCase))
        {
            if (!Left.Contains(name) && !(asked.Contains("/blobs/sha256:", StringComparison.Ordinal) && LeftOfBlobs.Contains(name)))
                text.Append(name.ToUpperInvariant()).Append(": ").Append(values.ToString()).Append('\n');
        }

        return Plain(text.Append('\n').Append(Encoding.Latin1.GetString(await answer.Content.ReadAsByteArrayAsync())).ToString());
    }

    private string Plain(string text)
    {
        foreach (var origin in origins)
            text = text.Replace(origin.GetLeftPart(UriPartial.Authority), "ORIGIN", StringComparison.Ordinal);
        text = Session.Replace(text, "SESSION");
        text = State.Replace(text, "_state=STATE");
        return PullsLeft.Replace(text, "RATELIMIT-REMAINING: N;");
    }

    private Uri AddressOf(string target) =>
        new(target.StartsWith('/') ? client.BaseAddress!.GetLeftPart(UriPartial.Authority) + target : target, new UriCreationOptions { DangerousDisablePathAndQueryCanonicalization = true });

    [GeneratedRegex("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Session { get; }

    [GeneratedRegex("_state=[A-Za-z0-9_%-]+", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex State { get; }

    [GeneratedRegex("RATELIMIT-REMAINING: [0-9]+;", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex PullsLeft { get; }
}
