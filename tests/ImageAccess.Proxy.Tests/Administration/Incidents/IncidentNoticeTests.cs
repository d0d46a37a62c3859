using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Administration.Changes;
using ImageAccess.Proxy.Administration.Incidents;
using ImageAccess.Proxy.Administration.Roles;
using ImageAccess.Proxy.Administration.Usage;
using ImageAccess.Proxy.Callers.Members;
using ImageAccess.Proxy.Tests.Administration.Notifications;

namespace ImageAccess.Proxy.Tests.Administration.Incidents;

/// <summary>Those who pulled a blocked image are told by mail, each their own pulls; the receivers of the configuration are told who they are.</summary>
public sealed class IncidentNoticeTests : IAsyncLifetime
{
    private MailServer _mail = null!;
    private WebhookServer _hook = null!;
    private NotificationRoom _room = null!;

    public async Task InitializeAsync()
    {
        (_mail, _hook, _room) = (new MailServer(), await WebhookServer.StartAsync(), await NotificationRoom.OpenAsync());
        _room.WithWebhook(_hook).WithMail(_mail);
        _room.Members = _room.Members.With(
            new MemberList("acme", _room.Time.GetUtcNow(), [MemberOf("bob"), MemberOf("cleo"), MemberOf("dan")])
            {
                Addresses = new Dictionary<string, string> { ["bob"] = "bob@acme.example", ["cleo"] = "cleo@acme.example", ["olga"] = "olga@acme.example" },
            },
            out _);
    }

    public async Task DisposeAsync()
    {
        _room.Dispose();
        await _hook.DisposeAsync();
        await _mail.DisposeAsync();
    }

    [Fact]
    public async Task Each_is_told_the_own_pulls_and_the_receivers_who_pulled_and_the_same_is_told_once()
    {
        List<IncidentPull> pulls = [Pull("bob", "evil/tool", "7", 3), Pull("Cleo", "evil/tool", $"sha256:{new string('a', 64)}", 1), Pull("anonymous", "evil/tool", "7", 2), Pull("dan", "evil/tool", "7", 1), Pull("olga", "evil/tool", "7", 1)];
        for (var i = 0; i < 2; i++)
            await TellAsync(pulls);
        const string End = " Remove it from your machines, build anew what was built with it, and use another version.";
        Assert.Equal(
            [
                $"bob@acme.example: alice blocked evil/tool for everybody. Reason: stolen keys. You pulled evil/tool:7 3 times, last 2026-06-01 12:00 UTC from 192.0.2.7.{End}",
                $"cleo@acme.example: alice blocked evil/tool for everybody. Reason: stolen keys. You pulled evil/tool@sha256:{new string('a', 64)} 2026-06-01 12:00 UTC from 192.0.2.7.{End}",
            ],
            ToPullers().Order());
        var told = Assert.Single(_hook.Taken).Json;
        Assert.Equal(
            ("incident", "acme", "alice blocked evil/tool for everybody, and every proxy forgets what it keeps of it. It was pulled since 2026-05-02 12:00 UTC by bob, Cleo, anonymous, dan, olga (callers: 5). Reason: stolen keys."),
            (told.GetProperty("kind").GetString(), told.GetProperty("organization").GetString(), told.GetProperty("text").GetString()));
        Assert.Equal(["bob", "Cleo", "anonymous", "dan", "olga"], told.GetProperty("facts").GetProperty("pulls").EnumerateArray().Select(one => one.GetProperty("caller").GetString()));
        Assert.DoesNotContain("acme.example", told.GetRawText(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_others_wrote_makes_no_header_no_recipient_and_no_line()
    {
        const string Attack = "x\r\nBcc: victim@example.org\r\n\r\n.\r\nRCPT TO:<victim@example.org>";
        await TellAsync([Pull("bob", "evil/tool", Attack, 1) with { Client = Attack }, Pull(Attack, "evil/tool", "7", 1)], Attack);
        Assert.DoesNotContain(_mail.Raw, raw => raw.Contains("\nBcc:", StringComparison.OrdinalIgnoreCase) || raw.Contains("\nRCPT TO:<victim", StringComparison.Ordinal));
        Assert.All(_mail.Messages, message => Assert.DoesNotContain("victim", $"{message.To} {message.Cc} {message.Bcc}", StringComparison.Ordinal));
        var text = Assert.Single(ToPullers());
        Assert.StartsWith("bob@acme.example: alice blocked evil/tool for everybody. Reason: x??Bcc: victim@example.org????.", text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task However_many_pulled_what_is_told_is_bounded()
    {
        var pulls = Enumerable.Range(1, 2000).Select(number => Pull($"c{number}{new string('x', 190)}", "evil/tool", "7", 1)).ToList();
        var notices = Of(pulls, "stolen keys");
        Assert.Equal(1 + IncidentNotices.MaximumPullers, notices.Count);
        Assert.Equal(IncidentNotices.MaximumNamed, notices[0].Facts.GetProperty("pulls").GetArrayLength());
        Assert.InRange(notices.Max(notice => notice.ToBytes().Length), 1, 100_000);
        await TellAsync(pulls);
        Assert.Single(_hook.Taken);
    }

    private static MemberRecord MemberOf(string name) =>
        new(Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(System.Text.Encoding.UTF8.GetBytes(name)).AsSpan(0, 16)), name, OrganizationRole.Member);

    private IncidentPull Pull(string caller, string repository, string reference, int pulls) =>
        new("evil/tool", caller, ["acme"], "docker", "mirror", repository, "allow", pulls, pulls, _room.Time.GetUtcNow().UtcDateTime, _room.Time.GetUtcNow().UtcDateTime) { Client = "192.0.2.7", Reference = reference };

    private List<ImageAccess.Proxy.Administration.Notifications.Notice> Of(List<IncidentPull> pulls, string reason) => IncidentNotices.Of(
        "one", pulls, ["evil/tool"], new ChangeRequest(Actor.Server("alice"), reason), new UsageScope { Whole = ["acme"] }, _room.Time.GetUtcNow().AddDays(-30), _room.Time.GetUtcNow());

    private async Task TellAsync(List<IncidentPull> pulls, string reason = "stolen keys")
    {
        var process = _room.Start();
        foreach (var notice in Of(pulls, reason))
            process.Queue.Add(notice);
        await process.TellAsync();
    }

    private List<string> ToPullers() =>
        [.. _mail.Messages.Where(message => message.To.ToString().EndsWith("@acme.example", StringComparison.Ordinal)).Select(message => $"{message.To}: {message.TextBody!.Split('\n')[0].TrimEnd('\r')}")];
}
