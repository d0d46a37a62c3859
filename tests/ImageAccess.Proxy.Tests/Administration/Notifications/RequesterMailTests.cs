using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Callers.Members;
using ImageAccess.Proxy.Foundation.Audit;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Policies.Exceptions;
using MimeKit;
using SmtpServer.Protocol;

namespace ImageAccess.Proxy.Tests.Administration.Notifications;

/// <summary>Who has asked for access is told the answer by mail, at the address of a member list and at no other.</summary>
public sealed class RequesterMailTests : IAsyncLifetime
{
    private MailServer _mail = null!;
    private WebhookServer _hook = null!;
    private NotificationRoom _room = null!;

    public async Task InitializeAsync()
    {
        (_mail, _hook, _room) = (new MailServer(), await WebhookServer.StartAsync(), await NotificationRoom.OpenAsync());
        _room.WithWebhook(_hook).WithMail(_mail);
    }

    public async Task DisposeAsync()
    {
        _room.Dispose();
        await _hook.DisposeAsync();
        await _mail.DisposeAsync();
    }

    [Fact]
    public async Task Each_who_asked_is_told_the_answer_alone_at_the_address_that_the_list_of_who_answers_has()
    {
        Use("acme", ("bob", "bob@acme.example"), ("cleo", "cleo@acme.example"), ("olga", "olga@acme.example"));
        Use("beta", ("bob", "bob@beta.example"), ("cleo", null));
        await TellAsync(
            Step("approved", "open", "acme", "alice", "that one alone") with { Exception = 7, Granted = "someuser/tool:7", Until = _room.Time.GetUtcNow().AddDays(10) },
            Step("approved", "approved", "beta", "nina", null) with { Exception = 8, Granted = "someuser/tool:7" },
            Step("declined", "declined", "beta", "nina", "use valkey", request: 13),
            Step("ended", "ended", null, null, "nobody answered it within 30 days", request: 14));

        (string To, string Text)[] expected =
        [
            ("acme", "acme approved your request 12 for someuser/tool: someuser/tool:7, until 2026-06-11 12:00 UTC. The image comes once each of acme, beta has approved. alice says: that one alone."),
            ("beta", "beta approved your request 12 for someuser/tool: someuser/tool:7. Pull it as before: docker pull someuser/tool:7."),
            ("beta", "beta declined your request 13 for someuser/tool. nina says: use valkey."),
            ("acme", "Your request 14 for someuser/tool has ended: nobody answered it within 30 days. You may ask again."),
        ];
        Assert.Equal(expected.Select(each => $"bob@{each.To}.example: {each.Text}"), ToRequesters("bob"));
        Assert.Equal(expected.Select(each => $"cleo@acme.example: {each.Text}"), ToRequesters("cleo")); // beta's list has no address of hers
        Assert.Equal(8, ToRequesters("").Count);
        Assert.Equal(_mail.Messages.Count, _mail.Messages.Select(message => message.MessageId).Distinct().Count());
        Assert.Equal(4, _hook.Taken.Count);
        Assert.Equal(4, _mail.Messages.Count(message => message.To.ToString() == "security@example.com, platform@example.com"));
        AssertNoAddress(await _room.RowsAsync());
    }

    /// <summary>Of a whole repository the tag is the asker's to choose; a digest is pulled as such.</summary>
    [Theory]
    [InlineData("someuser/tool", null, "someuser/tool. Pull it as before: docker pull someuser/tool:TAG.")]
    [InlineData("someuser/tool:7", "sha256:aa", "someuser/tool:7 as sha256:aa. Pull it as before: docker pull someuser/tool:7.")]
    [InlineData("someuser/tool@sha256:aa", null, "someuser/tool@sha256:aa. Pull it as before: docker pull someuser/tool@sha256:aa.")]
    public async Task An_approval_says_what_is_pulled(string granted, string? digest, string expected)
    {
        Use("acme", ("bob", "bob@acme.example"));
        await TellAsync(Step("approved", "approved", "acme", "alice", null) with { Granted = granted, Digest = digest, Exception = 7 });
        Assert.Equal([$"bob@acme.example: acme approved your request 12 for someuser/tool: {expected}"], ToRequesters(""));
    }

    [Theory]
    [InlineData("bob@example.com\r\nBcc: victim@example.org")]
    [InlineData("bob@example.com\nRCPT TO:<victim@example.org>")]
    [InlineData("bob@example.com,victim@example.org")]
    [InlineData("bob@example.com, victim@example.org")]
    [InlineData("bob@example.com;victim@example.org")]
    [InlineData("Bob <bob@example.com>")]
    [InlineData("<bob@example.com>")]
    [InlineData("<victim@example.org>bob@example.com")]
    [InlineData("group:bob@example.com;")]
    [InlineData("\"bob\"@example.com")]
    [InlineData("bob(comment)@example.com")]
    [InlineData("bob@example.com\0")]
    [InlineData("bob\u202e@example.com")]
    [InlineData("größe@example.com")]
    [InlineData("bob@exämple.com")]
    [InlineData("bob@a@example.com")]
    [InlineData("bob")]
    [InlineData("@example.com")]
    [InlineData("bob@")]
    [InlineData(" ")]
    [InlineData("bob@example.com ")]
    [InlineData("long")]
    public async Task What_is_not_one_plain_address_is_none(string address)
    {
        Use("acme", ("bob", address == "long" ? new string('a', 244) + "@example.com" : address), ("cleo", "cleo@acme.example"));
        await TellAsync(Step("declined", "declined", "acme", "alice", "no"));
        Assert.Equal(["cleo@acme.example: acme declined your request 12 for someuser/tool. alice says: no."], ToRequesters(""));
        Assert.DoesNotContain("victim", string.Join('\n', _mail.Raw), StringComparison.Ordinal);
        Assert.All(await _room.RowsAsync(), row => Assert.Equal(OutboxRow.Sent, row.State)); // and nothing waits for it
    }

    [Fact]
    public async Task Who_has_left_whose_name_is_another_ones_now_and_whose_organization_has_no_list_is_told_nothing()
    {
        await TellAsync(Step("declined", "declined", "acme", "alice", "no list"));
        Use("acme", ("bob", "bob@acme.example"), ("cleo", "cleo@acme.example"));
        Use("gamma", ("bob", "bob@gamma.example")); // which has nothing to do with the request
        Use("acme", ("bob", "bob@acme.example"));
        _room.Members = _room.Members.With(new Takeover("bob", IdOf("bob"), IdOf("mallory"), _room.Time.GetUtcNow().AddDays(1)));
        await TellAsync(Step("declined", "declined", "acme", "alice", "again"));
        Assert.Equal(["bob@acme.example: acme declined your request 12 for someuser/tool. alice says: again."], ToRequesters("")); // the account that the list knows
        Use("acme", ("cleo", "cleo@acme.example"));
        await TellAsync(Step("declined", "declined", "acme", "alice", "the last time"));
        Assert.Single(ToRequesters("bob"));
        Assert.Equal(["cleo@acme.example: acme declined your request 12 for someuser/tool. alice says: the last time."], ToRequesters("cleo"));
    }

    [Fact]
    public async Task Before_the_list_is_read_it_waits_and_an_address_that_is_dead_by_then_holds_up_nobody()
    {
        _room.Members = MemberBook.Empty.With(new MemberList("acme", _room.Time.GetUtcNow(), [MemberOf("bob"), MemberOf("cleo")]), out _); // as it was kept on disk
        var process = await TellAsync(Step("declined", "declined", "acme", "alice", "no"));
        Assert.Empty(ToRequesters(""));
        Assert.Contains(_room.Log.ToString().Split('\n'), line => line.Contains("Notifications:Mail:Requesters cannot be told: the member list with their addresses was not read since the start", StringComparison.Ordinal));
        Use("acme", ("bob", "bob@acme.example"), ("cleo", "cleo@acme.example"));
        _mail.Answer = new SmtpResponse(SmtpReplyCode.MailboxUnavailable, "no such canary");
        for (var i = 0; i < 3; i++)
        {
            _room.Time.Advance(TimeSpan.FromMinutes(2));
            await process.SendAsync();
        }

        Assert.Empty(ToRequesters(""));
        Assert.Equal([(OutboxRow.Sent, "Mail:Requesters"), (OutboxRow.Sent, "Mail:Requesters")], (await _room.RowsAsync()).Where(row => row.Receiver == "Mail:Requesters").Select(row => (row.State, row.Receiver)));
        _mail.Answer = new SmtpResponse(SmtpReplyCode.ServiceUnavailable, "later");
        await TellAsync(Step("declined", "declined", "acme", "alice", "once more"), process);
        _mail.Answer = SmtpResponse.Ok;
        _room.Time.Advance(TimeSpan.FromMinutes(2));
        await process.SendAsync();
        await process.SendAsync();
        Assert.Equal(2, ToRequesters("").Count);
        AssertNoAddress(await _room.RowsAsync());
    }

    [Fact]
    public async Task What_ends_is_told_to_who_asked_for_it_and_the_configuration_can_switch_that_off()
    {
        Use("acme", ("bob", "bob@acme.example"), ("cleo", "cleo@acme.example"), ("fay", "fay@acme.example"));
        var (lasting, brief) = (await GrantAsync("someuser/tool", days: 30), await GrantAsync("someuser/brief", days: 14));
        await AskedAsync(1, lasting, ("bob", false), ("fay", true));
        await AskedAsync(2, lasting, ("bob", false), ("cleo", false));
        await AskedAsync(3, brief, ("bob", false));
        _room.Time.Advance(TimeSpan.FromDays(1));
        var process = _room.Start();
        await LookAsync(process);
        Assert.Empty(ToRequesters(""));
        _room.Time.Advance(TimeSpan.FromDays(15));
        await LookAsync(process);
        await LookAsync(_room.Start());
        const string Text = "acme.example: The exception of acme for someuser/tool, which you asked for, ends 2026-07-01 12:00 UTC. "
            + "If you need the image longer, ask again: imageaccess requests create someuser/tool --reason TEXT --days DAYS.";
        Assert.Equal([$"bob@{Text}", $"cleo@{Text}"], ToRequesters("").Order());

        _room.Settings["Notifications:Mail:Requesters"] = "false";
        await TellAsync(Step("declined", "declined", "acme", "alice", "no"), _room.Start());
        Assert.Equal(2, ToRequesters("").Count);
    }

    private static string IdOf(string name) => Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(System.Text.Encoding.UTF8.GetBytes(name)).AsSpan(0, 16));

    private static MemberRecord MemberOf(string name) => new(IdOf(name), name, OrganizationRole.Member);

    private void Use(string organization, params (string Name, string? Address)[] members) => _room.Members = _room.Members.With(
        new MemberList(organization, _room.Time.GetUtcNow(), [.. members.Select(member => MemberOf(member.Name))])
        {
            Addresses = members.Where(member => member.Address is not null).ToDictionary(member => member.Name, member => member.Address!),
        },
        out _);

    /// <summary>Of bob and cleo, whom acme denies it, and beta.</summary>
    private RequestStep Step(string step, string state, string? organization, string? by, string? reason, long request = 12) =>
        new(request, step, state, "someuser/tool", ["acme", "beta"], organization, by, ["bob", "cleo"], reason, _room.Time.GetUtcNow());

    private async Task<NotificationProcess> TellAsync(params RequestStep[] steps)
    {
        var process = _room.Start();
        foreach (var step in steps)
            _room.Audit.Trail.RecordRequest(step);
        await process.TellAsync();
        return process;
    }

    private async Task TellAsync(RequestStep step, NotificationProcess process)
    {
        _room.Audit.Trail.RecordRequest(step);
        await process.TellAsync();
    }

    private static async Task LookAsync(NotificationProcess process)
    {
        await process.Looks.LookAsync(default);
        await process.SendAsync();
    }

    private async Task<long> GrantAsync(string image, int days)
    {
        Assert.True(GrantedException.TryParsePattern(image, out var pattern, out _));
        var now = _room.Time.GetUtcNow();
        return (await new ExceptionChanges(_room.Database, _room.Time).AddAsync(new GrantedException(0, "acme", pattern, null, false, "because", "bob", "alice", now, now.AddDays(days)), default)).Id;
    }

    private Task AskedAsync(long request, long exception, params (string Person, bool HasWithdrawn)[] voices) => _room.Database.WriteAsync(
        async context =>
        {
            context.RequestAnswers.Add(new RequestAnswerRow { Request = request, Organization = "acme", State = RequestAnswerRow.Approved, Exception = exception });
            context.RequestVoices.AddRange(voices.Select(voice => new RequestVoiceRow
            {
                Request = request,
                Person = voice.Person,
                Reason = "r",
                Days = 30,
                Withdrawn = voice.HasWithdrawn ? _room.Time.GetUtcNow() : null,
            }));
            await context.SaveChangesAsync();
        },
        default);

    /// <summary>What came to one person, or to all, with the address that it came to; each message has one recipient.</summary>
    private List<string> ToRequesters(string person) =>
    [
        .. _mail.Messages.Where(message => message.To is [MailboxAddress { Address: var to }] && to.StartsWith(person, StringComparison.Ordinal))
            .Select(message => $"{message.To}: {message.TextBody!.ReplaceLineEndings("\n").Split('\n')[0]}"),
    ];

    private void AssertNoAddress(IEnumerable<OutboxRow> rows)
    {
        var kept = string.Join('\n', rows.Select(row => row.ToString()).Append(_room.Log.ToString()).Append(File.ReadAllText(_room.Directory["notifications.jsonl"])))
            + string.Join('\n', _hook.Requests.Select(request => System.Text.Encoding.UTF8.GetString(request.Body)));
        Assert.DoesNotContain("acme.example", kept, StringComparison.Ordinal);
        Assert.DoesNotContain("beta.example", kept, StringComparison.Ordinal);
    }
}
