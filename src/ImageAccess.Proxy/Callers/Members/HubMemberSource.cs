using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Text.Json;
using ImageAccess.Core.Policies;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Callers.Members;

/// <summary>
/// Docker Hub's own word: <c>GET /v2/orgs/ORGANIZATION/members</c>, page by page, signed in by <c>POST /v2/auth/token</c>.
/// </summary>
internal sealed class HubMemberSource(IHttpClientFactory clients, IOptions<DirectoryOptions> options, TimeProvider time) : IIdentitySource
{
    public const string ClientName = "hub-members";

    /// <summary>What one request may take.</summary>
    public static readonly TimeSpan Timeout = TimeSpan.FromSeconds(15);

    /// <summary>So long a pause is waited for in the middle of a list; a longer one ends the reading.</summary>
    public static readonly TimeSpan MaximumPause = TimeSpan.FromMinutes(2);

    /// <summary>Nobody is believed who wants to be left alone for longer.</summary>
    public static readonly TimeSpan MaximumRetryAfter = TimeSpan.FromDays(1);

    /// <summary>Tokens are good for ten minutes.</summary>
    private static readonly TimeSpan TokenUse = TimeSpan.FromMinutes(8);

    private const int MaximumPauses = 20;

    public const int PageSize = 100;

    /// <summary>A list of 250,000 members; one that goes on has no end.</summary>
    public const int MaximumPages = 2500;

    /// <summary>What a page may measure, in bytes.</summary>
    private const int MaximumPage = 1024 * 1024;

    private const int MaximumText = 256;

    private readonly Uri _hub = options.Value.Hub;

    public async Task<MemberList> ReadAsync(string organization, CancellationToken cancellationToken)
    {
        var readAt = time.GetUtcNow();
        var members = new Members(organization);
        var (path, what) = ($"/v2/orgs/{organization}/members", $"the member list of {organization}");
        using var client = clients.CreateClient(ClientName);
        try
        {
            var (token, signedInAt) = (await SignInAsync(client, cancellationToken), readAt);
            Uri? page = new(_hub, $"{path}?page=1&page_size={PageSize}");
            for (var pages = 1; page is not null; pages++)
            {
                if (pages > MaximumPages)
                    throw new DirectoryException($"{what} does not end within {MaximumPages} pages");
                if (time.GetUtcNow() - signedInAt > TokenUse)
                    (token, signedInAt) = (await SignInAsync(client, cancellationToken), time.GetUtcNow());

                using var answer = await AskAsync(client, () => Request(page, token), what, cancellationToken);
                page = members.Take(answer.RootElement) is { } next ? Follow(next, path, organization) : null;
            }

            return new MemberList(organization, readAt, members.All());
        }
        catch (InvalidOperationException)
        {
            throw new DirectoryException("the Hub API's answer holds text that is none"); // half of a surrogate pair
        }
    }

    private async Task<string> SignInAsync(HttpClient client, CancellationToken cancellationToken)
    {
        var secret = DirectorySecret.Read(options.Value, out var problem)
            ?? throw new DirectoryException($"there is no secret to sign in with: {problem}") { IsRefusal = true };
        using var answer = await AskAsync(client, Request, "the sign-in", cancellationToken);
        return answer.RootElement.ValueKind == JsonValueKind.Object
            && answer.RootElement.TryGetProperty("access_token", out var token)
            && token.ValueKind == JsonValueKind.String
            && token.GetString() is { Length: > 0 } text
            && text.All(c => c is > ' ' and < '\x7f')
                ? text
                : throw new DirectoryException("the Hub API's answer to the sign-in holds no token");

        HttpRequestMessage Request()
        {
            var body = new ByteArrayContent(JsonSerializer.SerializeToUtf8Bytes(
                new Dictionary<string, string> { ["identifier"] = options.Value.Username!, ["secret"] = secret }));
            body.Headers.ContentType = new MediaTypeHeaderValue("application/json");
            return new HttpRequestMessage(HttpMethod.Post, new Uri(_hub, "/v2/auth/token")) { Content = body };
        }
    }

    private static HttpRequestMessage Request(Uri page, string token)
    {
        var request = new HttpRequestMessage(HttpMethod.Get, page);
        request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", token);
        return request;
    }

    /// <summary>Sends the request again after a pause that the Hub API asks for, as long as it is a short one.</summary>
    private async Task<JsonDocument> AskAsync(
        HttpClient client, Func<HttpRequestMessage> request, string what, CancellationToken cancellationToken)
    {
        for (var pauses = 0; ; pauses++)
        {
            var (answer, retryAt) = await AskOnceAsync(client, request, what, cancellationToken);
            if (answer is not null)
                return answer;
            var pause = retryAt - time.GetUtcNow();
            if (pause > MaximumPause || pauses == MaximumPauses)
                throw new DirectoryException($"the Hub API wants no request before {retryAt:u} (429 for {what})") { RetryAt = retryAt };
            await Task.Delay(pause > TimeSpan.Zero ? pause : TimeSpan.FromSeconds(1), time, cancellationToken);
        }
    }

    private async Task<(JsonDocument? Answer, DateTimeOffset RetryAt)> AskOnceAsync(
        HttpClient client, Func<HttpRequestMessage> create, string what, CancellationToken cancellationToken)
    {
        using var limit = new CancellationTokenSource(Timeout, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        try
        {
            using var request = create();
            using var response = await client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, either.Token);
            switch (response.StatusCode)
            {
                case HttpStatusCode.OK:
                    await response.Content.LoadIntoBufferAsync(MaximumPage, either.Token);
                    return (JsonDocument.Parse(await response.Content.ReadAsByteArrayAsync(either.Token)), default);
                case HttpStatusCode.TooManyRequests:
                    return (null, ReadRetryAt(response.Headers));
                case HttpStatusCode.Unauthorized or HttpStatusCode.Forbidden:
                    throw new DirectoryException(
                        $"the Hub API refuses {what} ({(int)response.StatusCode}); "
                        + "look at Identity:Directory:Username, its secret and what the two may read")
                    { IsRefusal = true };
                default:
                    throw new DirectoryException($"the Hub API answered {(int)response.StatusCode} for {what}");
            }
        }
        catch (JsonException)
        {
            throw new DirectoryException($"the Hub API's answer is not JSON (200 for {what})");
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            throw new DirectoryException($"the Hub API did not answer within {Timeout.TotalSeconds} s for {what}");
        }
        catch (HttpRequestException e)
        {
            throw new DirectoryException($"{Describe(e)} for {what}");
        }
        catch (IOException)
        {
            throw new DirectoryException($"the Hub API's answer broke off for {what}");
        }
    }

    private DateTimeOffset ReadRetryAt(HttpResponseHeaders headers)
    {
        var now = time.GetUtcNow();
        var wait = TimeSpan.FromMinutes(1);
        if (headers.TryGetValues("X-Retry-After", out var values)
            && long.TryParse(values.First(), CultureInfo.InvariantCulture, out var seconds))
            wait = TimeSpan.FromSeconds(Math.Clamp(seconds - now.ToUnixTimeSeconds(), 0, (long)MaximumRetryAfter.TotalSeconds));
        else if (headers.RetryAfter is { Delta: { } delta })
            wait = delta;
        else if (headers.RetryAfter is { Date: { } date })
            wait = date - now;
        return now + (wait < MaximumRetryAfter ? wait : MaximumRetryAfter);
    }

    /// <summary>The token goes to the Hub API alone, and to nothing of it but this list.</summary>
    private Uri Follow(string next, string path, string organization) =>
        Uri.TryCreate(_hub, next, out var page)
        && page.GetLeftPart(UriPartial.Authority) == _hub.GetLeftPart(UriPartial.Authority)
        && page.AbsolutePath.TrimEnd('/') == path
        && page.Fragment.Length == 0
            ? page
            : throw new DirectoryException($"the next page of the member list of {organization} is elsewhere: it is not followed");

    /// <summary>The exception's own text is not passed on where it may quote the answer.</summary>
    private static string Describe(HttpRequestException e) => e switch
    {
        { HttpRequestError: HttpRequestError.ConfigurationLimitExceeded } =>
            $"the Hub API's answer is larger than {MaximumPage / 1024} KiB",
        { HttpRequestError: HttpRequestError.NameResolutionError } => "the Hub API's name cannot be resolved",
        { HttpRequestError: HttpRequestError.ProxyTunnelError } => "the parent proxy does not lead to the Hub API",
        { InnerException: SocketException socket } => $"the Hub API cannot be reached ({socket.SocketErrorCode})",
        { InnerException: AuthenticationException tls } => $"the Hub API's certificate is not trusted ({tls.Message})",
        _ => "the Hub API's answer broke off",
    };

    /// <summary>The pages of one list. Whatever cannot be understood makes it no list: half of one would exclude the other half.</summary>
    private sealed class Members(string organization)
    {
        private readonly Dictionary<string, MemberRecord> _byName = new(StringComparer.Ordinal);

        /// <summary>Where the next page is; null after the last.</summary>
        public string? Take(JsonElement page)
        {
            if (page.ValueKind != JsonValueKind.Object
                || !page.TryGetProperty("results", out var results)
                || results.ValueKind != JsonValueKind.Array)
                throw NotAList("has no results");
            foreach (var entry in results.EnumerateArray())
                Add(entry);

            if (!page.TryGetProperty("next", out var next) || next.ValueKind == JsonValueKind.Null)
                return null;
            if (next.ValueKind != JsonValueKind.String)
                throw NotAList("has a next page that is no address");
            if (results.GetArrayLength() == 0)
                throw NotAList("has a page without members that is not the last");
            return next.GetString() is { Length: > 0 } address ? address : null;
        }

        public IReadOnlyList<MemberRecord> All()
        {
            if (_byName.Values.DistinctBy(member => member.Id).Count() != _byName.Count)
                throw NotAList("names one account twice");
            return [.. _byName.Values];
        }

        private void Add(JsonElement entry)
        {
            if (entry.ValueKind != JsonValueKind.Object)
                throw NotAList("holds something that is no member");
            var role = ReadRole(Text(entry, "role"));
            if (role == OrganizationRole.None)
                return;
            if (Text(entry, "id") is not { Length: > 0 and <= MaximumText } id
                || Text(entry, "username") is not { Length: > 0 and <= MaximumText } name)
                throw NotAList("holds a member without id or user name");

            var member = new MemberRecord(MemberRecord.IdOf(id), name.ToLowerInvariant(), role);
            if (!_byName.TryGetValue(member.Username, out var twice) || (twice.Id == member.Id && role < twice.Role))
                _byName[member.Username] = member; // once more on the next page, when somebody joined meanwhile
            else if (twice.Id != member.Id)
                throw NotAList("has two accounts of one name");
        }

        /// <summary>
        /// A role that nobody knows is a plain member's: it exempts from nothing, and who is left out could be free of this
        /// organization's rules where another one's are milder. Who is only invited is no member.
        /// </summary>
        private static OrganizationRole ReadRole(string? role) => role?.ToUpperInvariant() switch
        {
            "OWNER" => OrganizationRole.Owner,
            "INVITEE" => OrganizationRole.None,
            _ => OrganizationRole.Member,
        };

        private string? Text(JsonElement entry, string name)
        {
            if (!entry.TryGetProperty(name, out var member) || member.ValueKind == JsonValueKind.Null)
                return null;
            return member.ValueKind == JsonValueKind.String
                ? member.GetString()
                : throw NotAList($"holds a member whose {name} is no text");
        }

        private DirectoryException NotAList(string why) => new($"the Hub API's member list of {organization} {why}");
    }
}
