using System.Globalization;
using ImageAccess.Proxy.Administration.Tokens;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Foundation.Limits;
using ImageAccess.Proxy.Policies.Store;
using ImageAccess.Proxy.Tests.Walk;
using Microsoft.EntityFrameworkCore;

namespace ImageAccess.Proxy.Tests.Administration.Api;

/// <summary>The HTTP API as programs speak it: every error is a problem that says what is wrong, and what is wrong changes nothing.</summary>
public sealed class ApiTests(ApiRoom room) : IClassFixture<ApiRoom>
{
    [Theory]
    [InlineData("""{ "organization": """, "the body line 1, column 19: not valid JSON: the document ends here")]
    [InlineData("""[ ]""", "the body has a wrong value: write an object")]
    [InlineData("""null""", "the body is null: write an object")]
    [InlineData("""{ "organization": "acme", "image": "a/b", "reason": "x", "untill": "2027-01-01T00:00:00Z" }""", "the body has a member that is not known: untill")]
    [InlineData("""{ "organization": "acme", "Image": "a/b", "reason": "x" }""", "the body has a member that is not known: Image")]
    [InlineData("""{ "organization": "acme", "image": "a/b" }""", "the body lacks a member: 'reason'.")]
    [InlineData("""{ "organization": "acme", "image": 5, "reason": "x" }""", "the body has a wrong value at image")]
    [InlineData("""{ "organization": "acme", "image": "a/b", "image": "c/d", "reason": "x" }""", "the body has a member twice: ")]
    [InlineData("""{ "organization": "acme", "image": "ghcr.io/a/b", "reason": "x" }""", "image 'ghcr.io/a/b' ")]
    [InlineData("""{ "organization": "acme", "image": "a/b", "reason": "x", "until": "2020-01-01T00:00:00Z" }""", "until it would end 2020-01-01 00:00Z, which is in the past")]
    [InlineData("""{ "organization": "acme", "image": "a/b", "reason": "x", "until": "2120-01-01T00:00:00Z" }""", "until it would end 2120-01-01 00:00Z: the policy allows exceptions of at most 90 days (exceptions.maximumDays)")]
    [InlineData("""{ "organization": "acme", "image": "a/b", "reason": "x" }""", "until it would not end: the policy allows exceptions of at most 90 days (exceptions.maximumDays)")]
    [InlineData("""{ "organization": "acme", "image": "a/b", "reason": "x", "until": "2027-01-01T00:00:00" }""", "until '2027-01-01T00:00:00' is no time, as 2027-01-31T12:00:00Z")]
    [InlineData("""{ "organization": "acme", "image": "a/b", "reason": "LONG" }""", "reason must have 1 to 1000 characters")]
    [InlineData("""{ "organization": "acme", "image": "a/b", "reason": "" }""", "reason must have 1 to 1000 characters")]
    [InlineData("""{ "organization": "acme", "image": "a/b", "reason": "a\u0007b" }""", "reason has characters that cannot be seen, as line ends or marks of direction")]
    [InlineData("""{ "organization": "acme", "image": "a/b", "reason": "a\u202eb" }""", "reason has characters that cannot be seen, as line ends or marks of direction")]
    [InlineData("""{ "organization": "acme", "image": "a/b", "reason": "x", "ticket": "a\nb" }""", "ticket has characters that cannot be seen, as line ends or marks of direction")]
    public async Task A_wrong_exception_is_refused_in_words_and_nothing_is_granted(string body, string detail)
    {
        var before = await CountAsync();
        var answer = await room.SendAsync("POST", "/api/v1/exceptions", await room.TokenAsync("administrator"), body.Replace("LONG", new string('x', 5000), StringComparison.Ordinal));
        Assert.True(answer.Status == 400, answer.Text);
        Assert.StartsWith(detail, answer.Detail, StringComparison.Ordinal);
        Assert.Equal("application/problem+json", answer.MediaType);
        Assert.Equal(before, await CountAsync());
    }

    [Fact]
    public async Task A_body_of_ten_megabytes_is_too_large()
    {
        var body = $$"""{ "organization": "acme", "image": "a/b", "reason": "{{new string('x', 10_000_000)}}" }""";
        var answer = await room.SendAsync("POST", "/api/v1/exceptions", await room.TokenAsync("administrator"), body);
        Assert.Equal((413, "the body is too large: at most 2 MiB"), (answer.Status, answer.Detail));
    }

    [Theory]
    [InlineData("GET", "/api/v1", 404, "there is nothing at /api/v1: /api/openapi.json says what there is")]
    [InlineData("GET", "/v3/", 404, "there is nothing at /v3/: /api/openapi.json says what there is")]
    [InlineData("DELETE", "/api/v1/exceptions", 405, "DELETE is not for this address")]
    [InlineData("GET", "/api/v1/exceptions/x", 404, "there is nothing at /api/v1/exceptions/x: /api/openapi.json says what there is")]
    [InlineData("GET", "/api/v1/exceptions/999", 404, "there is no exception 999")]
    [InlineData("GET", "/api/v1/exceptions?limit=0", 400, "limit must be 1 to 200")]
    [InlineData("GET", "/api/v1/exceptions?limit=201", 400, "limit must be 1 to 200")]
    [InlineData("GET", "/api/v1/exceptions?limit=many", 400, "the request cannot be read: ")]
    [InlineData("GET", "/api/v1/exceptions?cursor=!", 400, "cursor is none that this list has given")]
    [InlineData("GET", "/api/v1/exceptions?cursor=AAAA", 400, "cursor is none that this list has given")]
    [InlineData("GET", "/api/v1/exceptions?organisation=acme", 400, "unknown parameter organisation; known are: organization, ended, unused, limit, cursor")]
    [InlineData("GET", "/api/v1/exceptions?ended=true&unused=true", 400, "unused is asked of exceptions in force: leave out 'ended'")]
    [InlineData("GET", "/api/v1/exceptions?organization=acme&organization=globex", 400, "the parameter organization comes twice")]
    [InlineData("GET", "/api/v1/exceptions?organization=globex", 404, "there is no organization globex")]
    [InlineData("GET", "/api/v1/organizations/nobody/policy", 404, "there is no organization nobody")]
    [InlineData("GET", "/api/v1/images/UPPER", 400, "image ")]
    public async Task Whatever_is_not_there_or_cannot_be_read_is_a_problem(string method, string target, int status, string detail)
    {
        var answer = await room.SendAsync(method, target, await room.TokenAsync("administrator"));
        Assert.True(answer.Status == status, answer.Text);
        Assert.StartsWith(detail, answer.Detail, StringComparison.Ordinal);
        Assert.Equal(("application/problem+json", "no-store"), (answer.MediaType, answer.CacheControl));
    }

    /// <summary>Below the root of Docker's own API errors are as Docker's.</summary>
    [Theory]
    [InlineData("GET", "/v2/")]
    [InlineData("GET", "/v2/acme/app/manifests/latest")]
    public async Task No_registry_answers_at_the_console(string method, string target)
    {
        var answer = await room.SendAsync(method, target, await room.TokenAsync("administrator"));
        Assert.Equal(
            (404, $"there is nothing at {target}: /api/openapi.json says what there is", "application/json", "no-store"), (answer.Status, answer.Detail, answer.MediaType, answer.CacheControl));
    }

    [Fact]
    public async Task What_a_request_says_comes_back_without_marks_of_direction()
    {
        var token = await room.TokenAsync("administrator");
        Assert.Equal((400, "?x, a member of acme: that is no user name"), Told(await room.SendAsync("GET", "/api/v1/images/nginx?as=%E2%80%AEx", token)));
        Assert.Equal((404, "there is no organization ?x"), Told(await room.SendAsync("GET", "/api/v1/organizations/%E2%80%AEx/policy", token)));
        Assert.Equal((400, "unknown parameter ?x; known are: organization, ended, unused, limit, cursor"), Told(await room.SendAsync("GET", "/api/v1/exceptions?%E2%80%AEx=1", token)));

        static (int, string?) Told(ApiAnswer answer) => (answer.Status, answer.Detail);
    }

    /// <summary>Kestrel says of a size beyond all numbers what it says of a connection that broke.</summary>
    [Fact]
    public async Task A_chunk_whose_size_is_none_is_the_requests_fault()
    {
        using var socket = new System.Net.Sockets.TcpClient();
        await socket.ConnectAsync(room.Client.BaseAddress!.Host, room.Client.BaseAddress.Port);
        var stream = socket.GetStream();
        await stream.WriteAsync(System.Text.Encoding.ASCII.GetBytes(
            $"POST /api/v1/blocks HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {await room.TokenAsync("administrator")}\r\n"
            + "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFF\r\n{"));
        using var reader = new StreamReader(stream);
        Assert.Equal("HTTP/1.1 400 Bad Request", await reader.ReadLineAsync());
    }

    /// <summary>acme's administrator learns neither that bob belongs to globex too, nor what globex says.</summary>
    [Fact]
    public async Task A_token_of_one_organization_is_told_the_verdict_of_that_one_alone()
    {
        foreach (var name in new[] { "hank", "gail" })
        {
            var one = (await room.SendAsync("GET", $"/api/v1/images/nginx?as={name}", await room.TokenAsync("administrator"))).Json;
            Assert.Equal(
                ($"{name}, a member of acme", "allow", "official", """["acme"]"""),
                (one.GetProperty("caller").GetString(), Of(one, "verdict").GetString(), Of(one, "rule").GetString(), Of(one, "organizations").GetRawText()));
        }

        var owner = (await room.SendAsync("GET", "/api/v1/images/nginx?as=alice", await room.TokenAsync("administrator"))).Json;
        Assert.Equal(("owner", """["acme"]"""), (Of(owner, "rule").GetString(), Of(owner, "organizations").GetRawText()));
        var all = (await room.SendAsync("GET", "/api/v1/images/nginx?as=hank&organization=acme", await room.TokenAsync("company-owner", null))).Json;
        Assert.Equal("""["acme","globex"]""", Of(all, "organizations").GetRawText());
        Assert.Equal(404, (await room.SendAsync("GET", "/api/v1/images/nginx?organization=nobody", await room.TokenAsync("company-owner", null))).Status);

        static System.Text.Json.JsonElement Of(System.Text.Json.JsonElement answer, string member) => answer.GetProperty("image").GetProperty(member);
    }

    /// <summary>All pulls together have 140 questions to Docker Hub's API in a minute.</summary>
    [Fact]
    public async Task With_a_token_nobody_uses_up_the_questions_of_all_pulls()
    {
        var token = await room.TokenAsync("member", label: "a flood of names");
        room.Here.Hub.Requests.Clear();
        for (var i = 0; i < 30; i++)
            await room.SendAsync("GET", $"/api/v1/images/invented{room.Next()}/tool", token);
        Assert.InRange(room.Here.Hub.Requests.Of(ImageAccess.FakeHubs.Face.Hub).Count(request => request.RawTarget.Contains("invented", StringComparison.Ordinal)), 1, 20);
        var other = await room.SendAsync("GET", "/api/v1/images/someuser/custom-image", await room.TokenAsync("auditor"));
        Assert.Equal("community", other.Json.GetProperty("image").GetProperty("rule").GetString());
    }

    [Fact]
    public async Task What_was_blocked_is_in_force_when_it_is_answered()
    {
        var token = await room.TokenAsync("company-owner", null);
        var made = await room.SendAsync("POST", "/api/v1/blocks", token, """{ "image": "evil/at-once", "reason": "malware" }""");
        var lifted = await room.SendAsync("POST", $"/api/v1/blocks/{made.Json.GetProperty("id").GetInt64()}/lift", token, """{ "reason": "cleaned" }""");
        Assert.True(lifted.Status == 200, lifted.Text);
        Assert.DoesNotContain("evil/at-once", (await room.SendAsync("GET", "/api/v1/blocks?limit=200", token)).Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_body_that_is_no_JSON_by_its_type_is_not_read()
    {
        var answer = await room.SendAsync("POST", "/api/v1/blocks", await room.TokenAsync("administrator"), "{ }", contentType: "text/plain");
        Assert.Equal((415, "the body must be JSON: Content-Type: application/json"), (answer.Status, answer.Detail));
    }

    [Fact]
    public async Task What_is_another_organizations_is_answered_as_what_is_not_there()
    {
        var (id, token) = (await room.ExceptionAsync("globex"), await room.TokenAsync("administrator"));
        foreach (var (method, path) in new[] { ("GET", ""), ("POST", "/end") })
        {
            var others = await room.SendAsync(method, $"/api/v1/exceptions/{id}{path}", token, method == "POST" ? """{ "reason": "x" }""" : null);
            var nobodys = await room.SendAsync(method, $"/api/v1/exceptions/{id + 100_000}{path}", token, method == "POST" ? """{ "reason": "x" }""" : null);
            Assert.Equal(nobodys.Text.Replace((id + 100_000).ToString(CultureInfo.InvariantCulture), id.ToString(CultureInfo.InvariantCulture), StringComparison.Ordinal), others.Text);
            Assert.Equal(404, others.Status);
        }

        var seen = await room.SendAsync("GET", "/api/v1/exceptions?limit=200", token);
        Assert.All(seen.Json.GetProperty("items").EnumerateArray(), one => Assert.Equal("acme", one.GetProperty("organization").GetString()));
    }

    [Fact]
    public async Task An_exception_is_granted_listed_in_parts_and_ended()
    {
        var token = await room.TokenAsync("approver", person: null);
        var ids = new List<long>();
        for (var i = 0; i < 5; i++)
        {
            var until = DateTime.UtcNow.AddDays(5).ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture);
            var made = await room.SendAsync("POST", "/api/v1/exceptions", token, $$"""{ "organization": "acme", "image": "listed/t{{i}}", "reason": "because", "until": "{{until}}" }""");
            Assert.Equal(201, made.Status);
            var done = made.Json.GetProperty("done");
            Assert.Equal(until, done.GetProperty("until").GetString());
            Assert.Matches("^token [0-9]+$", done.GetProperty("approvedBy").GetString());
            Assert.Equal($"/api/v1/exceptions/{done.GetProperty("id")}", made.Location);
            ids.Add(done.GetProperty("id").GetInt64());
        }

        var again = await room.SendAsync("POST", "/api/v1/exceptions", token, $$"""{ "organization": "acme", "image": "listed/t0", "reason": "because", "until": "{{DateTime.UtcNow.AddDays(5):yyyy-MM-dd}}T00:00:00Z" }""");
        Assert.Equal((409, true), (again.Status, again.Detail!.StartsWith("acme has an exception for listed/t0 already: ", StringComparison.Ordinal)));

        var found = new List<long>();
        for (var target = "/api/v1/exceptions?limit=2"; target.Length > 0;)
        {
            var part = (await room.SendAsync("GET", target, token)).Json;
            found.AddRange(part.GetProperty("items").EnumerateArray().Select(one => one.GetProperty("id").GetInt64()));
            Assert.InRange(part.GetProperty("items").GetArrayLength(), 1, 2);
            target = part.TryGetProperty("next", out var next) ? $"/api/v1/exceptions?limit=2&cursor={next.GetString()}" : "";
        }

        Assert.Equal(found.OrderDescending(), found);
        Assert.Empty(ids.Except(found));

        var ended = await room.SendAsync("POST", $"/api/v1/exceptions/{ids[0]}/end", token, """{ "reason": "no longer" }""");
        Assert.Equal((200, "no longer"), (ended.Status, ended.Json.GetProperty("endedReason").GetString()));
        var twice = await room.SendAsync("POST", $"/api/v1/exceptions/{ids[0]}/end", token, """{ "reason": "no longer" }""");
        Assert.Equal(409, twice.Status);
    }

    [Fact]
    public async Task The_policy_is_told_with_its_version_and_changed_only_from_the_one_that_was_read()
    {
        var token = await room.TokenAsync("company-owner", null);
        var read = await room.SendAsync("GET", "/api/v1/policy", token);
        Assert.Equal((200, ApiRoom.Policy, $"\"{room.Service<IPolicyStore>().Current.Version}\""), (read.Status, read.Text, read.Tag));
        var section = await room.SendAsync("GET", "/api/v1/organizations/acme/policy", token);
        Assert.Equal("acme", section.Json.GetProperty("name").GetString());
        Assert.Matches("^\"[0-9a-f]{12}\"$", section.Tag);

        foreach (var target in new[] { "/api/v1/policy?reason=x", "/api/v1/organizations/acme/policy?reason=x" })
        {
            Assert.Equal(428, (await room.SendAsync("PUT", target, token, ApiRoom.Policy)).Status);
            Assert.Equal(400, (await room.SendAsync("PUT", target, token, ApiRoom.Policy, "W/\"abc\"")).Status);
            Assert.Equal(400, (await room.SendAsync("PUT", target, token, ApiRoom.Policy, "*")).Status);
        }

        var noReason = await room.SendAsync("PUT", "/api/v1/policy", token, ApiRoom.Policy, read.Tag);
        Assert.Equal((400, "reason must have 1 to 1000 characters"), (noReason.Status, noReason.Detail));
    }

    [Fact]
    public async Task A_token_is_shown_once_works_at_once_and_is_written_nowhere()
    {
        var maker = await room.TokenAsync("administrator", person: "alice");
        var made = await room.SendAsync("POST", "/api/v1/tokens", maker, """{ "role": "auditor", "label": "for the report" }""");
        Assert.Equal(201, made.Status);
        var (secret, id) = (made.Json.GetProperty("secret").GetString()!, made.Json.GetProperty("token").GetProperty("id").GetInt64());
        Assert.Matches("^imageaccess_[A-Za-z0-9_-]{43}$", secret);
        Assert.Equal(("acme", "alice"), (made.Json.GetProperty("token").GetProperty("organization").GetString(), made.Json.GetProperty("token").GetProperty("person").GetString()));
        Assert.Equal(200, (await room.SendAsync("GET", "/api/v1/status", secret)).Status);
        room.Service<DatabaseState>().Wake();
        await Eventually.TrueAsync(() => room.Database.ReadAsync(context => context.ApiTokens.AnyAsync(row => row.Id == id && row.Told == 1), default));

        var revoked = await room.SendAsync("POST", $"/api/v1/tokens/{id}/revoke", maker);
        Assert.Equal((200, "alice"), (revoked.Status, revoked.Json.GetProperty("revokedBy").GetString()));
        Assert.Equal(401, (await room.SendAsync("GET", "/api/v1/status", secret)).Status);
        Assert.DoesNotContain(secret, room.Here.Log.ToString(), StringComparison.Ordinal);
        Assert.DoesNotContain((await room.Here.AuditAsync(1)).Select(line => line.GetRawText()), line => line.Contains(secret[12..], StringComparison.Ordinal));
        Assert.DoesNotContain(secret, (await room.SendAsync("GET", "/api/v1/tokens", maker)).Text, StringComparison.Ordinal);
        foreach (var file in Directory.GetFiles(room.Here.DataDirectory, "imageaccess.db*"))
            Assert.Equal(-1, (await ReadAsync(file)).AsSpan().IndexOf(System.Text.Encoding.ASCII.GetBytes(secret[12..])));
    }

    [Theory]
    [InlineData("""{ "role": "company-owner", "label": "x" }""", 400, "organization does not go with the role company-owner, which is for every organization")]
    [InlineData("""{ "role": "approver", "label": "x", "organization": "globex" }""", 404, "there is no organization globex")]
    [InlineData("""{ "role": "emperor", "label": "x" }""", 400, "role 'emperor' is not one of member, auditor, approver, administrator, owner, on-call, company-owner, reporter")]
    [InlineData("""{ "role": "auditor", "label": "x", "expires": "2020-01-01T00:00:00Z" }""", 400, "expires must be 1 to 365 days from now")]
    [InlineData("""{ "role": "auditor", "label": "x", "expires": "2120-01-01T00:00:00Z" }""", 400, "expires must be 1 to 365 days from now")]
    [InlineData("""{ "role": "auditor", "label": "" }""", 400, "label must have 1 to 64 characters")]
    public async Task A_token_makes_none_that_may_more_or_lasts_for_ever(string body, int status, string detail)
    {
        var answer = await room.SendAsync("POST", "/api/v1/tokens", await room.TokenAsync("administrator"), body);
        Assert.Equal((status, detail), (answer.Status, answer.Detail));
    }

    [Fact]
    public async Task A_token_ends_with_the_role_of_its_person()
    {
        var token = await room.TokenAsync("administrator", "globex", "gail");
        Assert.Equal(200, (await room.SendAsync("GET", "/api/v1/status", token)).Status);
        await room.Here.WritePolicyAsync(ApiRoom.Policy.Replace("\"owners\": [ \"gail\" ]", "\"owners\": [ \"ivan\" ], \"help\": \"gail left\"", StringComparison.Ordinal));
        Assert.Equal(401, (await room.SendAsync("GET", "/api/v1/status", token)).Status);
        await room.Here.WritePolicyAsync(ApiRoom.Policy);
        Assert.Equal(200, (await room.SendAsync("GET", "/api/v1/status", token)).Status);
    }

    [Fact]
    public async Task Wrong_tokens_are_limited_for_each_address_and_a_good_one_goes_on()
    {
        var good = await room.TokenAsync("auditor");
        Assert.Equal(200, await FromAsync("10.9.9.9", good));
        for (var i = 0; i < SignInBudget.TriesOfAddress; i++)
            Assert.Equal(401, await FromAsync("10.9.9.9", TokenSecret.Make()));
        Assert.Equal(429, await FromAsync("10.9.9.9", TokenSecret.Make()));
        Assert.Equal(200, await FromAsync("10.9.9.9", good));
        Assert.Equal(401, await FromAsync("10.9.9.10", TokenSecret.Make()));
        IEnumerable<string?> reasons = [];
        await Eventually.TrueAsync(async () => (reasons = (await room.Here.AuditAsync(1))
            .Where(line => line.TryGetProperty("event", out var name) && name.GetString() == "token-refused" && line.GetProperty("client").GetString() == "10.9.9.9")
            .Select(line => line.GetProperty("reason").GetString()).Order().ToList()).Count() >= 2);
        Assert.Equal(["limit", "unknown"], reasons); // those that are alike are merged
    }

    [Fact]
    public async Task One_client_has_so_many_requests_at_once_and_leaves_room_for_others()
    {
        var (limits, share) = (room.Service<ClientLimits>(), ClientShare.Of(System.Net.IPAddress.Parse("10.8.8.8")));
        var held = new List<IDisposable>();
        for (var i = 0; i < LimitOptions.ConsoleRequests / 4; i++)
        {
            Assert.True(limits.ConsoleRequests.TryEnter(share, out var slot));
            held.Add(slot);
        }

        var good = await room.TokenAsync("auditor");
        Assert.Equal(429, await FromAsync("10.8.8.8", good));
        Assert.Equal(200, await FromAsync("10.8.8.7", good));
        held.ForEach(slot => slot.Dispose());
        Assert.Equal(200, await FromAsync("10.8.8.8", good));
    }

    [Fact]
    public async Task A_token_that_would_go_in_the_clear_is_refused()
    {
        Assert.Equal(403, await FromAsync("10.7.7.7", await room.TokenAsync("auditor"), scheme: "http"));
        Assert.Equal(200, await FromAsync(null, await room.TokenAsync("auditor"), scheme: null)); // the machine's own
    }

    [Fact]
    public async Task Nothing_of_it_is_on_a_registry_port_nor_on_the_admin_listener()
    {
        var token = await room.TokenAsync("auditor");
        var mirror = await room.Here.AskAsync("GET", "/api/v1/status", token);
        Assert.Equal(404, mirror.Status);
        using var admin = Surroundings.NewClient(room.Here.Admin);
        using var response = await admin.GetAsync(new Uri("/api/v1/status", UriKind.Relative));
        Assert.Equal(404, (int)response.StatusCode);
    }

    private static async Task<byte[]> ReadAsync(string file)
    {
        await using var stream = new FileStream(file, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
        using var content = new MemoryStream();
        await stream.CopyToAsync(content);
        return content.ToArray();
    }

    private async Task<int> FromAsync(string? address, string token, string? scheme = "https")
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, "/api/v1/status");
        request.Headers.Add("Authorization", $"Bearer {token}");
        if (address is not null)
            request.Headers.Add("X-Forwarded-For", address);
        if (scheme is not null)
            request.Headers.Add("X-Forwarded-Proto", scheme);
        using var response = await room.Client.SendAsync(request);
        return (int)response.StatusCode;
    }

    private Task<int> CountAsync() => room.Database.ReadAsync(context => context.Exceptions.CountAsync(row => row.Image.StartsWith("a/")), default);
}
