using System.Net;
using ImageAccess.FakeHubs;
using ImageAccess.Proxy.Callers.Members;
using ImageAccess.Proxy.Hosting;
using ImageAccess.Proxy.Policies.Store;
using ImageAccess.Proxy.Tests.Walk;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;

namespace ImageAccess.Proxy.Tests.Tools.Verbs;

/// <summary><c>imageaccess check</c> on a running proxy.</summary>
public sealed class CheckTests(SharedSurroundings shared) : IClassFixture<SharedSurroundings>, IDisposable
{
    private readonly TemporaryDirectory _directory = new();

    private Surroundings Here => shared.Here;

    [Fact]
    public async Task Each_image_has_its_verdict_rule_category_and_text()
    {
        var check = await CheckAsync("nginx:1.27", "docker.io/bitnami/redis", "someuser/custom-image", "index.docker.io/acme/app", "localhost:5000/x");

        Assert.Equal(
            """
            as an anonymous caller, by policy VERSION of the proxy at ADMIN

            VERDICT  RULE                CATEGORY                            IMAGE
            allow    official            official (name)                     nginx:1.27
            deny     verified-publisher  verified-publisher (hub, just now)  bitnami/redis
                image access denied: verified publisher images not allowed (ask in #platform)
            deny     community           community (hub, just now)           someuser/custom-image
                image access denied: community images not allowed (ask in #platform)
            allow    organization        organization (policy)               acme/app
            outside  -                   -                                   localhost:5000/x
                localhost:5000 is not Docker Hub: outside this policy

            5 images: 2 allowed, 2 denied, 1 outside the policy

            """,
            check.Output.Replace(Version, "VERSION", StringComparison.Ordinal).Replace(Address, "ADMIN", StringComparison.Ordinal));
        Assert.Equal(1, check.ExitCode);
        Assert.Empty(check.Error);
    }

    [Fact]
    public async Task The_text_is_what_a_client_gets()
    {
        var check = await CheckAsync("someuser/custom-image", "--json");

        var token = await Here.PullTokenAsync(null, "someuser/custom-image");
        var answer = await Here.AskAsync("GET", "/v2/someuser/custom-image/manifests/latest", token);
        Assert.Equal(answer.Message, check.Json.GetProperty("images")[0].GetProperty("text").GetString());
        Assert.Equal(403, answer.Status);
    }

    [Theory]
    [InlineData("someuser/custom-image", 1, "deny", "community")]
    [InlineData("someuser/custom-image", 0, "allow", "owner", "--as", "alice")]
    [InlineData("someuser/custom-image", 0, "allow", "owner", "--as", "Alice")]
    [InlineData("someuser/custom-image", 1, "deny", "community", "--as", "bob")]
    [InlineData("someuser/custom-image", 1, "deny", "community", "--as", "nobody")]
    [InlineData("someuser/custom-image", 1, "deny", "community", "--organization", "acme")]
    [InlineData("nginx", 1, "deny", "organization-token", "--as", "acme")]
    [InlineData("nginx", 0, "allow", "official", "--organization", "acme", "--as", "bob")]
    public async Task As_whom_it_is_judged(string image, int exit, string verdict, string rule, params string[] caller)
    {
        var check = await CheckAsync([image, "--json", .. caller]);

        var found = check.Json.GetProperty("images")[0];
        Assert.Equal(exit, check.ExitCode);
        Assert.Equal((verdict, rule), (found.GetProperty("verdict").GetString(), found.GetProperty("rule").GetString()));
    }

    [Fact]
    public async Task The_facts_are_there_as_JSON()
    {
        var check = await CheckAsync("bitnami/redis:7", "ghcr.io/x/y", "--as", "bob", "--json");

        Assert.Equal("bob", check.Json.GetProperty("caller").GetString());
        Assert.True(check.Json.GetProperty("imageAccess").GetBoolean());
        Assert.Equal(Version, check.Json.GetProperty("policyVersion").GetString());
        var redis = check.Json.GetProperty("images")[0];
        Assert.Equal("bitnami/redis:7", redis.GetProperty("image").GetString());
        Assert.Equal("bitnami/redis", redis.GetProperty("repository").GetString());
        Assert.Equal("verified-publisher", redis.GetProperty("category").GetString());
        Assert.Equal("hub", redis.GetProperty("categorySource").GetString());
        Assert.InRange(redis.GetProperty("categoryAgeSeconds").GetInt64(), 0, 600);
        Assert.Equal("acme", redis.GetProperty("organizations")[0].GetString());
        var other = check.Json.GetProperty("images")[1];
        Assert.Equal("outside", other.GetProperty("verdict").GetString());
        Assert.False(other.TryGetProperty("rule", out _));
    }

    [Fact]
    public async Task An_observed_denial_is_no_denial()
    {
        await using var observing = await Surroundings.StartAsync(Surroundings.Policy.Replace("\"enabled\"", "\"mode\": \"observe\", \"enabled\"", StringComparison.Ordinal));

        var check = await CommandLine.RunAsync("check", "someuser/custom-image", "--config", Configure(observing.Admin));

        Assert.Equal(0, check.ExitCode);
        Assert.Contains("observe  community  community (hub, just now)  someuser/custom-image", check.Output, StringComparison.Ordinal);
        Assert.Contains("image access denied: community images not allowed", check.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_check_leaves_no_trace_in_the_audit()
    {
        await CheckAsync("someuser/checked");
        var token = await Here.PullTokenAsync("bob", "someuser/pulled");
        await Here.AskAsync("GET", "/v2/someuser/pulled/manifests/latest", token);

        await Eventually.TrueAsync(() => AuditText().Contains("someuser/pulled", StringComparison.Ordinal));
        Assert.DoesNotContain("someuser/checked", AuditText(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Without_a_proxy_it_says_so_and_names_the_way_out()
    {
        var check = await CommandLine.RunAsync("check", "nginx", "--config", Configure(new Uri("http://127.0.0.1:1")));

        Assert.Equal(2, check.ExitCode);
        Assert.Equal(
            "imageaccess: the proxy at http://127.0.0.1:1 does not answer (Connection refused); start it, or use --offline to judge with the policy's file alone\n",
            check.Error);
        Assert.Empty(check.Output);
    }

    [Fact]
    public async Task What_answers_and_is_no_proxy_is_not_believed()
    {
        var check = await CommandLine.RunAsync("check", "nginx", "--config", Configure(Here.Hub.Hub));
        Assert.Equal(2, check.ExitCode);
        Assert.Contains("is not this program", check.Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("'Nginx' has upper-case letters; a repository's name has none", "Nginx")]
    [InlineData("'a//b' is not the name of an image", "a//b", "nginx")]
    [InlineData("a member of beta: the policy's organizations are acme", "nginx", "--organization", "beta")]
    [InlineData("that is no user name", "nginx", "--as", "a\u001bb")]
    [InlineData("Required argument missing")]
    [InlineData("'--colour' is not the name of an image", "nginx", "--colour")]
    public async Task Wrong_usage_is_told(string why, params string[] arguments)
    {
        var check = await CheckAsync(arguments);
        Assert.NotEqual(0, check.ExitCode);
        Assert.Contains(why, check.Error, StringComparison.Ordinal);
        Assert.DoesNotContain('\u001b', check.Error);
        Assert.DoesNotContain("VERDICT", check.Output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("?image=nginx&image=httpd", "image comes twice")]
    [InlineData("?image=nginx&user=bob", "unknown parameter user")]
    [InlineData("?as=bob", "image is empty")]
    [InlineData("", "image is empty")]
    [InlineData("?image=nginx&organization=beta", "the policy's organizations are acme")]
    public async Task The_admin_listener_refuses_what_it_does_not_know(string query, string why)
    {
        using var client = Surroundings.NewClient(Here.Admin);
        using var answer = await client.GetAsync(new Uri("/check" + query, UriKind.Relative));
        Assert.Equal(HttpStatusCode.BadRequest, answer.StatusCode);
        Assert.Contains(why, (await answer.Content.ReadAsStringAsync()).Replace("\\u0027", "'", StringComparison.Ordinal), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_long_query_is_refused()
    {
        using var client = Surroundings.NewClient(Here.Admin);
        using var answer = await client.GetAsync(new Uri($"/check?image=nginx&as={new string('a', 2048)}", UriKind.Relative));
        Assert.Equal(HttpStatusCode.BadRequest, answer.StatusCode);
    }

    [Fact]
    public async Task A_name_that_somebody_made_lead_here_is_refused()
    {
        using var client = Surroundings.NewClient(Here.Admin);
        using var request = new HttpRequestMessage(HttpMethod.Get, "/check?image=nginx");
        request.Headers.Host = "rebound.example.com";
        using var answer = await client.SendAsync(request);
        Assert.Equal(HttpStatusCode.Forbidden, answer.StatusCode);
    }

    [Theory]
    [InlineData("192.0.2.7", "10.0.0.5", "10.0.0.5:9000", 403)]
    [InlineData("192.0.2.7", "10.0.0.5", "localhost:9000", 403)]
    [InlineData("10.0.0.5", "10.0.0.5", "10.0.0.5:9000", 200)]
    [InlineData("127.0.0.1", "127.0.0.1", "localhost:9000", 200)]
    [InlineData("127.0.0.1", "127.0.0.1", "localhost.example.com:9000", 403)]
    [InlineData("::1", "::1", "[::1]:9000", 200)]
    [InlineData(null, null, "localhost", 403)]
    public async Task It_answers_its_own_machine_alone(string? remote, string? local, string host, int status)
    {
        var http = new DefaultHttpContext { RequestServices = Here.Proxy.Services };
        http.Connection.RemoteIpAddress = remote is null ? null : IPAddress.Parse(remote);
        http.Connection.LocalIpAddress = local is null ? null : IPAddress.Parse(local);
        http.Request.Host = new HostString(host);
        http.Request.QueryString = new QueryString("?image=nginx");

        await Here.Proxy.Services.GetRequiredService<CheckEndpoint>().HandleAsync(http);

        Assert.Equal(status, http.Response.StatusCode);
    }

    [Fact]
    public async Task Only_so_many_checks_run_at_once()
    {
        await using var slow = await Surroundings.StartAsync();
        var release = new TaskCompletionSource();
        slow.Hub.Faults.Add(Face.Hub, Fault.HoldUntil(release.Task));
        using var client = Surroundings.NewClient(slow.Admin);

        var checks = Enumerable.Range(0, 9).Select(i => client.GetAsync(new Uri($"/check?image=publisher{i}/x", UriKind.Relative))).ToList();
        var first = await Task.WhenAny(checks);
        release.SetResult();

        Assert.Equal(HttpStatusCode.ServiceUnavailable, (await first).StatusCode);
        Assert.Equal(8, (await Task.WhenAll(checks)).Count(answer => answer.StatusCode == HttpStatusCode.OK));
    }

    [Fact]
    public async Task A_publisher_that_cannot_be_verified_is_denied_with_the_text_for_it()
    {
        await using var dead = await Surroundings.StartAsync();
        dead.Hub.Faults.Add(Face.Hub, Fault.CloseConnection());

        var check = await CommandLine.RunAsync("check", "someuser/x", "--config", Configure(dead.Admin), "--json");

        var found = check.Json.GetProperty("images")[0];
        Assert.Equal(1, check.ExitCode);
        Assert.Equal(("deny", "unknown", "unknown"), (Text("verdict"), Text("rule"), Text("category")));
        Assert.Equal("image access unavailable: the publisher of someuser could not be verified, try again (ask in #platform)", Text("text"));

        string? Text(string name) => found.GetProperty(name).GetString();
    }

    [Fact]
    public async Task A_user_is_what_the_directory_says()
    {
        await using var listed = await Surroundings.StartAsync(
            """{ "organizations": [ { "name": "acme", "enabled": true } ] }""",
            hub: null,
            ("Identity:Directory:Organization", "acme"), ("Identity:Directory:Username", "acme"), ("Identity:Directory:Secret", "dckr_oat_acme"));
        var book = listed.Proxy.Services.GetRequiredService<MembershipDirectory>();
        await Eventually.TrueAsync(() => book.Book.Named("alice") is not null);

        var owner = await CommandLine.RunAsync("check", "someuser/x", "--as", "alice", "--config", Configure(listed.Admin));
        var member = await CommandLine.RunAsync("check", "someuser/x", "--as", "bob", "--config", Configure(listed.Admin));

        Assert.Contains("allow    owner", owner.Output, StringComparison.Ordinal);
        Assert.Contains("deny     community", member.Output, StringComparison.Ordinal);
        Assert.Empty(book.Book.Takeovers); // a check is no sign that a name went to another account
    }

    [Fact]
    public async Task The_category_is_told_though_no_rule_needs_it()
    {
        await using var off = await Surroundings.StartAsync("""{ "organizations": [ { "name": "acme" } ] }""");

        var check = await CommandLine.RunAsync("check", "bitnami/redis", "someuser/x", "nginx", "--config", Configure(off.Admin), "--json");

        Assert.Equal(0, check.ExitCode);
        Assert.False(check.Json.GetProperty("imageAccess").GetBoolean());
        Assert.Equal(
            ["off verified-publisher", "off community", "off official"],
            check.Json.GetProperty("images").EnumerateArray().Select(image => $"{image.GetProperty("rule")} {image.GetProperty("category")}"));
    }

    [Fact]
    public async Task The_mirror_listener_does_not_answer_it()
    {
        using var answer = await Here.Client.GetAsync(new Uri("/check?image=nginx", UriKind.Relative));
        Assert.NotEqual(HttpStatusCode.OK, answer.StatusCode);
        Assert.DoesNotContain("official", await answer.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Help_tells_how()
    {
        var help = await CommandLine.RunAsync("check", "--help");
        Assert.Equal(0, help.ExitCode);
        Assert.All(
            ["IMAGE", "--as", "--organization", "--json", "--offline", "--config"], word => Assert.Contains(word, help.Output, StringComparison.Ordinal));
    }

    [Fact]
    public async Task The_program_itself_answers_by_its_exit_code()
    {
        var configuration = Configure(Here.Admin);
        var (denied, allowed, wrong) = (
            await CommandLine.StartAsync(["check", "someuser/custom-image", "--config", configuration]),
            await CommandLine.StartAsync(["check", "nginx", "--config", configuration]),
            await CommandLine.StartAsync(["check"]));

        Assert.Equal((1, 0, 2), (denied.ExitCode, allowed.ExitCode, wrong.ExitCode));
        Assert.Contains("image access denied: community images not allowed (ask in #platform)", denied.Output, StringComparison.Ordinal);
    }

    public void Dispose() => _directory.Dispose();

    private string Version => Here.Proxy.Services.GetRequiredService<IPolicyStore>().Current.Version;

    private string Address => Here.Admin.GetLeftPart(UriPartial.Authority);

    private Task<CommandLine> CheckAsync(params string[] arguments) =>
        CommandLine.RunAsync(["check", .. arguments, "--config", Configure(Here.Admin)]);

    private string Configure(Uri admin)
    {
        var file = _directory["imageaccess.json"];
        File.WriteAllText(file, $$"""{ "Listen": { "Admin": "{{admin.GetLeftPart(UriPartial.Authority)}}" } }""");
        return file;
    }

    private string AuditText()
    {
        using var reader = new StreamReader(new FileStream(Here.AuditFile, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete));
        return reader.ReadToEnd();
    }
}
