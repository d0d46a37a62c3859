using System.Text.Json;
using ImageAccess.Core.Oci;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Foundation.Audit;

namespace ImageAccess.Proxy.Tests.Foundation.Audit;

/// <summary>The contract of a line, to the character.</summary>
public sealed class AuditLineTests : IDisposable
{
    private readonly AuditFixture _fixture = new();

    [Fact]
    public async Task A_denial()
    {
        var entry = _fixture.Denied();
        _fixture.Time.Advance(TimeSpan.FromMicroseconds(12_340));
        await entry.DisposeAsync();

        Assert.Equal(
            OneLine($$"""
                {"id":"{{entry.Id}}","time":"2026-06-01T12:00:00.000Z","caller":"bob","organizations":["acme"],"client":"192.0.2.7",
                "wayIn":"mirror","userAgent":"docker/29.0","method":"GET","repository":"someuser/custom-image","reference":"latest",
                "category":"community","categorySource":"hub","categoryAgeSeconds":90,"rule":"community","outcome":"deny",
                "policyVersion":"0123456789ab","upstreamStatus":null,"durationMs":12.3}
                """),
            Assert.Single(await _fixture.WrittenAsync()));
    }

    [Fact]
    public async Task A_confirmed_account()
    {
        _fixture.Trail.RecordConfirmation((id, now) => new ConfirmationEvent(id, now, "alice", new string('b', 32), "dan and eve", "asked\nher", now.AddSeconds(-1)) { Organization = "acme", Ticket = "OPS-1" });
        var line = Assert.Single(await _fixture.WrittenAsync());
        Assert.Equal(
            OneLine($$"""
                {"id":"{{JsonDocument.Parse(line).RootElement.GetProperty("id").GetString()}}","time":"2026-06-01T12:00:00.000Z","event":"account-confirmed","organization":"acme","user":"dan and eve","caller":"alice",
                "account":"{{new string('b', 32)}}","reason":"asked\nher","at":"2026-06-01T11:59:59.000Z","ticket":"OPS-1"}
                """),
            line);
    }

    [Fact]
    public async Task An_allowed_manifest()
    {
        var entry = _fixture.Allowed();
        await entry.DisposeAsync();

        Assert.Equal(
            OneLine($$"""
                {"id":"{{entry.Id}}","time":"2026-06-01T12:00:00.000Z","caller":"bob","organizations":["acme"],"client":"192.0.2.7",
                "wayIn":"mirror","userAgent":"docker/29.0","method":"GET","repository":"library/nginx","reference":"latest",
                "category":"official","categorySource":"name","categoryAgeSeconds":null,"rule":"official","outcome":"allow",
                "policyVersion":"0123456789ab","upstreamStatus":200,"durationMs":0}
                """),
            Assert.Single(await _fixture.WrittenAsync()));
    }

    [Fact]
    public async Task What_is_not_known_is_null()
    {
        var http = AuditFixture.Http(userAgent: null);
        http.Connection.RemoteIpAddress = null;
        var entry = _fixture.Trail.Open(http);
        entry.Decision = AuditFixture.Decide("bob", "someuser/x");
        await entry.DisposeAsync();

        Assert.Equal(
            OneLine($$"""
                {"id":"{{entry.Id}}","time":"2026-06-01T12:00:00.000Z","caller":null,"organizations":["acme"],"client":null,
                "wayIn":null,"userAgent":null,"method":"GET","repository":null,"reference":null,
                "category":"unknown","categorySource":null,"categoryAgeSeconds":null,"rule":"unknown","outcome":"deny",
                "policyVersion":null,"upstreamStatus":null,"durationMs":0}
                """),
            Assert.Single(await _fixture.WrittenAsync()));
    }

    [Fact]
    public async Task An_anonymous_caller_and_a_denial_without_a_registry_request()
    {
        var entry = _fixture.Denied();
        entry.Caller = Caller.Anonymous;
        entry.Request = null;
        Assert.True(RepositoryName.TryParse("someuser/custom-image", out var repository));
        entry.Repository = repository;
        await entry.DisposeAsync();

        using var line = JsonDocument.Parse(Assert.Single(await _fixture.WrittenAsync()));
        Assert.Equal("anonymous", line.RootElement.GetProperty("caller").GetString());
        Assert.Equal("someuser/custom-image", line.RootElement.GetProperty("repository").GetString());
        Assert.Equal(JsonValueKind.Null, line.RootElement.GetProperty("reference").ValueKind);
    }

    [Fact]
    public async Task An_observed_request()
    {
        var entry = _fixture.Allowed();
        entry.Decision = AuditFixture.Decide("olga", "library/nginx");
        await entry.DisposeAsync();

        using var line = JsonDocument.Parse(Assert.Single(await _fixture.WrittenAsync()));
        Assert.Equal("observe", line.RootElement.GetProperty("outcome").GetString());
        Assert.Equal("beta", line.RootElement.GetProperty("organizations")[0].GetString());
    }

    [Fact]
    public async Task What_a_token_or_a_directory_says_of_the_caller()
    {
        var entry = _fixture.Denied();
        entry.Caller = Caller.SignedIn("bob", "sub", [
            new Membership("acme", OrganizationRole.Member), new Membership("beta", OrganizationRole.Owner),
            .. Enumerable.Range(0, 300).Select(i => new Membership(new string('x', 300), OrganizationRole.Member))]);
        await entry.DisposeAsync();

        var line = Assert.Single(await _fixture.WrittenAsync());
        Assert.Contains("""
            "organizations":["acme"],"memberships":["member of acme","owner of beta","member of xxx
            """, line, StringComparison.Ordinal);
        using var json = JsonDocument.Parse(line);
        Assert.Equal(32, json.RootElement.GetProperty("memberships").GetArrayLength());
        Assert.Equal(256, json.RootElement.GetProperty("memberships")[31].GetString()!.Length);
    }

    [Fact]
    public async Task That_a_member_list_does_not_name_the_caller()
    {
        var entry = _fixture.Denied();
        entry.Caller = Caller.SignedIn("alice", "sub", [new Membership("beta", OrganizationRole.Owner), new Membership("acme", OrganizationRole.None)]);
        await entry.DisposeAsync();
        Assert.Contains(
            """ "memberships":["owner of beta","absent from acme"] """.Trim(), Assert.Single(await _fixture.WrittenAsync()), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_policy_change()
    {
        _fixture.Trail.RecordPolicyChange("none", "0123456789ab", ["organization acme: disabled", "image access is off"]);

        var line = Assert.Single(await _fixture.WrittenAsync());
        var id = JsonDocument.Parse(line).RootElement.GetProperty("id").GetString();
        Assert.Matches("^[0-9a-f]{32}$", id);
        Assert.Equal(
            OneLine($$"""
                {"id":"{{id}}","time":"2026-06-01T12:00:00.000Z","event":"policy","policyVersion":"0123456789ab","previousVersion":"none",
                "opens":["organization acme: disabled","image access is off"]}
                """),
            line);
    }

    [Fact]
    public async Task A_block_and_its_end()
    {
        Assert.True(ImagePattern.TryParse("docker.io/library/nginx:1.27", out var pattern, out _));
        var block = new Block(7, pattern, "攻击", "eve", new DateTimeOffset(2026, 6, 1, 13, 30, 0, TimeSpan.FromHours(2)));
        _fixture.Trail.RecordBlock(block);
        _fixture.Trail.RecordUnblock(block, null, null, null);

        var lines = await _fixture.WrittenAsync();
        var ids = lines.Select(line => JsonDocument.Parse(line).RootElement.GetProperty("id").GetString()).ToList();
        Assert.Equal(
            OneLine($$"""
                {"id":"{{ids[0]}}","time":"2026-06-01T12:00:00.000Z","event":"block","block":7,"user":"eve","closes":["nginx:1.27"],
                "reason":"\u653B\u51FB","at":"2026-06-01T11:30:00.000Z"}
                """),
            lines[0]);
        Assert.Equal(
            OneLine($$"""
                {"id":"{{ids[1]}}","time":"2026-06-01T12:00:00.000Z","event":"unblock","block":7,"user":null,"opens":["nginx:1.27"],"reason":null,"at":null}
                """),
            lines[1]);
    }

    [Fact]
    public async Task An_exception_and_its_end()
    {
        Assert.True(ImagePattern.TryParse("docker.io/library/nginx:1.27", out var pattern, out _));
        Assert.True(Digest.TryParse($"sha256:{new string('a', 64)}", out var digest));
        var at = new DateTimeOffset(2026, 6, 1, 13, 30, 0, TimeSpan.FromHours(2));
        _fixture.Trail.RecordException(new GrantedException(7, "acme", pattern, digest, Follow: false, "\u202e", "bob", "alice", at, at.AddDays(1)));
        _fixture.Trail.RecordExceptionEnd(new GrantedException(8, "acme", pattern, null, Follow: true, "r", null, "alice", at, null), null, null, null);

        var lines = await _fixture.WrittenAsync();
        var ids = lines.Select(line => JsonDocument.Parse(line).RootElement.GetProperty("id").GetString()).ToList();
        Assert.Equal(
            OneLine($$"""
                {"id":"{{ids[0]}}","time":"2026-06-01T12:00:00.000Z","event":"exception","exception":7,"organization":"acme","user":"alice","askedBy":"bob",
                "opens":["nginx:1.27"],"digest":"sha256:{{new string('a', 64)}}","reason":"\u202E","until":"2026-06-02T11:30:00.000Z","at":"2026-06-01T11:30:00.000Z"}
                """),
            lines[0]);
        Assert.Equal(
            OneLine($$"""
                {"id":"{{ids[1]}}","time":"2026-06-01T12:00:00.000Z","event":"exception-ended","exception":8,"organization":"acme","user":null,"askedBy":null,
                "closes":["nginx:1.27"],"follow":true,"reason":null,"until":null,"at":null}
                """),
            lines[1]);
    }

    [Fact]
    public async Task A_change_that_takes_two_persons_and_one_that_may_not_be()
    {
        var at = new DateTimeOffset(2026, 6, 1, 13, 30, 0, TimeSpan.FromHours(2));
        _fixture.Trail.RecordChange(new ChangeStep(3, "exception", "waiting", "acme", "alice", "alice", ["nginx:1.27", "\u202e"], "for the build", "OPS-1", at));
        _fixture.Trail.RecordChange(new ChangeStep(4, "unblock", "ended", null, null, "alice", [], null, null, at));
        for (var i = 0; i < 3; i++)
            _fixture.Trail.RecordForbiddenChange("mallory", "liftBlock", null);

        var lines = await _fixture.WrittenAsync();
        var ids = lines.Select(line => JsonDocument.Parse(line).RootElement.GetProperty("id").GetString()).ToList();
        Assert.Equal(
            [
                OneLine($$"""
                    {"id":"{{ids[0]}}","time":"2026-06-01T12:00:00.000Z","event":"change","change":3,"kind":"exception","state":"waiting","organization":"acme",
                    "user":"alice","askedBy":"alice","opens":["nginx:1.27","\u202E"],"reason":"for the build","at":"2026-06-01T11:30:00.000Z","ticket":"OPS-1"}
                    """),
                OneLine($$"""
                    {"id":"{{ids[1]}}","time":"2026-06-01T12:00:00.000Z","event":"change","change":4,"kind":"unblock","state":"ended","organization":null,
                    "user":null,"askedBy":"alice","opens":[],"reason":null,"at":"2026-06-01T11:30:00.000Z"}
                    """),
                OneLine($$"""
                    {"id":"{{ids[2]}}","time":"2026-06-01T12:00:00.000Z","event":"change-forbidden","user":"mallory","operation":"liftBlock","organization":null,"outcome":"deny"}
                    """), // the others are counted in a closing line
            ],
            lines.Take(3));
    }

    [Fact]
    public async Task A_ticket_ends_the_line_of_what_was_done_by_it()
    {
        Assert.True(ImagePattern.TryParse("nginx", out var pattern, out _));
        var block = new Block(7, pattern, "r", "alice", DateTimeOffset.UnixEpoch) { Ticket = "OPS-1" };
        var exception = new GrantedException(8, "acme", pattern, null, Follow: false, "r", null, "alice", DateTimeOffset.UnixEpoch, null) { Ticket = "OPS-3" };
        _fixture.Trail.RecordBlock(block);
        _fixture.Trail.RecordUnblock(block, "bob", "r", DateTimeOffset.UnixEpoch, "OPS-2");
        _fixture.Trail.RecordException(exception);
        _fixture.Trail.RecordExceptionEnd(exception, "bob", "r", DateTimeOffset.UnixEpoch, "OPS-4");
        Assert.Equal(
            ["OPS-1", "OPS-2", "OPS-3", "OPS-4"],
            (await _fixture.WrittenAsync()).Select(line => JsonDocument.Parse(line).RootElement.EnumerateObject().Last()).Where(last => last.Name == "ticket").Select(last => last.Value.GetString()));
    }

    [Fact]
    public async Task A_policy_change_that_opens_a_thousand_things_stays_bounded()
    {
        _fixture.Trail.RecordPolicyChange("a", "b", [.. Enumerable.Range(0, 1000).Select(i => new string('x', 10_000))]);

        using var line = JsonDocument.Parse(Assert.Single(await _fixture.WrittenAsync()));
        var opens = line.RootElement.GetProperty("opens");
        Assert.Equal(201, opens.GetArrayLength());
        Assert.Equal("and 800 more", opens[200].GetString());
        Assert.Equal(256, opens[0].GetString()!.Length);
    }

    [Fact]
    public async Task What_the_cache_forgot()
    {
        await _fixture.Trail.RecordForgottenAsync("acme/app", "1.0", 12, 1, "root", System.Net.IPAddress.Loopback, "a key\nin it", CancellationToken.None);
        await _fixture.Trail.RecordForgottenAsync("acme/app", null, 0, 0, null, null, null, CancellationToken.None);

        var lines = await _fixture.WrittenAsync();
        Assert.Contains(
            """
            "event":"forgotten","user":"root","client":"127.0.0.1","repository":"acme/app","reference":"1.0","links":12,"tags":1,"reason":"a key\nin it"}
            """, lines[0], StringComparison.Ordinal);
        Assert.Contains(
            """
            "event":"forgotten","user":null,"client":null,"repository":"acme/app","reference":null,"links":0,"tags":0,"reason":null}
            """, lines[1], StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("a\r\n{\"outcome\":\"allow\"}", @"a\r\n{\u0022outcome\u0022:\u0022allow\u0022}")]
    [InlineData("\u202Eevil\u2066", @"\u202Eevil\u2066")]
    [InlineData("\u001b[2J\u0000\u007f", @"\u001B[2J\u0000\u007F")]
    [InlineData("\u0085\u2028\u2029", @"\u0085\u2028\u2029")]
    [InlineData("docker \u00e9 \ud83d\udc33", @"docker \u00E9 \uD83D\uDC33")]
    [InlineData("</script>\\", @"\u003C/script\u003E\\")]
    public async Task Text_of_clients_is_escaped(string text, string written)
    {
        var entry = _fixture.Denied();
        await entry.DisposeAsync();
        await WithAgentAsync(text);

        var lines = await _fixture.WrittenAsync();
        Assert.Equal(2, lines.Count);
        Assert.Contains($"\"userAgent\":\"{written}\",", lines[1], StringComparison.Ordinal);
        Assert.All(lines[1], c => Assert.InRange(c, ' ', '~'));
    }

    [Fact]
    public async Task Half_a_character_is_replaced()
    {
        await WithAgentAsync("a" + '\ud83d');
        Assert.Contains(@"""userAgent"":""a\uFFFD"",", Assert.Single(await _fixture.WrittenAsync()), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Text_of_clients_is_cut()
    {
        await WithAgentAsync(new string('a', 10 * 1024));
        await WithAgentAsync(new string('a', 256));
        await WithAgentAsync(new string('a', 255) + "\ud83d\udc33");

        var lines = await _fixture.WrittenAsync();
        Assert.Equal([256, 256, 255], lines.Select(line => JsonDocument.Parse(line).RootElement.GetProperty("userAgent").GetString()!.Length));
    }

    [Fact]
    public async Task A_method_and_a_name_of_clients_are_cut_and_escaped()
    {
        var http = AuditFixture.Http("X\u202E" + new string('Y', 5000));
        await using (var entry = _fixture.Trail.Open(http))
        {
            entry.Caller = Caller.SignedIn("\u202Emallory" + new string('z', 5000), "sub");
            entry.Decision = AuditFixture.Decide("bob", "someuser/x");
        }

        var line = Assert.Single(await _fixture.WrittenAsync());
        Assert.Contains(@"""caller"":""\u202Emalloryzzz", line, StringComparison.Ordinal);
        Assert.Contains(@"""method"":""X\u202EYYY", line, StringComparison.Ordinal);
        Assert.True(line.Length < 2000);
    }

    [Fact]
    public async Task A_record_read_after_the_request_began_has_no_negative_age()
    {
        var entry = _fixture.Denied();
        entry.Decision = AuditFixture.Decide("bob", "someuser/x", Core.Classification.PublisherFacts.Known(
            new("someuser", Core.Classification.NamespaceBadge.None, "hub", _fixture.Time.GetUtcNow() + TimeSpan.FromSeconds(3))));
        await entry.DisposeAsync();
        Assert.Contains("\"categoryAgeSeconds\":0,", Assert.Single(await _fixture.WrittenAsync()), StringComparison.Ordinal);
    }

    public void Dispose() => _fixture.Dispose();

    private static string OneLine(string written) => written.ReplaceLineEndings("");

    private async Task WithAgentAsync(string userAgent)
    {
        await using var entry = _fixture.Trail.Open(AuditFixture.Http(userAgent: userAgent));
        entry.PolicyVersion = AuditEntry.NewId(); // so that nothing is merged
        entry.Decision = AuditFixture.Decide("bob", "someuser/x");
    }
}
