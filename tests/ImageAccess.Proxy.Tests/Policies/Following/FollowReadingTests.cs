using System.Runtime.Versioning;
using ImageAccess.FakeHubs;
using Microsoft.Extensions.Logging;

namespace ImageAccess.Proxy.Tests.Policies.Following;

/// <summary>What Docker Hub says, and how it says it: good switches are in force, and whatever else comes leaves what was known.</summary>
[UnsupportedOSPlatform("windows")]
public sealed class FollowReadingTests : IAsyncLifetime
{
    private const string Own = "on, official images denied, verified publisher images allowed";
    private const string Read = "on, official images allowed, verified publisher images denied";

    private FollowRoom _room = null!;

    public async Task InitializeAsync() => _room = await FollowRoom.OpenAsync();

    public async Task DisposeAsync() => await _room.DisposeAsync();

    [Fact]
    public async Task The_documents_own_switches_hold_until_others_are_read()
    {
        Assert.Equal((Own, ".-"), (_room.Holds, _room.Mark));
        Assert.Equal(
            "Docker Hub's own switches of acme have not been read yet; until they are read, the policy document's own switches hold", await _room.ConcernAsync());

        Assert.Equal(_room.Time.GetUtcNow() + TimeSpan.FromMinutes(1), await _room.ReadAsync());

        Assert.Equal((Read, ".6", true), (_room.Holds, _room.Mark, _room.Store.Current.Organizations[0].AllowsCommunity));
        Assert.Null(await _room.ConcernAsync());
        Assert.Equal($$"""{"identifier":"alice","secret":"{{FollowRoom.Password}}"}""", Assert.Single(_room.Asked(FollowRoom.SignIn)).Body);
        Assert.Equal($"GET {FollowRoom.Settings}", $"{Assert.Single(_room.Asked(FollowRoom.Settings)).Method} {_room.Asked(FollowRoom.Settings)[0].RawTarget}");
        Assert.Contains("Docker Hub's own switches of acme are read: " + Read, _room.Logs.At(LogLevel.Information));
    }

    [Theory]
    [InlineData(true, true, true, ".7")]
    [InlineData(true, false, false, ".4")]
    [InlineData(false, true, false, ".2")]
    [InlineData(false, false, true, ".1")]
    public async Task Each_switch_is_in_force_as_it_was_read(bool enabled, bool official, bool verified, string mark)
    {
        _room.Switches = (enabled, official, verified);
        await _room.ReadAsync();
        var acme = _room.Store.Current.Organizations[0];
        Assert.Equal((mark, enabled, official, verified, enabled), (_room.Mark, acme.Enabled, acme.AllowsOfficial, acme.AllowsVerifiedPublisher, _room.Store.Current.IsEnabled));
    }

    /// <summary>What answers wrongly, and what is said of it.</summary>
    public static TheoryData<string, string> Faults()
    {
        const string Answer = "the Hub API's answer for the settings of acme";
        const string NotSaid = Answer + " does not say restricted_images.";
        const string Good = "\"enabled\":false,\"allow_official_images\":true,\"allow_verified_publishers\":true";
        return new TheoryData<string, string>
        {
            { "html", "the Hub API's answer is not JSON (200 for the settings of acme)" },
            { "", "the Hub API's answer is not JSON (200 for the settings of acme)" },
            { """{"restricted_images":{""" + Good, "the Hub API's answer is not JSON (200 for the settings of acme)" },
            { "[]", Answer + " has no restricted_images" },
            { "null", Answer + " has no restricted_images" },
            { "{}", Answer + " has no restricted_images" },
            { """{"restricted_images":null}""", Answer + " has no restricted_images" },
            { """{"restricted_images":true}""", Answer + " has no restricted_images" },
            { """{"restricted_images":{}}""", NotSaid + "enabled as true or false" },
            { """{"restricted_images":{"allow_official_images":true,"allow_verified_publishers":true}}""", NotSaid + "enabled as true or false" },
            { """{"restricted_images":{"enabled":false,"allow_official_images":true}}""", NotSaid + "allow_verified_publishers as true or false" },
            { """{"restricted_images":{"enabled":false,"allow_official_images":"true","allow_verified_publishers":true}}""", NotSaid + "allow_official_images as true or false" },
            { """{"restricted_images":{"enabled":0,"allow_official_images":true,"allow_verified_publishers":true}}""", NotSaid + "enabled as true or false" },
            { """{"restricted_images":{"Enabled":false,"allow_official_images":true,"allow_verified_publishers":true}}""", NotSaid + "enabled as true or false" },
            { """{"restricted_images":{"enabled":true,""" + Good + "}}", "the Hub API's answer is not JSON (200 for the settings of acme)" },
            { """{"orgname":"globex","restricted_images":{""" + Good + "}}", Answer + " is about another organization" },
            { """{"name":"globex","restricted_images":{""" + Good + "}}", Answer + " is about another organization" },
            { """{"orgname":"\ud800","restricted_images":{""" + Good + "}}", "the Hub API's answer holds text that is none (200 for the settings of acme)" },
            { "endless", "the Hub API's answer is larger than 64 KiB for the settings of acme" },
            { "truncated", "the Hub API gave no whole answer (HOST: the answer broke off; look at Upstream:Hub) for the settings of acme" },
            { "301", "the Hub API answered 301 for the settings of acme: a redirect is not followed; if acme has another name now, write that name into the policy" },
            { "500", "the Hub API answered 500 for the settings of acme" },
            { "404", "Docker Hub does not know the settings of acme (404); if acme has another name now, write that name into the policy" },
            { "403", Forbidden },
        };
    }

    private const string Forbidden =
        "Docker Hub refuses the settings of acme to alice (403): only an owner of acme may read them, and for some accounts not with an access token; "
        + "name an owner in Follow:Username, and put the password of that account into Follow:SecretFile";

    [Theory]
    [MemberData(nameof(Faults))]
    public async Task Whatever_is_wrong_is_told_once_and_what_was_known_stays(string fault, string cause)
    {
        cause = cause.Replace("HOST", _room.Hub.Hub.Authority, StringComparison.Ordinal);
        await _room.ReadAsync();
        _room.Switches = (false, true, true);
        _room.Time.Advance(TimeSpan.FromMinutes(7));
        _room.Logs.Clear();
        _room.Hub.Requests.Clear();
        using (_room.Hub.Faults.Add(Face.Hub, FollowRoom.Settings, FaultOf(fault)))
        {
            await _room.ReadAsync();
            await _room.ReadAsync();

            Assert.Equal((Read, ".6"), (_room.Holds, _room.Mark));
            Assert.Equal(
                $"Docker Hub's own switches of acme could not be read: {cause}; those of 2026-06-01 12:00:00Z stay in force ({Read})", Assert.Single(_room.Logs.At(LogLevel.Warning)));
            Assert.Equal(
                $"Docker Hub's own switches of acme were read 7 minutes ago and not since: {cause}; those of 2026-06-01 12:00:00Z stay in force ({Read})", await _room.ConcernAsync());
            Assert.DoesNotContain(_room.Logs.Lines, line => line.Contains(FollowRoom.Password, StringComparison.Ordinal) || line.Contains("eyJ", StringComparison.Ordinal));
            Assert.All(_room.Hub.Requests.All, request => Assert.Equal(Face.Hub, request.Face)); // nothing goes where a redirect leads
        }

        await _room.ReadAsync();
        Assert.Equal(("off", ".3"), (_room.Holds, _room.Mark));
        Assert.Null(await _room.ConcernAsync());
    }

    [Theory]
    [InlineData(FollowRoom.SignIn)]
    [InlineData(FollowRoom.Settings)]
    public async Task Who_never_answers_is_left_after_fifteen_seconds(string call)
    {
        using var fault = _room.Hub.Faults.Add(Face.Hub, call, Fault.NeverAnswer());
        var reading = _room.ReadAsync();
        await Eventually.TrueAsync(() => fault.Hits == 1);
        _room.Time.Advance(TimeSpan.FromSeconds(14));
        Assert.False(reading.IsCompleted);
        _room.Time.Advance(TimeSpan.FromSeconds(1));
        await reading;
        Assert.StartsWith("the Hub API did not answer within 15 s", _room.Followed.States[0].Trouble, StringComparison.Ordinal);
        Assert.Equal(Own, _room.Holds);
    }

    [Fact]
    public async Task An_API_that_cannot_be_reached_is_named()
    {
        await using var room = await FollowRoom.OpenAsync(settings: ("Upstream:Hub", "http://127.0.0.1:1"));
        await room.ReadAsync();
        Assert.Equal(
            "the Hub API cannot be reached (127.0.0.1:1: no connection, Connection refused; look at Upstream:Hub, Upstream:Proxy and the firewall) for the settings of acme",
            room.Followed.States[0].Trouble);
        Assert.Equal(Own, room.Holds);
    }

    [Theory]
    [InlineData(429)]
    [InlineData(503)]
    public async Task A_backoff_that_it_asks_for_is_obeyed(int status)
    {
        await _room.ReadAsync();
        var until = _room.Time.GetUtcNow() + TimeSpan.FromMinutes(10);
        using (_room.Hub.Faults.Add(Face.Hub, FollowRoom.Settings, Fault.Status(status, headers: ("Retry-After", "600")), times: 1))
            Assert.Equal(until, await _room.ReadAsync());
        _room.Hub.Requests.Clear();
        _room.Time.Advance(TimeSpan.FromMinutes(9));
        await _room.ReadAsync();
        Assert.Empty(_room.Hub.Requests.All);
        Assert.Equal($"the Hub API asks us to back off until {until:u}: the settings of acme are read after that", _room.Followed.States[0].Trouble);
        _room.Time.Advance(TimeSpan.FromMinutes(1));
        await _room.ReadAsync();
        Assert.Null(_room.Followed.States[0].Trouble);
    }

    [Fact]
    public async Task Where_it_forbids_without_a_moment_it_is_asked_again_after_a_minute()
    {
        using (_room.Hub.Faults.Add(Face.Hub, FollowRoom.Settings, Fault.Status(429), times: 1))
            Assert.Equal(_room.Time.GetUtcNow() + TimeSpan.FromMinutes(1), await _room.ReadAsync());
        Assert.Equal(Own, _room.Holds);
    }

    [Fact]
    public async Task A_token_is_used_for_minutes_and_no_longer()
    {
        for (var i = 0; i < 9; i++)
        {
            await _room.ReadAsync();
            _room.Time.Advance(TimeSpan.FromMinutes(1));
        }

        Assert.Equal((2, 9), (_room.Asked(FollowRoom.SignIn).Count, _room.Asked(FollowRoom.Settings).Count));
    }

    [Fact]
    public async Task A_token_that_is_refused_is_followed_by_one_new_sign_in()
    {
        await _room.ReadAsync();
        _room.Switches = (true, true, true);
        using var fault = _room.Hub.Faults.Add(Face.Hub, FollowRoom.Settings, Fault.Status(401), times: 1);
        await _room.ReadAsync();
        Assert.Equal((1, ".7", 2), (fault.Hits, _room.Mark, _room.Asked(FollowRoom.SignIn).Count));
        Assert.Null(await _room.ConcernAsync());
    }

    [Fact]
    public async Task Who_is_refused_with_a_new_token_too_waits_five_minutes()
    {
        await _room.ReadAsync();
        using var fault = _room.Hub.Faults.Add(Face.Hub, FollowRoom.Settings, Fault.Status(401));
        await _room.ReadAsync();
        const string Refused = "Docker Hub refuses the settings of acme to alice (401), who has just signed in; look at Follow:Username and the secret in Follow:SecretFile";
        Assert.Equal((2, 2, Refused), (fault.Hits, _room.Asked(FollowRoom.SignIn).Count, _room.Followed.States[0].Trouble));
        for (var i = 0; i < 4; i++)
        {
            _room.Time.Advance(TimeSpan.FromMinutes(1));
            await _room.ReadAsync();
        }

        Assert.Equal((2, Refused), (_room.Asked(FollowRoom.SignIn).Count, _room.Followed.States[0].Trouble));
        _room.Time.Advance(TimeSpan.FromMinutes(1));
        await _room.ReadAsync();
        Assert.Equal(3, _room.Asked(FollowRoom.SignIn).Count);
        Assert.Equal(Read, _room.Holds);
    }

    [Theory]
    [InlineData(401)]
    [InlineData(403)]
    public async Task A_sign_in_that_is_refused_is_not_repeated_until_the_secret_is_another(int status)
    {
        using (_room.Hub.Faults.Add(Face.Hub, FollowRoom.SignIn, Fault.Status(status)))
        {
            for (var i = 0; i < 5; i++)
            {
                await _room.ReadAsync();
                _room.Time.Advance(TimeSpan.FromSeconds(50));
            }
        }

        Assert.Single(_room.Asked(FollowRoom.SignIn));
        Assert.Equal($"Docker Hub refuses the sign-in of alice ({status}); look at Follow:Username and the secret in Follow:SecretFile", _room.Followed.States[0].Trouble);
        Assert.Equal(Own, _room.Holds);

        _room.Hub.Users.Find("alice")!.Password = "another-password";
        _room.WriteSecret("another-password");
        await _room.ReadAsync();
        Assert.Equal((2, Read), (_room.Asked(FollowRoom.SignIn).Count, _room.Holds));
    }

    [Fact]
    public async Task A_secret_that_is_another_while_it_runs_is_used_at_once()
    {
        await _room.ReadAsync();
        _room.Hub.Users.Find("alice")!.Password = "another-password";
        _room.WriteSecret("another-password");
        await _room.ReadAsync();
        Assert.Equal("""{"identifier":"alice","secret":"another-password"}""", _room.Asked(FollowRoom.SignIn)[^1].Body);
        Assert.Null(await _room.ConcernAsync());
    }

    [Theory]
    [InlineData("gone", "is not there")]
    [InlineData("empty", "does not hold one secret")]
    [InlineData("two lines", "does not hold one secret")]
    [InlineData("large", "does not hold one secret")]
    [InlineData("open", "can be changed by others than its owner: chmod go-w FILE")]
    [InlineData("directory", "cannot be read")]
    public async Task A_file_without_a_secret_leaves_what_was_known(string what, string flaw)
    {
        await _room.ReadAsync();
        var file = _room.SecretFile;
        File.Delete(file);
        switch (what)
        {
            case "empty": _room.WriteSecret(""); break;
            case "two lines": _room.WriteSecret("a\nb"); break;
            case "large": _room.WriteSecret(new string('x', 5000)); break;
            case "directory": Directory.CreateDirectory(file); break;
            case "open":
                _room.WriteSecret(FollowRoom.Password);
                File.SetUnixFileMode(file, UnixFileMode.UserRead | UnixFileMode.OtherWrite);
                break;
        }

        _room.Hub.Requests.Clear();
        await _room.ReadAsync();
        Assert.Equal($"there is no secret to sign in with: {file} {flaw.Replace("FILE", file, StringComparison.Ordinal)}", _room.Followed.States[0].Trouble);
        Assert.Empty(_room.Hub.Requests.All);
        Assert.Equal(Read, _room.Holds);
    }

    [Fact]
    public async Task Without_a_credential_it_is_said_what_is_missing()
    {
        await using var room = await FollowRoom.OpenAsync(settings: [("Follow:Username", null), ("Follow:SecretFile", null)]);
        await room.ReadAsync();
        Assert.Equal(
            "Docker Hub's own switches of acme have not been read yet: nobody is named to read it with: Follow:Username and Follow:SecretFile, an owner of the organization; "
            + "until they are read, the policy document's own switches hold",
            await room.ConcernAsync());
        Assert.Empty(room.Hub.Requests.All);
    }

    [Theory]
    [InlineData("alice", FollowRoom.AccessToken)] // Docker Hub refuses tokens made from access tokens
    [InlineData("bob", "bobs-password")] // no owner
    public async Task Whose_credential_is_not_enough_is_told_which_one_is(string name, string secret)
    {
        await using var room = await FollowRoom.OpenAsync(settings: ("Follow:Username", name));
        room.WriteSecret(secret);
        await room.ReadAsync();
        Assert.Equal(Forbidden.Replace("alice", name, StringComparison.Ordinal), room.Followed.States[0].Trouble);
        Assert.DoesNotContain(room.Logs.Lines, line => line.Contains(secret, StringComparison.Ordinal));
    }

    [Fact]
    public async Task An_organization_that_was_renamed_on_Docker_Hub_keeps_what_was_known()
    {
        await _room.ReadAsync();
        _room.Hub.Namespaces.Remove("acme");
        await _room.ReadAsync();
        Assert.Equal((Read, "Docker Hub does not know the settings of acme (404); if acme has another name now, write that name into the policy"), (_room.Holds, _room.Followed.States[0].Trouble));

        await _room.WriteAsync(FollowRoom.Document.Replace("acme", "beta", StringComparison.Ordinal));
        Assert.Equal((Own, ".-"), (_room.Holds, _room.Mark));
        await _room.ReadAsync();
        Assert.Equal(("off", ".3"), (_room.Holds, _room.Mark));
        Assert.DoesNotContain("acme", await File.ReadAllTextAsync(_room.Copy), StringComparison.Ordinal);
    }

    [Fact]
    public async Task One_organizations_trouble_is_not_anothers()
    {
        await using var room = await FollowRoom.OpenAsync("""{ "organizations": [ { "name": "acme", "follow": "docker-hub" }, { "name": "beta", "follow": "docker-hub" }, { "name": "gamma" } ] }""");
        using var fault = room.Hub.Faults.Add(Face.Hub, FollowRoom.Settings, Fault.Status(403));
        await room.ReadAsync();
        Assert.Equal(".-3", room.Mark);
        Assert.Equal(["acme: " + Forbidden, "beta: "], room.Followed.States.Select(one => $"{one.Name}: {one.Trouble}"));
    }

    [Fact]
    public async Task Registries_are_limited_as_they_were_read()
    {
        await _room.WriteAsync(FollowRoom.Document.Replace("\"enabled\": true,", "\"enabled\": true, \"registries\": { \"enabled\": true, \"custom\": [ { \"address\": \"own.example.com\", \"allowed\": true } ] },", StringComparison.Ordinal));
        string[] hosts = ["own.example.com", "ghcr.io", "a.b.example.org", "bad.example.org"];
        Assert.Equal("yes no no no", _room.Reaches(hosts)); // the document's own, until others are read
        await _room.ReadAsync();
        Assert.Equal((".6", "any any any any"), (_room.Mark, _room.Reaches(hosts)));

        _room.LimitRegistries(true, ("ghcr.io", true), ("*.example.org", true), ("bad.example.org", false));
        await _room.ReadAsync();
        var limited = _room.Mark;
        Assert.Equal("no yes yes no", _room.Reaches(hosts));
        Assert.Matches("^\\.6\\.[0-9a-f]{8}$", limited);
        Assert.Contains("Docker Hub's own switches of acme are read: " + Read + ", registries limited to Docker Hub and 2 others", _room.Logs.At(LogLevel.Information));

        _room.LimitRegistries(true, ("ghcr.io", true), ("*.example.org", true), ("bad.example.org", true));
        _room.Told();
        await _room.ReadAsync();
        Assert.Equal("no yes yes yes", _room.Reaches(hosts));
        Assert.NotEqual(limited, _room.Mark);
        Assert.Equal(
            $$"""{"event":"follow","organization":"acme","policyVersion":"V{{_room.Mark}}","previousVersion":"V{{limited}}","switches":"{{Read}}, registries limited to Docker Hub and 3 others","opens":["organization acme: registry bad.example.org allowed"],"closes":[]}""",
            Assert.Single(_room.Told()));

        _room.Restart();
        Assert.Equal("no yes yes yes", _room.Reaches(hosts));
        Assert.Equal("our ghcr.io", _room.Store.Current.Document.Organizations[0].Registries.Custom[0].Name);
    }

    /// <summary>What answers wrongly about registries, and what is said of it.</summary>
    public static TheoryData<string, string> RegistryFaults()
    {
        const string Answer = "the Hub API's answer for the registries of acme ";
        const string Standard = "\"standard_registries\":[{\"id\":\"DockerHub\",\"allowed\":true}]";
        return new TheoryData<string, string>
        {
            { "html", "the Hub API's answer is not JSON (200 for the registries of acme)" },
            { "endless", "the Hub API's answer is larger than 64 KiB for the registries of acme" },
            { "301", "the Hub API answered 301 for the registries of acme: a redirect is not followed; if acme has another name now, write that name into the policy" },
            { "403", Forbidden.Replace("settings", "registries", StringComparison.Ordinal) },
            { "[]", Answer + "is not an object" },
            { "{}", Answer + "does not say enabled as true or false" },
            { """{"orgname":"globex","enabled":false}""", Answer + "is about another organization" },
            { """{"enabled":false}""", Answer + "has no standard_registries, a list of objects" },
            { $$"""{"enabled":false,{{Standard}}}""", Answer + "has no custom_registries, a list of objects" },
            { $$"""{"enabled":false,{{Standard}},"custom_registries":["ghcr.io"]}""", Answer + "has no custom_registries, a list of objects" },
            { $$"""{"enabled":false,{{Standard}},"custom_registries":[{"friendly_name":"a","allowed":true}]}""", Answer + "names '', which is not a registry, as ghcr.io, *.example.com or registry.example.com:5000" },
            { $$"""{"enabled":false,{{Standard}},"custom_registries":[{"address":"https://ghcr.io/a","allowed":false}]}""", Answer + "names 'https://ghcr.io/a', which is not a registry, as ghcr.io, *.example.com or registry.example.com:5000" },
            { $$"""{"enabled":false,{{Standard}},"custom_registries":[{"address":"ghcr.io\u202e","allowed":true}]}""", Answer + "names 'ghcr.io?', which is not a registry, as ghcr.io, *.example.com or registry.example.com:5000" },
            { $$"""{"enabled":false,{{Standard}},"custom_registries":[{"address":"ghcr.io","allowed":"true"}]}""", Answer + "does not say allowed of ghcr.io as true or false" },
            { $$"""{"enabled":false,{{Standard}},"custom_registries":[{{string.Join(',', Enumerable.Repeat("{}", 101))}}]}""", Answer + "has 101 custom_registries, and may have 100" },
            {
                """{"enabled":true,"standard_registries":[{"id":"DockerHub","allowed":false}],"custom_registries":[]}""",
                Answer + "refuses Docker Hub itself, which cannot be followed: switch its images off in restricted_images"
            },
        };
    }

    [Theory]
    [MemberData(nameof(RegistryFaults))]
    public async Task Whatever_is_wrong_about_registries_leaves_those_that_were_known_and_the_switches_are_followed(string fault, string cause)
    {
        _room.LimitRegistries(true, ("ghcr.io", true));
        await _room.ReadAsync();
        _room.LimitRegistries(false);
        _room.Switches = (true, true, true);
        _room.Time.Advance(TimeSpan.FromMinutes(7));
        _room.Logs.Clear();
        using (_room.Hub.Faults.Add(Face.Hub, FollowRoom.Registries, FaultOf(fault)))
        {
            await _room.ReadAsync();
            await _room.ReadAsync();
            Assert.Equal("yes no", _room.Reaches("ghcr.io", "quay.io"));
            Assert.StartsWith(".7.", _room.Mark, StringComparison.Ordinal);
            Assert.Equal(cause, _room.Followed.States[0].Trouble);
            Assert.Contains($": {cause}; those of 2026-06-01 12:00:00Z stay in force (", Assert.Single(_room.Logs.At(LogLevel.Warning)), StringComparison.Ordinal);
            _room.Restart();
            Assert.Equal("yes no", _room.Reaches("ghcr.io", "quay.io"));
        }

        await _room.ReadAsync();
        Assert.Equal((".7", "any"), (_room.Mark, _room.Reaches("quay.io")));
        Assert.Null(await _room.ConcernAsync());
    }

    [Fact]
    public async Task As_long_as_registries_were_never_read_the_documents_own_count()
    {
        using var fault = _room.Hub.Faults.Add(Face.Hub, FollowRoom.Registries, Fault.Status(404));
        await _room.WriteAsync(FollowRoom.Document.Replace("\"enabled\": true,", "\"enabled\": true, \"registries\": { \"enabled\": true, \"custom\": [ { \"address\": \"own.example.com\", \"allowed\": true } ] },", StringComparison.Ordinal));
        await _room.ReadAsync();
        Assert.Equal("yes no", _room.Reaches("own.example.com", "ghcr.io"));
        Assert.Matches("^\\.6\\.[0-9a-f]{8}$", _room.Mark);
        Assert.StartsWith(
            "Docker Hub's own switches of acme were read 0 seconds ago and not since: Docker Hub does not know the registries of acme (404)", await _room.ConcernAsync(), StringComparison.Ordinal);
    }

    /// <summary>The program's own clock is behind Docker Hub's, or goes back.</summary>
    [Fact]
    public async Task A_clock_that_goes_back_costs_a_sign_in_and_no_more()
    {
        await _room.ReadAsync();
        _room.Time.Advance(TimeSpan.FromDays(-1));
        await _room.ReadAsync();
        Assert.Equal((2, Read), (_room.Asked(FollowRoom.SignIn).Count, _room.Holds));
    }

    private static Fault FaultOf(string fault) => fault switch
    {
        "html" => Fault.Status(200, "<html><body>Sign in</body></html>", "text/html"),
        "endless" => Fault.EndlessBody("""{"restricted_images":{"enabled":false,"a":""" + "\""),
        "truncated" => Fault.Truncate(10),
        "301" => Fault.Redirect("/v2/orgs/beta/settings", 301),
        "403" or "404" or "500" => Fault.Status(int.Parse(fault, System.Globalization.CultureInfo.InvariantCulture), "{}"),
        _ => Fault.Status(200, fault),
    };
}
