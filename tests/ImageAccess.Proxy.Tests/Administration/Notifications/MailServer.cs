using System.Buffers;
using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using MimeKit;
using SmtpServer;
using SmtpServer.Authentication;
using SmtpServer.ComponentModel;
using SmtpServer.Protocol;
using SmtpServer.Storage;

namespace ImageAccess.Proxy.Tests.Administration.Notifications;

/// <summary>A real SMTP server with a certificate of its own, which takes mail of one user.</summary>
public sealed class MailServer : MessageStore, IUserAuthenticator, IAsyncDisposable
{
    public const string Host = "mail.example.com", User = "proxy", Password = "smtp-password-canary-0123456789";

    private readonly CancellationTokenSource _end = new();
    private readonly ConcurrentQueue<byte[]> _messages = new();
    private readonly Task _running;
    private readonly X509Certificate2 _certificate;

    /// <param name="offersTls">STARTTLS.</param>
    /// <param name="isImplicit">TLS from the first byte.</param>
    public MailServer(bool offersTls = true, bool isImplicit = false)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest($"CN={Host}", key, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        names.AddDnsName(Host);
        request.CertificateExtensions.Add(names.Build());
        var now = TimeProvider.System.GetUtcNow();
        using var made = request.CreateSelfSigned(now.AddDays(-1), now.AddDays(1));
        _certificate = X509CertificateLoader.LoadPkcs12(made.Export(X509ContentType.Pkcs12), null);
        Pem = made.ExportCertificatePem();
        using (var free = new TcpListener(IPAddress.Loopback, 0))
        {
            free.Start();
            Port = ((IPEndPoint)free.LocalEndpoint).Port;
        }

        var options = new SmtpServerOptionsBuilder().ServerName(Host).Endpoint(endpoint =>
        {
            endpoint.Endpoint(new IPEndPoint(IPAddress.Loopback, Port)).IsSecure(isImplicit).AllowUnsecureAuthentication(false).AuthenticationRequired(offersTls || isImplicit);
            if (offersTls || isImplicit)
                endpoint.Certificate(_certificate);
        }).Build();
        var parts = new ServiceProvider();
        parts.Add((IMessageStore)this);
        parts.Add((IUserAuthenticator)this);
        _running = new SmtpServer.SmtpServer(options, parts).StartAsync(_end.Token);
    }

    public int Port { get; }

    /// <summary>Its certificate.</summary>
    public string Pem { get; }

    public SmtpResponse Answer { get; set; } = SmtpResponse.Ok;

    public IReadOnlyList<MimeMessage> Messages => [.. _messages.Select(message => MimeMessage.Load(new MemoryStream(message)))];

    public IReadOnlyList<string> Raw => [.. _messages.Select(System.Text.Encoding.UTF8.GetString)];

    public override Task<SmtpResponse> SaveAsync(ISessionContext context, IMessageTransaction transaction, ReadOnlySequence<byte> buffer, CancellationToken cancellationToken)
    {
        if (Answer.ReplyCode == SmtpReplyCode.Ok)
            _messages.Enqueue(buffer.ToArray());
        return Task.FromResult(Answer);
    }

    public Task<bool> AuthenticateAsync(ISessionContext context, string user, string password, CancellationToken cancellationToken) =>
        Task.FromResult(context.Pipe.IsSecure && (user, password) == (User, Password));

    public async ValueTask DisposeAsync()
    {
        await _end.CancelAsync();
        await Task.WhenAny(_running);
        _certificate.Dispose();
        _end.Dispose();
    }
}
