using System.Globalization;
using System.Text;
using System.Text.Json;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Administration.Changes;
using ImageAccess.Proxy.Administration.Denials;
using ImageAccess.Proxy.Administration.Requests;
using ImageAccess.Proxy.Administration.Roles;
using ImageAccess.Proxy.Administration.Tokens;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Policies.Exceptions;
using ImageAccess.Proxy.Policies.Store;
using ImageAccess.Proxy.Tests.Policies.Store;
using ImageAccess.Proxy.Tests.Walk;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Tests.Administration.Api;

/// <summary>The whole program with a database and a console, behind a proxy that it trusts: so each request can come from an address of its own.</summary>
public sealed class ApiRoom : IAsyncLifetime
{
    /// <summary>carol owns the company; alice owns acme, and bob is a member; gail owns globex.</summary>
    public const string Policy =
        """
        {
          "companyOwners": [ "carol" ],
          "exceptions": { "maximumDays": 90 },
          "organizations": [
            { "name": "acme", "owners": [ "alice" ], "members": [ "bob" ], "enabled": true, "allow": { "official": true } },
            { "name": "globex", "owners": [ "gail" ], "members": [ "hank" ], "enabled": true, "allow": { "official": true } }
          ]
        }
        """;

    private readonly Dictionary<string, string> _secrets = [];
    private int _number;

    public Surroundings Here { get; private set; } = null!;

    public HttpClient Client { get; private set; } = null!;

    internal SqlDatabase Database => Service<SqlDatabase>();

    private ExceptionChanges Changes => new(Database, TimeProvider.System);

    public Task InitializeAsync() => StartAsync();

    public async Task StartAsync(params (string Key, string Value)[] settings)
    {
        Here = await Surroundings.StartWithDatabaseAsync([("Listen:Console", "http://127.0.0.1:0"), ("Listen:TrustedProxies:0", "127.0.0.1"), .. settings]);
        Client = Surroundings.NewClient(Here.Further[^1]);
        await Here.WritePolicyAsync(Policy);
        await ReadyAsync();
        await Eventually.TrueAsync(() => !Service<PolicyHistory>().IsWaiting); // else the file's document may come behind the database's
    }

    public async Task DisposeAsync()
    {
        Client.Dispose();
        await Here.DisposeAsync();
    }

    /// <summary>Until then the API answers 503.</summary>
    public async Task ReadyAsync()
    {
        await Service<DatabaseState>().Ready;
        await Eventually.TrueAsync(() => Service<SessionTokens>().AreReady);
    }

    /// <summary>After a restart of the proxy, which listens elsewhere.</summary>
    public void Reconnect()
    {
        Client.Dispose();
        Client = Surroundings.NewClient(Here.Further[^1]);
    }

    public T Service<T>()
        where T : notnull => Here.Proxy.Services.GetRequiredService<T>();

    public int Next() => Interlocked.Increment(ref _number);

    /// <summary>The token of a role in an organization; null for every one.</summary>
    public async Task<string> TokenAsync(string role, string? organization = "acme", string? person = null, string label = "a test")
    {
        var key = $"{role} {organization} {person} {label}";
        if (!_secrets.TryGetValue(key, out var secret))
            secret = _secrets[key] = (await MakeAsync(role, organization, person, label: label)).Secret;
        return secret;
    }

    public async Task<(long Id, string Secret)> MakeAsync(string role, string? organization = "acme", string? person = null, int days = 30, string label = "a test")
    {
        var grant = new TokenGrant { Role = role, Organization = organization, Person = person, Label = label, Lifetime = TimeSpan.FromDays(days) };
        var (row, secret) = await new TokenChanges(Database, TimeProvider.System).CreateAsync(grant, "root", default);
        return (row.Id, secret);
    }

    public async Task<long> ExceptionAsync(string organization = "acme")
    {
        var granted = GrantedException.TryParsePattern($"tools/t{Next()}", out var pattern, out _)
            ? new GrantedException(0, organization, pattern, null, false, "because", null, "alice", Changes.Now, null)
            : throw new InvalidOperationException();
        return (await Changes.AddAsync(granted, default)).Id;
    }

    /// <summary>A denial of a caller, or of nobody who signed in; the id.</summary>
    internal Task<string> DenyAsync(string? caller, params string[] organizations) => AddAsync(NewDenial(caller, organizations));

    internal DenialRow NewDenial(string? caller, params string[] organizations) => new()
    {
        Id = string.Create(CultureInfo.InvariantCulture, $"d{Next()}"),
        TimeMilliseconds = TimeProvider.System.GetUtcNow().ToUnixTimeMilliseconds(),
        Caller = caller,
        Repository = "someuser/tool",
        Reference = "latest",
        Rule = "community",
        Message = "image access denied: community images not allowed",
        Organizations = organizations.Length == 0 ? ["acme"] : [.. organizations],
        Client = "192.0.2.7",
        WayIn = "mirror",
    };

    internal async Task<string> AddAsync(DenialRow denial)
    {
        await Database.WriteAsync(context => new DenialTable(context).AddAsync([denial], TimeProvider.System.GetUtcNow(), default), default);
        return denial.Id;
    }

    /// <summary>How many emergencies it has made.</summary>
    public int Emergencies { get; private set; }

    /// <summary>An emergency, as a verb on the server makes it; the same again while it lasts, because there can be few at once.</summary>
    internal async Task<BreakGlassEntry> BreakGlassAsync(string organization = "acme")
    {
        if (BreakGlassFile.Read(Service<IOptions<PolicyStoreOptions>>().Value).Entries.FirstOrDefault(one => one.By == "eve" && one.Organization == organization && one.Ended is null) is { } lasting)
            return lasting;
        Emergencies++;
        var desk = new ChangeDesk(Database, Service<IOptions<PolicyStoreOptions>>().Value, () => Service<IPolicyStore>().Current, TimeProvider.System);
        var entry = await desk.BreakGlassAsync(
            organization, string.Create(CultureInfo.InvariantCulture, $"made/e{Next()}"), TimeSpan.FromHours(1), new ChangeRequest(Actor.Server("eve"), "because"), default);
        Service<PolicyStore>().Refresh();
        return entry;
    }

    /// <summary>A request that bob has made.</summary>
    public async Task<long> RequestAsync(string organization = "acme")
    {
        long id = 0;
        await Database.WriteAsync(
            async context =>
            {
                var (table, now) = (new RequestTable(context), Changes.Now);
                var request = await table.AddAsync(
                    new AccessRequestRow
                    {
                        Image = $"tools/t{Next()}",
                        Organizations = [organization],
                        At = now,
                        UntilMilliseconds = now.AddDays(30).ToUnixTimeMilliseconds(),
                        State = AccessRequestRow.Open,
                    },
                    default);
                table.AddVoice(request, new RequestVoiceRow { Request = request.Id, Person = "bob", Reason = "because", Days = 3 });
                await table.StepAsync(request, RequestTable.NewStep(RequestStepRow.Asked, now) with { By = "bob" }, default);
                id = request.Id;
            },
            default);
        return id;
    }

    /// <summary>The document is in the database from now on, and in force.</summary>
    public async Task ImportAsync(string document)
    {
        await Service<PolicyEdits>().ImportAsync(Encoding.UTF8.GetBytes(document), Core.Policies.Policy.Off, new PolicyAuthor("root", "the first"), default);
        await File.WriteAllBytesAsync(Service<IOptions<PolicyStoreOptions>>().Value.SourcePath, PolicyHome.ToBytes(PolicySource.Database));
        Service<PolicyStore>().Refresh();
        await Service<PolicyReader>().CatchUpAsync(default);
        var version = PolicyFixture.VersionOf(document);
        await Eventually.TrueAsync(() => Service<IPolicyStore>().Current.Version == version);
    }

    public Task<ApiAnswer> SendAsync(string method, string target, string? token = null, string? body = null, string? ifMatch = null, string contentType = "application/json", string? accept = null, string? from = null) =>
        SendBytesAsync(method, target, token, body is null ? null : Encoding.UTF8.GetBytes(body), ifMatch, contentType, accept, from);

    public async Task<ApiAnswer> SendBytesAsync(string method, string target, string? token, byte[]? body, string? ifMatch = null, string contentType = "application/json", string? accept = null, string? from = null)
    {
        using var request = new HttpRequestMessage(new HttpMethod(method), target);
        var number = Next();
        request.Headers.Add("X-Forwarded-For", from ?? string.Create(CultureInfo.InvariantCulture, $"10.1.{number / 250 % 250}.{(number % 250) + 1}"));
        request.Headers.Add("X-Forwarded-Proto", "https");
        if (token is not null)
            request.Headers.Add("Authorization", $"Bearer {token}");
        if (accept is not null)
            request.Headers.TryAddWithoutValidation("Accept", accept);
        if (ifMatch is not null)
            request.Headers.TryAddWithoutValidation("If-Match", ifMatch);
        if (body is not null)
        {
            request.Content = new ByteArrayContent(body);
            request.Content.Headers.TryAddWithoutValidation("Content-Type", contentType);
            request.Headers.ExpectContinue = body.Length > 1024 * 1024; // what is refused by its size is not sent: the answer is read, and no reset
        }

        using var response = await Client.SendAsync(request);
        var text = await response.Content.ReadAsStringAsync();
        return new ApiAnswer((int)response.StatusCode, response.Content.Headers.ContentType?.MediaType, response.Headers.ETag?.ToString(), text)
        {
            CacheControl = response.Headers.CacheControl?.ToString(),
            Challenge = response.Headers.WwwAuthenticate.ToString(),
            Location = response.Headers.Location?.ToString(),
            RetryAfter = response.Headers.RetryAfter?.ToString(),
        };
    }
}

public sealed record ApiAnswer(int Status, string? MediaType, string? Tag, string Text)
{
    public string? CacheControl { get; init; }

    public string? Challenge { get; init; }

    public string? Location { get; init; }

    public string? RetryAfter { get; init; }

    public JsonElement Json => JsonSerializer.Deserialize<JsonElement>(Text);

    /// <summary>Of a problem.</summary>
    public string? Detail => Json.GetProperty("detail").GetString();
}
