using System.Net;
using System.Net.Sockets;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Foundation.Database;
using Microsoft.Extensions.Logging;
using SmtpServer.Protocol;

namespace ImageAccess.Proxy.Tests.Administration.Notifications;

/// <summary>A mail server is told nothing in the clear, and what people wrote becomes no header.</summary>
public sealed class MailTests : IAsyncLifetime
{
    private NotificationRoom _room = null!;

    public async Task InitializeAsync() => _room = await NotificationRoom.OpenAsync();

    public Task DisposeAsync()
    {
        _room.Dispose();
        return Task.CompletedTask;
    }

    [Fact]
    public async Task TLS_from_the_first_byte_is_spoken_where_the_configuration_says_so()
    {
        await using var server = new MailServer(isImplicit: true);
        await TellAsync(_room.WithMail(server, "implicit"));
        Assert.Single(server.Messages);
    }

    [Fact]
    public async Task A_server_that_offers_no_STARTTLS_is_told_nothing()
    {
        await using var server = new MailServer(offersTls: false);
        await TellAsync(_room.WithMail(server));
        await AssertWaitsAsync("does not offer STARTTLS", server);
    }

    [Fact]
    public async Task A_server_with_another_certificate_is_told_nothing()
    {
        await using var other = new MailServer();
        await using var server = new MailServer();
        _room.WithMail(server);
        await File.WriteAllTextAsync(_room.Directory["ca.pem"], other.Pem);
        await TellAsync(_room);
        await AssertWaitsAsync("shows a certificate that is not trusted", server);
    }

    [Fact]
    public async Task A_wrong_password_is_told_without_it()
    {
        await using var server = new MailServer();
        await File.WriteAllTextAsync(_room.Directory["password"], "another-canary-password");
        await TellAsync(_room.WithMail(server));
        await AssertWaitsAsync("refuses the user name or the password", server);
        Assert.DoesNotContain("another-canary-password", _room.Log.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_the_server_refuses_comes_again()
    {
        await using var server = new MailServer { Answer = new SmtpResponse(SmtpReplyCode.ServiceUnavailable, "say canary") };
        var process = await TellAsync(_room.WithMail(server));
        await AssertWaitsAsync("refuses the message (421", server);
        Assert.DoesNotContain("say canary", _room.Log.ToString(), StringComparison.Ordinal);
        server.Answer = SmtpResponse.Ok;
        _room.Time.Advance(TimeSpan.FromSeconds(1));
        await process.SendAsync();
        Assert.Single(server.Messages);
    }

    [Fact]
    public async Task A_server_that_says_nothing_is_left_after_half_a_minute()
    {
        using var silent = new TcpListener(IPAddress.Loopback, 0);
        silent.Start();
        await using var server = new MailServer();
        _room.WithMail(server);
        _room.Settings["Notifications:Mail:Port"] = ((IPEndPoint)silent.LocalEndpoint).Port.ToString(System.Globalization.CultureInfo.InvariantCulture);
        var telling = TellAsync(_room);
        using var accepted = await silent.AcceptSocketAsync();
        _room.Time.Advance(TimeSpan.FromSeconds(30));
        await telling;
        await AssertWaitsAsync("did not answer within 30 s", server);
    }

    /// <summary>Without TLS it must be this machine, whatever the name says.</summary>
    [Fact]
    public async Task Plain_text_goes_to_this_machine_alone()
    {
        await using var server = new MailServer(offersTls: false);
        _room.WithMail(server, "off");
        _room.Settings.Remove("Notifications:Mail:UsernameFile");
        _room.Settings.Remove("Notifications:Mail:PasswordFile");
        await TellAsync(_room);
        Assert.Single(server.Messages);
        _room.Settings["Notifications:Mail:Server"] = "192.0.2.1";
        var process = _room.Start();
        _room.Audit.Trail.RecordPolicyChange("b", "c", ["y"]);
        await process.TellAsync();
        Assert.Contains(_room.Log.At(LogLevel.Warning), line => line.Contains("without TLS it must be this machine", StringComparison.Ordinal));
        Assert.Single(server.Messages);
    }

    [Fact]
    public async Task What_people_wrote_becomes_no_header_and_no_recipient()
    {
        await using var server = new MailServer();
        var process = _room.WithMail(server).Start();
        Assert.True(GrantedException.TryParsePattern("someuser/tool", out var pattern, out _));
        var now = _room.Time.GetUtcNow();
        var name = "eve\r\nBcc: victim@example.org\r\n\r\n.\r\nMAIL FROM:<x@example.org>\r\n";
        _room.Audit.Trail.RecordException(new GrantedException(1, "acme\r\nX: y", pattern, null, false, "größer\n.\n", name, name, now, null));
        await process.TellAsync();
        var message = Assert.Single(server.Messages);
        string[] expected = ["Auto-Submitted", "Content-Transfer-Encoding", "Content-Type", "Date", "From", "Message-Id", "MIME-Version", "Subject", "To"];
        Assert.Equal(expected, message.Headers.Concat(message.Body!.Headers).Select(header => header.Field).Order(StringComparer.OrdinalIgnoreCase), StringComparer.OrdinalIgnoreCase);
        Assert.Equal(2, message.To.Count);
        Assert.Contains("größer?.?", message.TextBody, StringComparison.Ordinal);
        Assert.Contains("eve??Bcc: victim@example.org", message.TextBody, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("Mail:To:0", "a@example.com\nBcc: b@example.com", "Notifications:Mail:To: 'a@example.com?Bcc: b@example.com' has a line end or a space")]
    [InlineData("Mail:To:0", "a@example.com\r\n", "has a line end")]
    [InlineData("Mail:From", "Eve <a@example.com>", "Notifications:Mail:From: ")]
    [InlineData("Mail:From", "a@example.com,b@example.com", "is not a mail address")]
    [InlineData("Mail:From", "nobody", "is not a mail address")]
    [InlineData("Mail:Tls", "none", "Notifications:Mail:Tls: 'none' is none of starttls, implicit, off")]
    [InlineData("Mail:Server", "a b", "Notifications:Mail:Server: name the mail server")]
    [InlineData("Mail:PasswordFile", null, "name both UsernameFile and PasswordFile")]
    [InlineData("Mail:Kinds:0", "pulls", "Notifications:Mail:Kinds: 'pulls' is none of: ")]
    [InlineData("Webhooks:0:Address", "http://hooks.example.com/canary", "Notifications:Webhooks:0:Address: is plain http")]
    [InlineData("Webhooks:0:Address", "https://user:canary@hooks.example.com/", "Notifications:Webhooks:0:Address: is not an address without a user name")]
    [InlineData("Webhooks:0:Address", "ftp://canary", "Notifications:Webhooks:0:Address: is not an address")]
    [InlineData("Webhooks:0:SecretFile", "/nonexistent", "Notifications:Webhooks:0:SecretFile: /nonexistent is not there")]
    public async Task What_cannot_be_right_stops_the_start_without_a_secret_in_its_sentence(string key, string? value, string expected)
    {
        await using var server = new MailServer();
        _room.WithMail(server);
        _room.Settings["Notifications:Webhooks:0:Address"] = "https://hooks.example.com/canary";
        _room.Settings[$"Notifications:{key}"] = value;
        var failure = Assert.Throws<Microsoft.Extensions.Options.OptionsValidationException>(() => _room.Start());
        Assert.Contains(expected, failure.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("canary", failure.Message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', failure.Message);
    }

    [Fact]
    public async Task An_address_may_be_in_a_file_that_is_read_again_each_time()
    {
        await using var hook = await WebhookServer.StartAsync();
        _room.WithWebhook(hook);
        _room.Settings["Notifications:Webhooks:0:AddressFile"] = _room.Directory["address"];
        await File.WriteAllTextAsync(_room.Directory["address"], hook.Address(NotificationRoom.Inside, "/first"));
        Assert.Throws<Microsoft.Extensions.Options.OptionsValidationException>(() => _room.Start()); // one of the two
        _room.Settings.Remove("Notifications:Webhooks:0:Address");
        var process = await TellAsync(_room);
        await File.WriteAllTextAsync(_room.Directory["address"], hook.Address(NotificationRoom.Inside, "/second"));
        _room.Audit.Trail.RecordPolicyChange("b", "c", ["y"]);
        await process.TellAsync();
        Assert.Equal(["/first", "/second"], hook.Taken.Select(request => request.Path));
        Assert.DoesNotContain("/first", _room.Log.ToString(), StringComparison.Ordinal);
    }

    private static async Task<NotificationProcess> TellAsync(NotificationRoom room)
    {
        var process = room.Start();
        room.Audit.Trail.RecordPolicyChange("a", "b", ["x"]);
        await process.TellAsync();
        return process;
    }

    private async Task AssertWaitsAsync(string cause, MailServer server)
    {
        var line = Assert.Single(_room.Log.At(LogLevel.Warning), line => line.StartsWith("Notifications:Mail ", StringComparison.Ordinal));
        Assert.StartsWith($"Notifications:Mail {cause}", line, StringComparison.Ordinal);
        Assert.Equal(OutboxRow.Waiting, Assert.Single(await _room.RowsAsync()).State);
        Assert.Empty(server.Messages);
        Assert.DoesNotContain(MailServer.Password, _room.Log.ToString(), StringComparison.Ordinal);
    }
}
