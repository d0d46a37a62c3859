using System.Net;
using System.Text.Json;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Foundation.DockerHub;
using Microsoft.Extensions.Options;
using Polly;
using Polly.Retry;

namespace ImageAccess.Proxy.Callers.Members;

/// <summary>
/// Docker Hub's own word: <c>GET /v2/orgs/ORGANIZATION/members</c>, page by page, signed in by <c>POST /v2/auth/token</c>.
/// </summary>
internal sealed class HubMemberSource : IMemberSource
{
    /// <summary>A longer backoff in the middle of a list ends the reading.</summary>
    public static readonly TimeSpan MaximumPause = TimeSpan.FromMinutes(2);

    public const int PageSize = 100;

    /// <summary>A list of 250,000 members; one that goes on has no end.</summary>
    public const int MaximumPages = 2500;

    private const int MaximumPauses = 20;
    private const int MaximumText = 256;

    /// <summary>The teams of one member, and of all.</summary>
    private const int MaximumTeams = 256, MaximumTeamNames = 10_000;

    /// <summary>What one page, or the sign-in, may take.</summary>
    private static readonly AnswerLimits Limits = new(1024 * 1024, TimeSpan.FromSeconds(15));

    private readonly HubApi _hub;
    private readonly IOptions<DirectoryOptions> _options;
    private readonly TimeProvider _time;
    private readonly ResiliencePipeline<HubAnswer> _pausing;

    public HubMemberSource(HubApi hub, IOptions<DirectoryOptions> options, TimeProvider time)
    {
        _hub = hub;
        _options = options;
        _time = time;
        _pausing = new ResiliencePipelineBuilder<HubAnswer> { TimeProvider = time }
            .AddRetry(new RetryStrategyOptions<HubAnswer>
            {
                ShouldHandle = new PredicateBuilder<HubAnswer>().Handle<HubBackoffException>(backoff => backoff.RetryAt - time.GetUtcNow() <= MaximumPause),
                MaxRetryAttempts = MaximumPauses,
                DelayGenerator = retry => ValueTask.FromResult<TimeSpan?>(((HubBackoffException)retry.Outcome.Exception!).RetryAt - time.GetUtcNow()),
            })
            .Build();
    }

    public async Task<MemberList> ReadAsync(string organization, CancellationToken cancellationToken)
    {
        var readAt = _time.GetUtcNow();
        var members = new Members(organization);
        var (path, what) = ($"/v2/orgs/{organization}/members", $"the member list of {organization}");
        try
        {
            var (token, signedInAt) = (await SignInAsync(cancellationToken), readAt);
            Uri? page = new(_hub.Address, $"{path}?page=1&page_size={PageSize}");
            for (var pages = 1; page is not null; pages++)
            {
                if (pages > MaximumPages)
                    throw new DirectoryException($"{what} does not end within {MaximumPages} pages");
                if (_time.GetUtcNow() - signedInAt > HubSignIn.TokenUse)
                    (token, signedInAt) = (await SignInAsync(cancellationToken), _time.GetUtcNow());

                using var answer = await AskAsync(() => HubSignIn.Get(page, token), what, cancellationToken);
                page = members.Take(answer.RootElement) is { } next ? Follow(next, path, organization) : null;
            }

            return new MemberList(organization, readAt, members.All()) { Addresses = members.Addresses };
        }
        catch (InvalidOperationException)
        {
            throw new DirectoryException("the Hub API's answer holds text that is none"); // half of a surrogate pair
        }
    }

    private async Task<string> SignInAsync(CancellationToken cancellationToken)
    {
        var secret = DirectorySecret.Read(_options.Value, out var problem)
            ?? throw new DirectoryException($"there is no secret to sign in with: {problem}") { IsRefusal = true };
        using var answer = await AskAsync(() => HubSignIn.Request(_hub.Address, _options.Value.Username!, secret), "the sign-in", cancellationToken);
        return HubSignIn.TokenOf(answer.RootElement) ?? throw new DirectoryException("the Hub API's answer to the sign-in holds no token");
    }

    /// <summary>Sends the request again after a backoff that the Hub API asks for, as long as it is a short one.</summary>
    private async Task<JsonDocument> AskAsync(Func<HttpRequestMessage> create, string what, CancellationToken cancellationToken)
    {
        try
        {
            var answer = await _pausing.ExecuteAsync(
                async cancel =>
                {
                    using var request = create();
                    return await _hub.AskAsync(request, Limits, cancel);
                },
                cancellationToken);
            return answer.Status switch
            {
                HttpStatusCode.OK => JsonDocument.Parse(answer.Body),
                HttpStatusCode.Unauthorized or HttpStatusCode.Forbidden => throw new DirectoryException(
                    $"the Hub API refuses {what} ({(int)answer.Status}); look at Identity:Directory:Username, its secret and what the two may read")
                { IsRefusal = true },
                var status => throw new DirectoryException($"the Hub API answered {(int)status} for {what}"),
            };
        }
        catch (JsonException)
        {
            throw new DirectoryException($"the Hub API's answer is not JSON (200 for {what})");
        }
        catch (HubBackoffException exception)
        {
            throw new DirectoryException($"the Hub API asks us to back off until {exception.RetryAt:u}: {what} is read after that") { RetryAt = exception.RetryAt };
        }
        catch (UnansweredException exception)
        {
            throw new DirectoryException($"{exception.Cause} for {what}");
        }
    }

    /// <summary>The token goes to the Hub API alone, and to nothing of it but this list.</summary>
    private Uri Follow(string next, string path, string organization) =>
        HandedOutAddress.Resolve(_hub.Address, next) is { } page
        && page.GetLeftPart(UriPartial.Authority) == _hub.Address.GetLeftPart(UriPartial.Authority)
        && page.AbsolutePath.TrimEnd('/') == path
        && !next.Contains('#', StringComparison.Ordinal)
            ? page
            : throw new DirectoryException($"the next page of the member list of {organization} is elsewhere: it is not followed");

    /// <summary>The pages of one list. Whatever cannot be understood makes it no list: half of one would exclude the other half.</summary>
    private sealed class Members(string organization)
    {
        private readonly Dictionary<string, MemberRecord> _byName = new(StringComparer.Ordinal);
        private readonly Dictionary<string, string> _teams = new(StringComparer.Ordinal);
        private readonly Dictionary<string, string> _addresses = new(StringComparer.Ordinal);

        public IReadOnlyDictionary<string, string> Addresses => _addresses;

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

            var member = new MemberRecord(Caller.AccountOf(id), name.ToLowerInvariant(), role) { Teams = ReadTeams(entry) };
            if (!_byName.TryGetValue(member.Username, out var twice) || (twice.Id == member.Id && role < twice.Role))
                _byName[member.Username] = member; // once more on the next page, when somebody joined meanwhile
            else if (twice.Id != member.Id)
                throw NotAList("has two accounts of one name");
            if (entry.TryGetProperty("email", out var email) && email.ValueKind == JsonValueKind.String && email.GetString() is { Length: > 0 and <= MaximumText } address)
                _addresses[member.Username] = address; // whoever writes to it looks whether it is one
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

        /// <summary>What is no team's name, or is beyond the bounds, grants nothing, and the list stays one.</summary>
        private IReadOnlyList<string> ReadTeams(JsonElement entry)
        {
            if (!entry.TryGetProperty("groups", out var groups) || groups.ValueKind != JsonValueKind.Array)
                return [];
            return [.. groups.EnumerateArray().Take(MaximumTeams)
                .Select(group => group.ValueKind == JsonValueKind.String ? group.GetString()!.ToLowerInvariant() : "")
                .Where(team => team.Length is > 0 and <= RoleHolder.MaximumTeam && IsKnown(team))
                .Select(team => _teams[team])
                .Distinct()
                .Order(StringComparer.Ordinal)];
        }

        /// <summary>One text for all who are in it.</summary>
        private bool IsKnown(string team) => _teams.ContainsKey(team) || (_teams.Count < MaximumTeamNames && _teams.TryAdd(team, team));

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
