using System.Diagnostics;
using System.Globalization;
using System.Text;
using ImageAccess.Core.Policies;
using ImageAccess.FakeHubs;
using ImageAccess.Proxy.Callers.Members;

namespace ImageAccess.Proxy.Tests.Callers.Members;

public sealed class HubMemberSourceTests : IAsyncLifetime
{
    private const string SignIn = "/v2/auth/token";
    private const string List = "/v2/orgs/acme/members";

    private DirectoryRoom _room = null!;

    public async Task InitializeAsync() => _room = await DirectoryRoom.OpenAsync();

    public async Task DisposeAsync() => await _room.DisposeAsync();

    [Theory]
    [InlineData("Owner", OrganizationRole.Owner)]
    [InlineData("owner", OrganizationRole.Owner)]
    [InlineData("OWNER", OrganizationRole.Owner)]
    [InlineData("Editor", OrganizationRole.Member)]
    [InlineData("Member", OrganizationRole.Member)]
    [InlineData("member", OrganizationRole.Member)]
    [InlineData("Invitee", OrganizationRole.None)]
    [InlineData("invitee", OrganizationRole.None)]
    [InlineData("Auditor", OrganizationRole.Member)] // unknown: bound by the rules, exempt from none
    [InlineData("Owners", OrganizationRole.Member)]
    [InlineData("", OrganizationRole.Member)]
    public async Task Roles_are_compared_without_case_and_an_unknown_one_exempts_from_nothing(string role, OrganizationRole expected)
    {
        _room.Acme.AddMember("carol", role);
        await _room.ReadAsync();
        Assert.Equal(expected, _room.RoleOf("carol"));
    }

    [Fact]
    public async Task Every_page_is_read_with_the_token_of_the_sign_in()
    {
        for (var i = 0; i < 250; i++)
            _room.Acme.AddMember($"member{i:d3}");
        await _room.ReadAsync();

        Assert.All(Enumerable.Range(0, 250), i => Assert.Equal(OrganizationRole.Member, _room.RoleOf($"member{i:d3}")));
        Assert.Equal(
            [List + "?page=1&page_size=100", List + "?page=2&page_size=100", List + "?page=3&page_size=100"],
            _room.Asked(List).Select(request => request.RawTarget));
        Assert.All(_room.Asked(List), request => Assert.StartsWith("Bearer ", request.Authorization, StringComparison.Ordinal));
        Assert.Equal($$"""{"identifier":"acme","secret":"{{DirectoryRoom.Secret}}"}""", Assert.Single(_room.Asked(SignIn)).Body);
    }

    /// <summary>What answers wrongly, and what is said of it. Everything on both calls.</summary>
    public static TheoryData<string, string, string> Faults()
    {
        var faults = new TheoryData<string, string, string>();
        foreach (var (call, what) in new[] { (SignIn, "the sign-in"), (List, "the member list of acme") })
        {
            faults.Add(call, "malformed", $"the Hub API's answer is not JSON (200 for {what})");
            faults.Add(call, "html", $"the Hub API's answer is not JSON (200 for {what})");
            faults.Add(call, "empty", $"the Hub API's answer is not JSON (200 for {what})");
            faults.Add(call, "truncated", $"the Hub API gave no whole answer (HOST: the answer broke off; look at Upstream:Hub) for {what}");
            faults.Add(call, "reset", $"the Hub API gave no whole answer (HOST: the answer broke off, Connection reset by peer; look at Upstream:Hub) for {what}");
            faults.Add(call, "endless", $"the Hub API's answer is larger than 1024 KiB for {what}");
            faults.Add(call, "500", $"the Hub API answered 500 for {what}");
            faults.Add(call, "308", $"the Hub API answered 308 for {what}");
            faults.Add(call, "404", $"the Hub API answered 404 for {what}");
            faults.Add(call, "401", $"the Hub API refuses {what} (401); look at Identity:Directory:Username, its secret and what the two may read");
            faults.Add(call, "403", $"the Hub API refuses {what} (403); look at Identity:Directory:Username, its secret and what the two may read");
        }

        faults.Add(SignIn, "array", "the Hub API's answer to the sign-in holds no token");
        faults.Add(SignIn, "header", "the Hub API's answer to the sign-in holds no token");
        faults.Add(SignIn, "surrogate", "the Hub API's answer holds text that is none");
        faults.Add(List, "array", "the Hub API's member list of acme has no results");
        faults.Add(List, "[1]", "the Hub API's member list of acme holds something that is no member");
        faults.Add(List, """[{"id":"a1","role":"Owner"}]""", "the Hub API's member list of acme holds a member without id or user name");
        faults.Add(List, """[{"username":"alice","role":"Owner"}]""", "the Hub API's member list of acme holds a member without id or user name");
        faults.Add(List, """[{"id":7,"username":"alice","role":"Owner"}]""", "the Hub API's member list of acme holds a member whose id is no text");
        faults.Add(List, """[{"id":"a1","username":"alice","role":["Owner"]}]""", "the Hub API's member list of acme holds a member whose role is no text");
        faults.Add(List, """[{"id":"a1","username":"x","role":"Owner"},{"id":"a2","username":"X","role":"Owner"}]""", "the Hub API's member list of acme has two accounts of one name");
        faults.Add(List, """[{"id":"a1","username":"x","role":"Owner"},{"id":"A-1","username":"y","role":"Owner"}]""", "the Hub API's member list of acme names one account twice");
        return faults;
    }

    [Theory]
    [MemberData(nameof(Faults))]
    public async Task Whatever_is_wrong_is_said_and_the_last_good_list_stays(string call, string fault, string cause)
    {
        cause = cause.Replace("HOST", _room.Hub.Hub.Authority, StringComparison.Ordinal);
        await _room.ReadAsync();
        using (_room.Hub.Faults.Add(Face.Hub, call, FaultOf(fault)))
            await _room.ReadAsync();

        Assert.Equal(cause, _room.Refresh.TroubleWith("acme"));
        Assert.Contains(_room.Logs.Lines, line => line.StartsWith("Warning ", StringComparison.Ordinal) && line.Contains(cause, StringComparison.Ordinal));
        Assert.Equal(OrganizationRole.Owner, _room.RoleOf("alice"));
        Assert.Equal(OrganizationRole.Member, _room.RoleOf("ed"));
        Assert.DoesNotContain(_room.Logs.Lines, line => line.Contains(DirectoryRoom.Secret, StringComparison.Ordinal));

        await _room.ReadAsync();
        Assert.Null(_room.Refresh.TroubleWith("acme"));
    }

    [Theory]
    [InlineData(SignIn)]
    [InlineData(List)]
    public async Task Who_never_answers_is_left_after_fifteen_seconds(string call)
    {
        using var fault = _room.Hub.Faults.Add(Face.Hub, call, Fault.NeverAnswer());
        var reading = _room.ReadAsync();
        await Eventually.TrueAsync(() => fault.Hits == 1);
        _room.Time.Advance(TimeSpan.FromSeconds(14));
        Assert.False(reading.IsCompleted);
        _room.Time.Advance(TimeSpan.FromSeconds(1));
        await reading;
        Assert.StartsWith("the Hub API did not answer within 15 s", _room.Refresh.TroubleWith("acme"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_unreachable_API_is_named()
    {
        await using var room = await DirectoryRoom.OpenAsync(("Upstream:Hub", "http://127.0.0.1:1"));
        await room.ReadAsync();
        Assert.Equal("the Hub API cannot be reached (127.0.0.1:1: no connection, Connection refused; look at Upstream:Hub, Upstream:Proxy and the firewall) for the sign-in", room.Refresh.TroubleWith("acme"));
    }

    [Theory]
    [InlineData("http://{cdn}/v2/orgs/acme/members?page=2")] // another port
    [InlineData("http://localhost:{port}/v2/orgs/acme/members?page=2")] // another name of the same
    [InlineData("https://{hub}/v2/orgs/acme/members?page=2")]
    [InlineData("//{cdn}/v2/orgs/acme/members?page=2")]
    [InlineData("http://x@{cdn}/v2/orgs/acme/members")]
    [InlineData("http://{hub}@{cdn}/v2/orgs/acme/members")]
    [InlineData("http://{hub}/v2/orgs/acme/settings")]
    [InlineData("file:///etc/passwd")]
    public async Task A_next_page_elsewhere_is_not_followed(string next)
    {
        await _room.ReadAsync();
        _room.Hub.Requests.Clear();
        next = next.Replace("{cdn}", _room.Hub.Cdn.Authority, StringComparison.Ordinal)
            .Replace("{hub}", _room.Hub.Hub.Authority, StringComparison.Ordinal)
            .Replace("{port}", _room.Hub.Hub.Port.ToString(CultureInfo.InvariantCulture), StringComparison.Ordinal);
        using (_room.Hub.Faults.Add(Face.Hub, List, Fault.Status(200, Page([new FakeMember("carol", "Owner")], next))))
            await _room.ReadAsync();

        Assert.Equal("the next page of the member list of acme is elsewhere: it is not followed", _room.Refresh.TroubleWith("acme"));
        Assert.Equal(2, _room.Hub.Requests.All.Count); // the sign-in and the first page
        Assert.Equal(OrganizationRole.None, _room.RoleOf("carol"));
    }

    [Theory]
    [InlineData(SignIn)]
    [InlineData("page=1")]
    [InlineData("page=2")]
    public async Task A_connection_that_is_reset_while_it_is_kept_costs_nothing(string call)
    {
        for (var i = 0; i < 150; i++)
            _room.Acme.AddMember($"member{i:d3}");
        await _room.ReadAsync();
        using var reset = _room.Hub.Faults.Add(Face.Hub, call, Fault.CloseConnection(), times: 1);
        await _room.ReadAsync();
        Assert.Equal((1, null), (reset.Hits, _room.Refresh.TroubleWith("acme")));
    }

    /// <summary>Where the next page is, is the Hub API's own word: it goes back byte for byte.</summary>
    [Theory]
    [InlineData("?cursor=a%7Eb%2F%2f+c~")]
    [InlineData("?page=2&after=%41;x=(y)'z'")]
    public async Task A_next_page_is_asked_byte_for_byte(string query)
    {
        using (_room.Hub.Faults.Add(Face.Hub, "page=1", Fault.Status(200, Page([new FakeMember("carol", "Owner")], $"http://{_room.Hub.Hub.Authority}{List}{query}"))))
            await _room.ReadAsync();
        Assert.Equal(List + query, _room.Asked(List)[^1].RawTarget);
    }

    [Fact]
    public async Task A_relative_next_page_is_followed()
    {
        using (_room.Hub.Faults.Add(Face.Hub, "page=1", Fault.Status(200, Page([new FakeMember("carol", "Owner")], List + "?page=2&page_size=100"))))
            await _room.ReadAsync();
        Assert.Null(_room.Refresh.TroubleWith("acme"));
        Assert.Equal(OrganizationRole.Owner, _room.RoleOf("carol"));
    }

    [Fact]
    public async Task Pages_without_end_have_one()
    {
        var pages = 0;
        using (_room.Hub.Faults.Add(Face.Hub, List, Fault.Custom((http, _) =>
               {
                   var page = Interlocked.Increment(ref pages);
                   return WriteAsync(http, Page([new FakeMember($"member{page}", "Owner")], $"{List}?page={page + 1}"));
               })))
            await _room.ReadAsync();

        Assert.Equal(HubMemberSource.MaximumPages, pages);
        Assert.Equal("the member list of acme does not end within 2500 pages", _room.Refresh.TroubleWith("acme"));
        Assert.Equal(OrganizationRole.None, _room.RoleOf("member1"));
    }

    [Fact]
    public async Task Empty_pages_without_end_are_left_at_once()
    {
        using (_room.Hub.Faults.Add(Face.Hub, List, Fault.Status(200, Page([], List + "?page=2"))))
            await _room.ReadAsync();
        Assert.Single(_room.Asked(List));
        Assert.Equal("the Hub API's member list of acme has a page without members that is not the last", _room.Refresh.TroubleWith("acme"));
    }

    [Fact]
    public async Task A_hundred_thousand_members_are_read_kept_and_found_quickly()
    {
        const int Members = 100_000;
        using var fault = _room.Hub.Faults.Add(Face.Hub, List, Fault.Custom((http, _) =>
        {
            var page = int.Parse(http.Request.Query["page"]!, CultureInfo.InvariantCulture);
            var members = Enumerable.Range((page - 1) * 100, 100).Select(i => new FakeMember($"member{i}", i == 99_999 ? "Owner" : "Member"));
            return WriteAsync(http, Page(members, page * 100 < Members ? $"{List}?page={page + 1}&page_size=100" : null));
        }));

        var watch = Stopwatch.StartNew();
        await _room.ReadAsync();
        Assert.InRange(watch.Elapsed, TimeSpan.Zero, TimeSpan.FromSeconds(60));
        Assert.Null(_room.Refresh.TroubleWith("acme"));
        Assert.Equal(OrganizationRole.Owner, _room.RoleOf("member99999"));
        Assert.Equal(OrganizationRole.Member, _room.RoleOf("member0"));
        Assert.Equal(Members, _room.Directory.Book.Lists["acme"].Members.Count);

        var caller = DirectoryRoom.CallerOf("member50000");
        watch.Restart();
        for (var i = 0; i < 10_000; i++)
            _room.Directory.Describe(caller, _room.Policy);
        Assert.InRange(watch.Elapsed, TimeSpan.Zero, TimeSpan.FromSeconds(2));
    }

    [Theory]
    [InlineData(SignIn)]
    [InlineData(List)]
    public async Task A_pause_that_the_API_asks_for_is_made_and_reading_goes_on(string call)
    {
        using var fault = _room.Hub.Faults.Add(Face.Hub, call, Fault.TooManyHubRequests(_room.Time.GetUtcNow().AddSeconds(90)), times: 1);
        var reading = _room.ReadAsync();
        await Eventually.TrueAsync(() => _room.Time.NextDue == DirectoryRoom.Start.AddSeconds(90));
        var asked = _room.Hub.Requests.All.Count;
        _room.Time.Advance(TimeSpan.FromSeconds(89));
        await Task.Delay(100);
        Assert.Equal(asked, _room.Hub.Requests.All.Count);

        _room.Time.Advance(TimeSpan.FromSeconds(1));
        await reading;
        Assert.Null(_room.Refresh.TroubleWith("acme"));
        Assert.Equal(OrganizationRole.Owner, _room.RoleOf("alice"));
    }

    [Theory]
    [InlineData("X-Retry-After", "@600", 600)]
    [InlineData("Retry-After", "600", 600)]
    [InlineData("Retry-After", "9999999", 86400)] // no backoff of a year is believed
    [InlineData("X-Retry-After", "99999999999999", 86400)]
    public async Task A_long_pause_ends_the_reading_and_is_kept(string header, string value, int seconds)
    {
        var now = _room.Time.GetUtcNow();
        if (value.StartsWith('@'))
            value = now.AddSeconds(600).ToUnixTimeSeconds().ToString(CultureInfo.InvariantCulture);
        using var fault = _room.Hub.Faults.Add(Face.Hub, List, Fault.Status(429, "slow down", "text/plain", (header, value)));
        var next = await _room.ReadAsync();
        Assert.Equal(new Timing(now.AddSeconds(seconds), now.AddSeconds(seconds)), next);
        Assert.StartsWith("the Hub API asks us to back off until ", _room.Refresh.TroubleWith("acme"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Nobody_pauses_for_ever()
    {
        using var fault = _room.Hub.Faults.Add(Face.Hub, List, Fault.Status(429));
        var reading = _room.ReadAsync();
        for (var pauses = 1; pauses <= 20; pauses++)
        {
            await Eventually.TrueAsync(() => fault.Hits == pauses && _room.Time.NextDue == _room.Time.GetUtcNow().AddMinutes(1));
            _room.Time.Advance(TimeSpan.FromMinutes(1));
        }

        await reading;
        Assert.Equal(21, fault.Hits);
        Assert.StartsWith("the Hub API asks us to back off until ", _room.Refresh.TroubleWith("acme"), StringComparison.Ordinal);
    }

    private static Fault FaultOf(string name) => name switch
    {
        "malformed" => Fault.MalformedJson(),
        "html" => Fault.Status(200, "<html><body>It works!</body></html>", "text/html"),
        "empty" => Fault.Status(200),
        "truncated" => Fault.Truncate(10),
        "reset" => Fault.CloseConnection(),
        "endless" => Fault.EndlessBody(),
        "308" => Fault.Redirect("https://elsewhere.example.com/", 308),
        "array" => Fault.Status(200, "[]"),
        "header" => Fault.Status(200, """{"access_token":"a\r\nb"}"""),
        "surrogate" => Fault.Status(200, """{"access_token":"\ud800"}"""),
        ['[', ..] => Fault.Status(200, $$"""{"count":1,"next":null,"results":{{name}}}"""),
        _ => Fault.Status(int.Parse(name, CultureInfo.InvariantCulture), "{}"),
    };

    private static string Page(IEnumerable<FakeMember> members, string? next)
    {
        var results = members.Select(m => $$"""{"id":"{{m.Id}}","username":"{{m.Username}}","role":"{{m.Role}}"}""");
        return $$"""{"next":{{(next is null ? "null" : $"\"{next}\"")}},"results":[{{string.Join(',', results)}}]}""";
    }

    private static async Task WriteAsync(Microsoft.AspNetCore.Http.HttpContext http, string json)
    {
        http.Response.ContentType = "application/json";
        await http.Response.Body.WriteAsync(Encoding.UTF8.GetBytes(json));
    }
}
