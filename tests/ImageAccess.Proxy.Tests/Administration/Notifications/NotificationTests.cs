using System.Globalization;
using System.Text.Json;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Administration.Notifications;
using ImageAccess.Proxy.Foundation.Audit;
using ImageAccess.Proxy.Foundation.Database;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Logging;

namespace ImageAccess.Proxy.Tests.Administration.Notifications;

/// <summary>Whoever the configuration names is told once of each thing, whatever fails, and nobody else is.</summary>
public sealed class NotificationTests : IAsyncLifetime
{
    private const string Digest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    private WebhookServer _hook = null!;
    private NotificationRoom _room = null!;

    public async Task InitializeAsync() => (_hook, _room) = (await WebhookServer.StartAsync(), await NotificationRoom.OpenAsync());

    public async Task DisposeAsync()
    {
        _room.Dispose();
        await _hook.DisposeAsync();
    }

    [Fact]
    public async Task Each_kind_of_change_is_told_to_a_webhook_and_by_mail_signed_and_with_its_link()
    {
        await using var mail = new MailServer();
        var process = _room.WithWebhook(_hook).WithMail(mail).Start();
        RecordAll();
        await process.TellAsync();

        (string Kind, string Text, string? Path)[] expected =
        [
            ("exception", "alice granted acme an exception for docker.io/someuser/tool, until 2026-07-01 12:00 UTC, asked for by bob. Reason: we need it. Ticket: OPS-1.", null),
            ("exception-ended", "alice ended the exception 7 of acme for docker.io/someuser/tool. Reason: over.", null),
            ("block", "alice blocked docker.io/evil/* for everybody. Reason: CVE-1.", null),
            ("unblock", "carol lifted the block of docker.io/evil/*. Reason: fixed.", null),
            ("policy", "alice changed the policy. It opens community images to acme, someuser/x to acme. Reason: asked for.", null),
            ("change-waiting", "alice asks for a change that waits for a second person: someuser/y to acme. Reason: please.", null),
            ("change-done", "carol approved the change 3 that alice asked for: someuser/y to acme.", null),
            ("change-declined", "carol declined the change 4 that alice asked for: someuser/z to acme. Reason: no.", null),
            ("change-ended", "The change 5 that alice asked for waits no longer: someuser/q to acme. Reason: nobody approved it.", null),
            ("token", "alice made the token 9 of the API, administrator of acme, until 2026-07-01 12:00 UTC. It is for: terraform.", null),
            ("token-revoked", "alice revoked the token 9 of the API, administrator of acme. It is for: terraform.", null),
            ("request", "bob asks acme, beta for someuser/tool. To answer: imageaccess requests approve 12, or decline 12. Reason: for the build. Ticket: OPS-2.", "d/4d1fab"),
            ("request-joined", "cleo asks acme, beta for someuser/tool as others do already. To answer: imageaccess requests approve 12, or decline 12. Reason: for the tests.", null),
            ("request-waiting",
                "alice approved the request 12 of bob, cleo for acme: someuser/tool. It waits for a second person: imageaccess changes approve 3. Comment: fine.", null),
            ("request-reopened",
                "The request 12 of bob, cleo for someuser/tool waits for acme again: its approval was not done. To answer: imageaccess requests approve 12, or decline 12. Reason: a mistake.", null),
            ("request-approved",
                $"alice and carol approved the request 12 of bob, cleo for acme: someuser/tool:7 as {Digest}, until 2026-06-11 12:00 UTC. Asked for was someuser/tool. "
                + "It is open until each of acme, beta has answered. Comment: that one alone.", null),
            ("request-approved", "nina approved the request 12 of bob, cleo for beta: someuser/tool.", null),
            ("request-declined", "nina declined the request 13 of bob for someuser/other, for beta. Comment: use valkey.", null),
            ("request-withdrawn", "cleo asks for someuser/tool no longer; others still do (request 14).", null),
            ("request-withdrawn", "bob withdrew the request 14 for someuser/tool. Reason: not needed.", null),
            ("request-ended", "The request 15 of bob for someuser/tool has ended: nobody answered it within 30 days.", null),
            ("break-glass",
                "olga opened in an emergency: someuser/db for acme, until 2026-06-01 14:00 UTC. Another person has to review it: imageaccess break-glass review 2. Reason: payments are down.", null),
            ("break-glass-ended", "The time of the emergency 2 is over: someuser/db for acme. Another person has to review it: imageaccess break-glass review 2.", null),
            ("break-glass-ended", "alice ended the emergency 3: acme only observes. Another person has to review it: imageaccess break-glass review 3. Reason: mended.", null),
            ("break-glass-reviewed", "alice has reviewed the emergency 2: someuser/db for acme. Reason: looked at together.", null),
        ];
        Assert.Equal(expected.Select(each => each.Kind), _hook.Taken.Select(request => request.Kind));
        Assert.All(expected.Zip(_hook.Taken), each =>
        {
            var link = each.First.Path is null ? null : $"https://images.example.com/console/{each.First.Path}"; // and no address that would ask a browser to sign in
            Assert.Equal($"{each.First.Text}{(link is null ? "" : $" {link}")}".Replace("docker.io/", "", StringComparison.Ordinal), each.Second.Text.Replace("docker.io/", "", StringComparison.Ordinal));
            Assert.Equal(link, each.Second.Json.GetProperty("link").GetString());
            Assert.Equal("application/json; charset=utf-8", each.Second.ContentType);
            Assert.True(each.Second.IsSignedWith(WebhookServer.Secret, _room.Time.GetUtcNow()));
            Assert.False(each.Second.IsSignedWith("another secret", _room.Time.GetUtcNow()));
            Assert.Equal(JsonValueKind.Object, each.Second.Json.GetProperty("facts").ValueKind);
        });
        Assert.Equal("acme", _hook.Taken[0].Json.GetProperty("organization").GetString());
        Assert.Equal("2026-06-01T12:00:00.000Z", _hook.Taken[0].Json.GetProperty("time").GetString());

        Assert.Equal(_hook.Taken.Select(request => $"{request.Id}@example.com"), mail.Messages.Select(message => message.MessageId));
        Assert.All(mail.Messages.Zip(_hook.Taken), each =>
        {
            Assert.Equal("proxy@example.com", each.First.From.ToString());
            Assert.Equal("security@example.com, platform@example.com", each.First.To.ToString());
            Assert.StartsWith("[Image access] ", each.First.Subject, StringComparison.Ordinal);
            Assert.StartsWith(
                each.Second.Text.Replace(" https://", "\n\nhttps://", StringComparison.Ordinal), each.First.TextBody!.ReplaceLineEndings("\n"), StringComparison.Ordinal);
        });
        Assert.All(await _room.RowsAsync(), row => Assert.Equal((OutboxRow.Sent, ""), (row.State, row.Content)));
        AssertNothingSecret(_hook.Requests.Select(request => System.Text.Encoding.UTF8.GetString(request.Body)).Concat(mail.Raw));
    }

    [Theory]
    [InlineData("500")]
    [InlineData("404")]
    [InlineData("redirect")]
    [InlineData("hang")]
    public async Task What_a_receiver_does_not_take_is_told_again_later_and_later(string fault)
    {
        await using var elsewhere = await WebhookServer.StartAsync();
        var process = _room.WithWebhook(_hook).Start();
        if (fault == "redirect")
            _hook.AnswerStatus(307, elsewhere.Address("127.0.0.1"));
        else if (fault == "hang")
            _hook.Hang();
        else
            _hook.AnswerStatus(int.Parse(fault, CultureInfo.InvariantCulture));
        RecordException(1);
        await process.WriteAsync();

        var tried = 0;
        foreach (var seconds in new[] { 1, 2, 4, 8 })
        {
            await TryAsync(process);
            Assert.Equal(++tried, _hook.Requests.Count);
            _room.Time.Advance(TimeSpan.FromSeconds(seconds) - TimeSpan.FromMilliseconds(1));
            await process.SendAsync();
            Assert.Equal(tried, _hook.Requests.Count);
            _room.Time.Advance(TimeSpan.FromMilliseconds(1));
        }

        _hook.Answer = _ => Task.CompletedTask;
        await process.SendAsync();
        Assert.Single(_hook.Requests.Select(request => request.Id).Distinct());
        Assert.Single(_hook.Taken);
        Assert.Equal(OutboxRow.Sent, Assert.Single(await _room.RowsAsync()).State);
        Assert.Empty(elsewhere.Requests);
        Assert.Single(_room.Log.At(LogLevel.Warning), line => line.Contains("Notifications:Webhooks:0", StringComparison.Ordinal));

        async Task TryAsync(NotificationProcess process)
        {
            var sending = process.SendAsync();
            if (fault == "hang")
            {
                await Eventually.TrueAsync(() => _hook.Requests.Count == tried + 1);
                _room.Time.Advance(TimeSpan.FromSeconds(10));
            }

            await sending;
        }
    }

    [Fact]
    public async Task A_receiver_that_is_down_for_days_is_told_of_by_readyz_and_what_is_too_old_is_given_up()
    {
        var process = _room.WithWebhook(_hook).Start();
        _hook.AnswerStatus(503);
        RecordException(1);
        await process.WriteAsync();
        await process.SendAsync();
        Assert.Null(await process.ConcernAsync());
        _room.Time.Advance(TimeSpan.FromMinutes(15));
        Assert.Equal("Notifications:Webhooks:0 answers 503; notifications wait for it", await process.ConcernAsync());

        for (var hour = 0; hour < 80; hour++)
        {
            await process.SendAsync();
            _room.Time.Advance(TimeSpan.FromHours(1));
        }

        Assert.InRange(_hook.Requests.Count, 60, 90);
        Assert.Equal((OutboxRow.GivenUp, ""), (await _room.RowsAsync()).Select(row => (row.State, row.Content)).Single());
        Assert.Contains(_room.Log.At(LogLevel.Error), line => line.EndsWith("is given up: Notifications:Webhooks:0 answers 503", StringComparison.Ordinal));
        var given = await _room.Database.ReadAsync(context => new OutboxTable(context).CountGivenUpAsync(_room.Time.GetUtcNow() - TimeSpan.FromDays(1), default), default);
        Assert.Equal(1, given["Webhooks:0"]);
    }

    [Fact]
    public async Task A_receiver_that_fails_for_a_day_is_told_once_it_works()
    {
        var process = _room.WithWebhook(_hook).Start();
        _hook.AnswerStatus(500);
        RecordException(1);
        await process.WriteAsync();
        for (var minute = 0; minute < 24 * 60; minute += 10)
        {
            await process.SendAsync();
            _room.Time.Advance(TimeSpan.FromMinutes(10));
        }

        Assert.Empty(_hook.Taken);
        _hook.Answer = _ => Task.CompletedTask;
        _room.Time.Advance(OutboxSender.LongestRetry);
        await _room.Start().SendAsync();
        Assert.Single(_hook.Taken);
        Assert.Single(_hook.Requests.Select(request => request.Id).Distinct());
    }

    [Fact]
    public async Task A_receiver_that_asks_to_wait_is_left_alone_as_long_as_an_hour()
    {
        var process = _room.WithWebhook(_hook).Start();
        _hook.AnswerStatus(429, retryAfter: "86400");
        RecordException(1);
        await process.TellAsync();
        _hook.Answer = _ => Task.CompletedTask;
        _room.Time.Advance(TimeSpan.FromMinutes(59));
        await process.SendAsync();
        Assert.Empty(_hook.Taken);
        _room.Time.Advance(TimeSpan.FromMinutes(1));
        await process.SendAsync();
        Assert.Single(_hook.Taken);
    }

    /// <summary>At each moment of a kill: before it is in the database, before it is sent, and before the receiver's word is noted.</summary>
    [Fact]
    public async Task After_a_kill_it_is_told_all_the_same()
    {
        _room.WithWebhook(_hook).Start();
        RecordException(1);
        Assert.NotEmpty(await File.ReadAllTextAsync(_room.Directory["notifications.jsonl"]));
        await File.AppendAllTextAsync(_room.Directory["notifications.jsonl"], """{"Id":"torn""");

        var second = _room.Start(); // nothing was written before
        Assert.True(second.Queue.IsWaiting);
        await second.WriteAsync();
        Assert.Empty(await File.ReadAllTextAsync(_room.Directory["notifications.jsonl"]));

        var third = _room.Start();
        await _room.Database.WriteAsync(
            async context => Assert.NotNull(await new OutboxTable(context).ClaimAsync("Webhooks:0", "killed", _room.Time.GetUtcNow(), OutboxSender.Lease, default)), default);
        await third.SendAsync();
        Assert.Empty(_hook.Requests);
        _room.Time.Advance(OutboxSender.Lease);
        await third.SendAsync();
        Assert.Single(_hook.Taken);
        await _room.Start().TellAsync();
        Assert.Single(_hook.Requests);
    }

    [Fact]
    public async Task What_waits_in_the_file_comes_back_whole_when_a_line_of_it_is_torn()
    {
        _room.WithWebhook(_hook).Start();
        RecordException(1);
        await File.AppendAllTextAsync(_room.Directory["notifications.jsonl"], """{"Id":"torn""");
        _room.Start();
        RecordException(2); // to both processes: the first has died in truth
        var third = _room.Start();
        await third.TellAsync();
        Assert.Equal(["1", "2"], _hook.Taken.Select(request => request.Json.GetProperty("facts").GetProperty("exception").GetRawText()).Order());
    }

    [Fact]
    public async Task Of_two_processes_on_one_database_one_tells_each_once()
    {
        _room.WithWebhook(_hook);
        using var otherData = new TemporaryDirectory();
        var (one, two) = (_room.Start(), _room.Start(otherData.Path));
        for (var i = 1; i <= 20; i++)
            RecordException(i);
        _room.Audit.Trail.RecordPolicyChange("aaa", "bbb", ["x"]); // without a moment of its own
        await Task.WhenAll(one.WriteAsync(), two.WriteAsync());
        Assert.Equal(21, (await _room.RowsAsync()).Count);
        await Task.WhenAll(one.SendAsync(), two.SendAsync(), one.SendAsync(), two.SendAsync());
        Assert.Equal(21, _hook.Requests.Count);
        Assert.Equal(21, _hook.Requests.Select(request => request.Id).Distinct().Count());

        _room.Audit.Trail.RecordPolicyChange("bbb", "aaa", ["y"]);
        _room.Audit.Trail.RecordPolicyChange("aaa", "bbb", ["x"]); // again, and later
        await one.TellAsync();
        Assert.Equal(23, _hook.Requests.Count);
    }

    [Fact]
    public async Task What_happened_days_ago_is_not_told_to_a_database_that_is_new_to_this_replica()
    {
        var process = _room.WithWebhook(_hook).Start();
        RecordException(1, since: _room.Time.GetUtcNow() - TimeSpan.FromDays(4));
        _room.Audit.Trail.RecordPolicyChange(Policy.Off.Version, "bbb", ["x"]);
        await process.TellAsync();
        Assert.Equal(["policy"], _hook.Taken.Select(request => request.Kind));
        _room.Time.Advance(TimeSpan.FromDays(30));
        _room.Audit.Trail.RecordPolicyChange(Policy.Off.Version, "bbb", ["x"]); // another replica without a disk of its own begins
        await process.TellAsync();
        Assert.Single(_hook.Taken);
    }

    [Fact]
    public async Task Each_receiver_is_told_the_kinds_that_it_wants_and_who_is_not_configured_nothing()
    {
        await using var second = await WebhookServer.StartAsync();
        _room.WithWebhook(_hook).WithWebhook(second, number: 1);
        _room.Settings["Notifications:Webhooks:0:Kinds:0"] = "exception";
        _room.Settings["Notifications:Webhooks:0:Kinds:1"] = "change-waiting";
        _room.Settings["Notifications:Webhooks:1:Kinds:0"] = "block";
        var process = _room.Start();
        RecordAll();
        await process.TellAsync();
        Assert.Equal(["exception", "exception-ended", "change-waiting"], _hook.Taken.Select(request => request.Kind));
        Assert.Equal(["block"], second.Taken.Select(request => request.Kind));

        _room.Settings.Clear();
        using var otherData = new TemporaryDirectory();
        var without = _room.Start(otherData.Path);
        RecordAll();
        Assert.False(without.Queue.IsWaiting);
        Assert.False(File.Exists(otherData["notifications.jsonl"]));
    }

    [Fact]
    public async Task A_receiver_that_hangs_holds_up_no_other()
    {
        await using var second = await WebhookServer.StartAsync();
        _hook.Hang();
        var process = _room.WithWebhook(_hook).WithWebhook(second, number: 1).Start();
        RecordException(1);
        _room.State.BeReady();
        await process.Sender.StartAsync(default);
        await process.WriteAsync();
        await Eventually.TrueAsync(() => second.Taken.Count == 1 && _hook.Requests.Count == 1);
        await Eventually.TrueAsync(async () => (await _room.RowsAsync()).Exists(row => row.State == OutboxRow.Sent));
        await process.Sender.StopAsync(default);
        Assert.Equal([OutboxRow.Waiting, OutboxRow.Sent], (await _room.RowsAsync()).OrderBy(row => row.Receiver, StringComparer.Ordinal).Select(row => row.State));
    }

    [Theory]
    [InlineData(NotificationRoom.Metadata, true)]
    [InlineData(NotificationRoom.Metadata, false)]
    [InlineData("169.254.169.254", true)]
    [InlineData("[fe80::1]", true)]
    [InlineData("0.0.0.0", true)]
    public async Task An_address_where_a_machine_keeps_its_secrets_is_never_asked(string host, bool isPrivate)
    {
        _room.WithWebhook(_hook, host, isPrivate);
        if (!isPrivate)
            _room.Settings["Notifications:Webhooks:0:Address"] = $"https://{host}/";
        var process = _room.Start();
        RecordException(1);
        await process.TellAsync();
        Assert.Contains(_room.Log.At(LogLevel.Warning), line => line.Contains("its name leads to an address that is not public", StringComparison.Ordinal));
        Assert.Empty(_hook.Requests);
        Assert.Equal(OutboxRow.Waiting, Assert.Single(await _room.RowsAsync()).State);
    }

    [Fact]
    public async Task A_name_of_the_internet_that_leads_inside_is_refused()
    {
        _room.WithWebhook(_hook, isPrivate: false);
        _room.Settings["Notifications:Webhooks:0:Address"] = _hook.Address(NotificationRoom.Inside).Replace("http:", "https:", StringComparison.Ordinal);
        var process = _room.Start();
        RecordException(1);
        await process.TellAsync();
        Assert.Contains(_room.Log.At(LogLevel.Warning), line => line.Contains("not public", StringComparison.Ordinal));
    }

    [Fact]
    public void What_people_wrote_makes_no_mark_mention_or_link_in_Slack()
    {
        Assert.Equal(
            "&lt;!channel&gt; &amp;amp; &lt;https://evil.example|click&gt; @\u2060here (@\u2060all) nginx@sha256:ab",
            WebhookReceiver.Escape("<!channel> &amp; <https://evil.example|click> @here (@all) nginx@sha256:ab"));
        _room.WithWebhook(_hook);
        var notice = Notice.Of(new BlockEvent("id", _room.Time.GetUtcNow(), BlockOf(reason: "a\r\nb\u202e <@U1>"), lifted: false, "al\nice", "a\r\nb\u202e <@U1>", _room.Time.GetUtcNow()), _room.Time.GetUtcNow())!;
        var body = JsonSerializer.Deserialize<JsonElement>(WebhookReceiver.BodyOf(notice, null));
        Assert.EndsWith(" for everybody. Reason: a??b? &lt;@\u2060U1&gt;.", body.GetProperty("text").GetString(), StringComparison.Ordinal);
        Assert.False(body.GetProperty("mrkdwn").GetBoolean());
    }

    /// <summary>Events of rooms that come later are told in general words.</summary>
    [Fact]
    public void An_event_that_nobody_has_written_a_sentence_for_is_told_in_general_words()
    {
        using var extended = JsonDocument.Parse("""{ "event": "break-glass-extended", "organization": "acme", "user": "carol", "askedBy": "bob", "repository": "someuser/tool", "reason": "fine" }""");
        var facts = new Facts(extended.RootElement);
        Assert.Equal("break-glass-extended", NoticeKinds.KindOf(facts));
        Assert.Equal("Break glass extended by carol, asked for by bob, for acme: someuser/tool. Reason: fine.", NoticeKinds.TextOf("break-glass-extended", facts));
        Assert.Null(NoticeKinds.PathOf("break-glass-extended", facts));
        using var tag = JsonDocument.Parse("""{ "event": "tag" }""");
        Assert.Null(NoticeKinds.KindOf(new Facts(tag.RootElement)));
    }

    [Fact]
    public async Task When_the_outbox_is_full_that_is_told_and_what_is_there_stays()
    {
        var process = _room.WithWebhook(_hook).Start();
        await _room.Database.WriteAsync(
            async context =>
            {
                context.Outbox.AddRange(Enumerable.Range(0, OutboxTable.MaximumWaiting).Select(i => new OutboxRow
                {
                    Id = "i",
                    Key = i.ToString(CultureInfo.InvariantCulture),
                    Origin = "o",
                    Receiver = "Webhooks:0",
                    Content = "",
                    CreatedMilliseconds = _room.Time.GetUtcNow().ToUnixTimeMilliseconds(),
                    State = OutboxRow.Waiting,
                }));
                await context.SaveChangesAsync();
            },
            default);
        RecordException(1);
        await process.WriteAsync();
        Assert.Equal(OutboxTable.MaximumWaiting, (await _room.RowsAsync()).Count);
        Assert.Contains(_room.Log.At(LogLevel.Error), line => line.StartsWith("1 notifications found no room", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_part_that_is_degraded_for_a_quarter_of_an_hour_is_told_and_its_end_once_over_restarts()
    {
        var process = _room.WithWebhook(_hook).Start();
        _room.Cache = HealthCheckResult.Degraded("the disk is full");
        await process.Degraded.LookAsync(default);
        _room.Time.Advance(TimeSpan.FromMinutes(14));
        await process.Degraded.LookAsync(default);
        await process.TellAsync();
        Assert.Empty(_hook.Taken);
        process = _room.Start();
        _room.Time.Advance(TimeSpan.FromMinutes(1));
        await process.Degraded.LookAsync(default);
        await process.Degraded.LookAsync(default);
        await process.TellAsync();
        Assert.StartsWith($"cache of the proxy on {Environment.MachineName} is degraded since 2026-06-01 12:00 UTC: the disk is full.", Assert.Single(_hook.Taken).Text, StringComparison.Ordinal);

        process = _room.Start();
        await process.Degraded.LookAsync(default);
        _room.Cache = HealthCheckResult.Healthy();
        await process.Degraded.LookAsync(default);
        await process.Degraded.LookAsync(default);
        await process.TellAsync();
        Assert.Equal(["degraded", "recovered"], _hook.Taken.Select(request => request.Kind));

        _room.Cache = HealthCheckResult.Degraded("the disk is full");
        await process.Degraded.LookAsync(default); // for less than that
        _room.Cache = HealthCheckResult.Healthy();
        await process.Degraded.LookAsync(default);
        await process.TellAsync();
        Assert.Equal(2, _hook.Taken.Count);
    }

    private static Block BlockOf(string reason = "CVE-1") =>
        new(4, ImagePattern.TryParse("evil/*", out var pattern, out _) ? pattern : throw new InvalidOperationException(), reason, "alice", new DateTimeOffset(2026, 6, 1, 12, 0, 0, TimeSpan.Zero));

    private void AssertNothingSecret(IEnumerable<string> messages)
    {
        var all = string.Join('\n', messages.Append(_room.Log.ToString()).Append(File.Exists(_room.Directory["notifications.jsonl"]) ? File.ReadAllText(_room.Directory["notifications.jsonl"]) : ""));
        Assert.DoesNotContain(WebhookServer.Secret, all, StringComparison.Ordinal);
        Assert.DoesNotContain(MailServer.Password, all, StringComparison.Ordinal);
        Assert.DoesNotContain(Convert.ToBase64String(System.Text.Encoding.UTF8.GetBytes(MailServer.Password)), all, StringComparison.Ordinal);
    }

    private void RecordException(long id, DateTimeOffset? since = null) => _room.Audit.Trail.RecordException(ExceptionOf(id, since));

    private GrantedException ExceptionOf(long id, DateTimeOffset? since = null)
    {
        Assert.True(GrantedException.TryParsePattern("someuser/tool", out var pattern, out _));
        var from = since ?? _room.Time.GetUtcNow();
        return new GrantedException(id, "acme", pattern, null, false, "we need it", "bob", "alice", from, from.AddDays(30)) { Ticket = "OPS-1" };
    }

    private void RecordAll()
    {
        var (trail, now) = (_room.Audit.Trail, _room.Time.GetUtcNow());
        RecordException(7);
        trail.RecordExceptionEnd(ExceptionOf(7), "alice", "over", now);
        trail.RecordBlock(BlockOf());
        trail.RecordUnblock(BlockOf(), "carol", "fixed", now);
        trail.RecordPolicyChange("aaa", "bbb", ["community images to acme", "someuser/x to acme"], "alice", "asked for");
        trail.RecordChange(new ChangeStep(3, "exception", "waiting", "acme", "alice", "alice", ["someuser/y to acme"], "please", null, now));
        trail.RecordChange(new ChangeStep(3, "exception", "done", "acme", "carol", "alice", ["someuser/y to acme"], null, null, now));
        trail.RecordChange(new ChangeStep(4, "exception", "declined", "acme", "carol", "alice", ["someuser/z to acme"], "no", null, now));
        trail.RecordChange(new ChangeStep(5, "exception", "ended", "acme", null, "alice", ["someuser/q to acme"], "nobody approved it", null, now));
        foreach (var revoked in new[] { false, true })
        {
            trail.RecordToken((id, time) => new TokenEvent(id, time, 9, revoked, "alice", now)
            {
                Label = "terraform",
                Role = "administrator",
                Organization = "acme",
                Expires = now.AddDays(30),
            });
        }

        void Request(string step, string state, long id, string? organization, string? by, string[] askedBy, string? reason, Func<RequestStep, RequestStep>? more = null)
        {
            var made = new RequestStep(id, step, state, id == 13 ? "someuser/other" : "someuser/tool", ["acme", "beta"], organization, by, askedBy, reason, now);
            trail.RecordRequest(more?.Invoke(made) ?? made);
        }

        string[] both = ["bob", "cleo"];
        Request("asked", "open", 12, null, "bob", ["bob"], "for the build", step => step with { Ticket = "OPS-2", Denial = "4d1fab" });
        Request("joined", "open", 12, null, "cleo", ["cleo"], "for the tests");
        Request("waiting", "open", 12, "acme", "alice", both, "fine", step => step with { Change = 3 });
        Request("reopened", "open", 12, "acme", "alice", both, "a mistake", step => step with { Change = 3 });
        Request("approved", "open", 12, "acme", "alice and carol", both, "that one alone", step => step with { Exception = 7, Granted = "someuser/tool:7", Digest = Digest, Until = now.AddDays(10) });
        Request("approved", "approved", 12, "beta", "nina", both, null, step => step with { Exception = 8, Granted = "someuser/tool" });
        Request("declined", "declined", 13, "beta", "nina", ["bob"], "use valkey");
        Request("withdrawn", "open", 14, null, "cleo", ["cleo"], null);
        Request("withdrawn", "withdrawn", 14, null, "bob", ["bob"], "not needed");
        Request("ended", "ended", 15, null, null, ["bob"], "nobody answered it within 30 days");

        void Emergency(long id, string what, string words, string? by, string? reason) => trail.RecordBreakGlass(new BreakGlassEvent.Step(id, what, "acme", words, now.AddHours(2), by, reason, now));
        Emergency(2, "begun", "someuser/db for acme", "olga", "payments are down");
        Emergency(2, "ended", "someuser/db for acme", null, null);
        Emergency(3, "ended", "acme only observes", "alice", "mended");
        Emergency(2, "reviewed", "someuser/db for acme", "alice", "looked at together");
        trail.RecordAccountChange("bob", "1", "2"); // which is told to nobody
    }
}
