using System.Net.Sockets;
using System.Security.Authentication;
using System.Text;
using ImageAccess.Proxy.Foundation.DockerHub;
using ImageAccess.Proxy.Foundation.Files;
using MailKit;
using MailKit.Net.Smtp;
using MailKit.Security;
using MimeKit;

namespace ImageAccess.Proxy.Administration.Notifications;

/// <summary>
/// A mail server. TLS is demanded before anything is said to it, unless it is on this machine. What the server says is never quoted: it may repeat
/// what it was told.
/// </summary>
/// <param name="requesters">Finds those who have asked for access, where they are told, each alone; null for the recipients of the configuration.</param>
internal sealed class MailReceiver(NotificationOptions all, UpstreamConnections connections, TimeProvider time, RequesterAddresses? requesters = null) : IReceiver
{
    private const int LongestSubject = 120;

    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(30);

    private readonly MailOptions _options = all.Mail;

    public string Name => requesters is null ? "Mail" : "Mail:Requesters";

    public bool Wants(Notice notice) => requesters is null ? notice.Requester is null && NoticeKinds.Mean(_options.Kinds, notice.Kind) : notice.Requester is not null;

    public async Task<Refusal?> SendAsync(Notice notice, CancellationToken cancellationToken)
    {
        if (notice.Requester is null)
            return await SendAsync(notice, _options.To, cancellationToken);
        var address = requesters!.Find(notice.Requester, out var isRead);
        return address is not null ? await SendAsync(notice, [address], cancellationToken) // who has none, or is gone, is told nothing
            : isRead ? null : new Refusal("cannot be told: the member list with their addresses was not read since the start");
    }

    private async Task<Refusal?> SendAsync(Notice notice, IEnumerable<string> to, CancellationToken cancellationToken)
    {
        using var limit = new CancellationTokenSource(Timeout, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        using var client = new SmtpClient { CheckCertificateRevocation = false, ServerCertificateValidationCallback = connections.IsTrusted };
        client.SslProtocols = SslProtocols.Tls12 | SslProtocols.Tls13;
        try
        {
            using var message = MessageOf(notice, to);
            await ConnectAsync(client, either.Token);
            if (_options.UsernameFile is not null && await SignInAsync(client, either.Token) is { } refusal)
                return refusal;
            await client.SendAsync(message, either.Token);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return new Refusal($"did not answer within {Timeout.TotalSeconds} s");
        }
        catch (SmtpCommandException refused) when (requesters is not null && IsFinal(refused))
        {
            return null; // what members write into their accounts is no fault of the mail server
        }
        catch (Exception exception) when (CauseOf(exception) is not null)
        {
            return new Refusal(CauseOf(exception)!);
        }

        await LeaveAsync(client, either.Token);
        return null;
    }

    /// <summary>Plain text in UTF-8. Its headers are made of fixed words and of text without line ends.</summary>
    internal MimeMessage MessageOf(Notice notice, IEnumerable<string> to)
    {
        var subject = PrintableText.Seen($"[Image access] {notice.Text}");
        var link = all.LinkTo(notice.Path);
        var message = new MimeMessage
        {
            Date = notice.Time,
            MessageId = $"{notice.Id}@{_options.From!.Split('@')[^1]}",
            Subject = subject.Length <= LongestSubject ? subject : $"{subject[..LongestSubject]}…",
            Body = new TextPart("plain") { ContentTransferEncoding = ContentEncoding.QuotedPrintable },
        };
        ((TextPart)message.Body).SetText(Encoding.UTF8, $"{notice.Text}\n{(link is null ? "" : $"\n{link}\n")}\n{notice.Kind} {Facts.Minute(notice.Time)} {notice.Id}\n");
        message.From.Add(MailboxAddress.Parse(_options.From));
        message.To.AddRange(to.Select(address => MailboxAddress.Parse(address)));
        message.Headers.Add("Auto-Submitted", "auto-generated");
        return message;
    }

    private async Task ConnectAsync(SmtpClient client, CancellationToken cancellationToken)
    {
        var stream = await connections.ConnectPastProxyAsync(_options.Server!, _options.ActualPort, demandLoopback: _options.Tls == MailOptions.Off, cancellationToken);
        var tls = _options.Tls switch
        {
            MailOptions.Off => SecureSocketOptions.None,
            MailOptions.Implicit => SecureSocketOptions.SslOnConnect,
            _ => SecureSocketOptions.StartTls,
        };
        await client.ConnectAsync(stream, _options.Server!, _options.ActualPort, tls, cancellationToken);
    }

    private async Task<Refusal?> SignInAsync(SmtpClient client, CancellationToken cancellationToken)
    {
        if (SecretFile.Read(_options.UsernameFile!, "user name", out var problem) is not { } username
            || SecretFile.Read(_options.PasswordFile!, "password", out problem) is not { } password)
            return new Refusal($"cannot be asked: {problem}");
        await client.AuthenticateAsync(Encoding.UTF8, username, password, cancellationToken);
        return null;
    }

    /// <summary>The server has the message: what fails now changes nothing.</summary>
    private static async Task LeaveAsync(SmtpClient client, CancellationToken cancellationToken)
    {
        try
        {
            await client.DisconnectAsync(quit: true, cancellationToken);
        }
        catch (Exception)
        {
            // It has said that it has it.
        }
    }

    /// <summary>The server will never take it to this recipient.</summary>
    private static bool IsFinal(SmtpCommandException refused) =>
        (int)refused.StatusCode >= 500 && refused.ErrorCode is SmtpErrorCode.RecipientNotAccepted or SmtpErrorCode.MessageNotAccepted;

    private static string? CauseOf(Exception exception) => exception switch
    {
        AddressRefusedException => "is not asked: its name leads where no mail server may be; without TLS it must be this machine",
        SocketException socket => $"cannot be reached: {socket.Message}",
        SslHandshakeException or System.Security.Authentication.AuthenticationException =>
            "shows a certificate that is not trusted, or speaks no TLS here: look at Notifications:Mail:Tls, Port and Upstream:TrustedCertificates",
        MailKit.Security.AuthenticationException or SaslException => "refuses the user name or the password of Notifications:Mail:UsernameFile and PasswordFile",
        NotSupportedException => "does not offer STARTTLS, or no way to sign in: nothing is sent to it in the clear",
        SmtpCommandException command => $"refuses the message ({(int)command.StatusCode}, {command.ErrorCode})",
        ProtocolException => "does not speak as a mail server does",
        ServiceNotConnectedException or ServiceNotAuthenticatedException => "closed the connection",
        IOException => "closed the connection",
        _ => null,
    };
}
