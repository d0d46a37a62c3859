using System.Globalization;
using System.Text.Json;
using ImageAccess.Proxy.Tests.Connections.Ingress;

namespace ImageAccess.Proxy.Tests.Walk;

/// <summary>Whom to ask, and that an approval has ended, reach every client: most of them show the status line or the body, not both.</summary>
public abstract class WhomToAskTests(string transport) : WalkTests(transport)
{
    private const string Denied = "image access denied: community images not allowed";
    private const string Repository = "someuser/custom-image";
    private const string Digest = "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
    private const string NoProcess = " (no such process)";

    private static readonly string Long = string.Join(' ', Enumerable.Repeat("ask", 40)) + " https://it.example.com/r";

    /// <summary>What administrators write, and what of it a status line has.</summary>
    public static TheoryData<string, string> Helps => new()
    {
        { "write to images@example.com", " (write to images@example.com)" },
        { "https://it.example.com/new?kind=image&a=\"b\"", " (https://it.example.com/new?kind=image&a=\"b\")" },
        { "申请: https://access.example.com/new", " (https://access.example.com/new)" },
        { "zuständig ist Jörg", "" },
        { Long, " (https://it.example.com/r)" },
    };

    [Theory]
    [MemberData(nameof(Helps))]
    public async Task Every_answer_of_the_mirror_says_whom_to_ask(string help, string phrase)
    {
        await using var here = await StartAsync(WithHelp(help));
        var token = await here.PullTokenAsync("bob", Repository);
        foreach (var (userAgent, method, target, status, suffix) in new[]
        {
            ("docker/29.7.0 go/go1.25.4", "HEAD", "manifests/latest", 500, NoProcess),
            ("docker/29.7.0 go/go1.25.4", "GET", "manifests/latest", 500, NoProcess),
            ("docker/20.10.5+dfsg1", "GET", "tags/list?n=50", 500, NoProcess),
            ("containerd/2.2.0", "HEAD", $"manifests/{Digest}?ns=docker.io", 300, ""),
            ("containerd/2.2.0", "HEAD", "manifests/latest?ns=docker.io", 200, ""),
            ("buildkit/v0.26", "GET", $"manifests/{Digest}?ns=docker.io", 403, ""),
            ("containers/5.36.2", "GET", "tags/list", 403, ""),
            ("notation/1.3", "HEAD", "manifests/latest", 403, ""),
        })
        {
            var answer = await here.AskAsync(method, $"/v2/{Repository}/{target}", token, userAgent);
            Assert.Equal((status, Denied + phrase + suffix), (answer.Status, answer.Phrase));
            if (answer.Body.Length > 0)
                Assert.Equal($"{Denied} ({help})", answer.Message);
        }
    }

    [Theory]
    [MemberData(nameof(Helps))]
    public async Task A_refused_token_says_whom_to_ask(string help, string phrase)
    {
        await using var room = await IngressRoom.StartAsync(policy: WithHelp(help), settings: ("Listen:Transport", Transport));
        var request = IngressRoom.Request(
            "GET", "auth.docker.io", $"/token?service=registry.docker.io&scope=repository:{Repository}:pull", userAgent: "containerd/2.2.0", basic: "bob:dckr_pat_bob");
        foreach (var answer in new[] { await room.AskGatewayAsync("auth.docker.io", request), await room.AskForwardProxyAsync("auth.docker.io", request) })
            Assert.Equal((403, Denied + phrase, $"{Denied} ({help})"), (answer.Status, answer.Phrase, answer.Message));
    }

    /// <summary>The suffix that makes dockerd give up is never what is cut.</summary>
    [Theory]
    [InlineData(131)]
    [InlineData(132)]
    [InlineData(148)]
    [InlineData(149)]
    [InlineData(200)]
    public async Task What_does_not_fit_into_the_status_line_is_left_out_whole(int length)
    {
        var help = new string('h', length);
        await using var here = await StartAsync(WithHelp(help));
        var token = await here.PullTokenAsync("bob", Repository);
        var classic = await here.AskAsync("HEAD", $"/v2/{Repository}/manifests/latest", token, "docker/28.5.2");
        var plain = await here.AskAsync("HEAD", $"/v2/{Repository}/manifests/latest", token, "regclient/regctl (v0.11.1)");

        Assert.Equal(Denied + (length <= 130 ? $" ({help})" : "") + NoProcess, classic.Phrase);
        Assert.Equal(Denied + (length <= 148 ? $" ({help})" : ""), plain.Phrase);
        Assert.Equal($"299 - \"{Denied} ({help})\"", plain.Header("Warning"));
    }

    [Theory]
    [InlineData("2026-11-01", "ask in #platform", " (approval ended 2026-11-01; ask in #platform)")]
    [InlineData("2020-02-29", "https://it.example.com/new", " (approval ended 2020-02-29; https://it.example.com/new)")]
    [InlineData("2026-11-15", "", " (approval ended 2026-11-15)")]
    [InlineData("2026-11-16", "", null)]
    public async Task A_denial_after_an_approval_says_when_that_ended(string expires, string help, string? told)
    {
        var time = new ManualTime(new DateTimeOffset(2026, 11, 16, 8, 0, 0, TimeSpan.Zero));
        await using var here = await StartAsync(Approved(expires, help), hub => hub.Time = time, time);
        var token = await here.PullTokenAsync("bob", Repository);
        var answer = await here.AskAsync("GET", $"/v2/{Repository}/manifests/latest", token, "crane/v0.21.0 go-containerregistry/v0.21.0");
        var audit = (await here.AuditAsync(1))[^1];
        using var checks = Surroundings.NewClient(here.Admin);
        var check = JsonSerializer.Deserialize<JsonElement>(await checks.GetStringAsync($"/check?image={Repository}&as=bob")).GetProperty("image");

        if (told is null)
        {
            Assert.Equal(200, answer.Status);
            Assert.False(audit.TryGetProperty("approvalEnded", out _));
            Assert.Equal(JsonValueKind.Null, check.GetProperty("approvalEnded").ValueKind);
            return;
        }

        Assert.Equal((403, Denied + told, Denied + told), (answer.Status, answer.Phrase, answer.Message));
        Assert.Equal(expires, JsonSerializer.Deserialize<JsonElement>(answer.Body).GetProperty("errors")[0].GetProperty("detail").GetProperty("approvalEnded").GetString());
        Assert.Equal(("deny", "community", expires), (audit.GetProperty("outcome").GetString(), audit.GetProperty("rule").GetString(), audit.GetProperty("approvalEnded").GetString()));
        Assert.Equal((Denied + told, expires), (check.GetProperty("text").GetString(), check.GetProperty("approvalEnded").GetString()));
    }

    [Theory]
    [InlineData("docker/26.1.5+dfsg1", "HEAD")]
    [InlineData("containerd/1.7.24~ds1", "GET")]
    [InlineData("skopeo/1.22.0", "GET")]
    public async Task Where_it_is_only_observed_the_warning_says_so_too(string userAgent, string method)
    {
        var time = new ManualTime(new DateTimeOffset(2026, 11, 16, 8, 0, 0, TimeSpan.Zero));
        await using var here = await StartAsync(
            Approved("2026-11-02", "ask carol").Replace("\"enabled\"", "\"mode\": \"observe\", \"enabled\"", StringComparison.Ordinal), hub => hub.Time = time, time);
        var token = await here.PullTokenAsync("bob", Repository);
        await here.AskAsync("GET", $"/v2/{Repository}/manifests/latest", token);
        await here.AuditAsync(1); // the publisher is known from now on

        var answer = await here.AskAsync(method, $"/v2/{Repository}/manifests/latest", token, userAgent);
        Assert.Equal((200, $"299 - \"{Denied} (approval ended 2026-11-02; ask carol)\""), (answer.Status, answer.Header("Warning")));
        Assert.Equal("2026-11-02", (await here.AuditAsync(2))[1].GetProperty("approvalEnded").GetString());
    }

    private static string WithHelp(string help) => Surroundings.Policy.Replace("\"ask in #platform\"", JsonSerializer.Serialize(help), StringComparison.Ordinal);

    private static string Approved(string expires, string help) => Surroundings.Policy
        .Replace(", \"help\": \"ask in #platform\"", help.Length == 0 ? "" : string.Create(CultureInfo.InvariantCulture, $", \"help\": \"{help}\""), StringComparison.Ordinal)
        .Replace("\"enabled\"", $"\"allowlist\": [ {{ \"repository\": \"someuser/*\", \"expires\": \"{expires}\" }} ], \"enabled\"", StringComparison.Ordinal);
}

public sealed class WhomToAskTests_direct() : WhomToAskTests(Direct);

public sealed class WhomToAskTests_kestrel() : WhomToAskTests(Kestrel);
