using System.Globalization;
using System.Net.Sockets;
using System.Runtime.Versioning;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using ImageAccess.Proxy.Administration.Export;

namespace ImageAccess.Proxy.Tests.Administration.Export;

[UnsupportedOSPlatform("windows")]
public sealed class SyslogReceiverTests : IAsyncLifetime
{
    private const string Broken = "broke off the connection before it had taken a batch";

    private ExportRoom _room = null!;
    private SyslogServer _server = null!;

    public Task InitializeAsync()
    {
        (_room, _server) = (new ExportRoom(), new SyslogServer());
        return Task.CompletedTask;
    }

    public async Task DisposeAsync()
    {
        await _server.DisposeAsync();
        _room.Dispose();
    }

    [Theory]
    [InlineData(SslProtocols.Tls12)]
    [InlineData(SslProtocols.Tls13)]
    public async Task Each_event_is_a_framed_message_with_its_id_and_a_severity(SslProtocols protocols)
    {
        _server.Protocols = protocols;
        var receiver = Receiver();
        ExportedEvent[] events =
        [
            new("1f", new DateTimeOffset(2026, 6, 1, 12, 0, 0, 5, TimeSpan.Zero), "decision", IsDenied: true, """{"id":"1f","outcome":"deny"}"""u8.ToArray()),
            new("2f", new DateTimeOffset(2026, 6, 1, 14, 0, 1, TimeSpan.FromHours(2)), "token-revoked", IsDenied: false, [.. """{"id":"2f","x":" """u8, .. new byte[20_000].Select(_ => (byte)'x'), .. "\"}"u8]),
        ];
        Assert.Equal(ExportAnswer.Taken, await receiver.SendAsync(events, default));
        Assert.Equal(2, _server.Messages.Count);
        Assert.Equal(
            $$"""<108>1 2026-06-01T12:00:00.005Z {{Environment.MachineName}} imageaccess - decision [imageaccess@32473 id="1f" kind="decision"] {"id":"1f","outcome":"deny"}""",
            _server.Messages[0]);
        Assert.StartsWith($$"""<110>1 2026-06-01T12:00:01.000Z {{Environment.MachineName}} imageaccess - token-revoked [imageaccess@32473 id="2f" kind="token-revoked"] {"id":"2f","x":" xxx""", _server.Messages[1], StringComparison.Ordinal);
        Assert.EndsWith("xxx\"}", _server.Messages[1], StringComparison.Ordinal);
        Assert.InRange(_server.Messages[1].Length, 20_000, 21_000); // never cut
    }

    [Fact]
    public async Task The_whole_trail_comes_over_connections_that_end_in_good_order()
    {
        _room.Restart(Receiver());
        await _room.Trail.WriteAsync(2500);
        await _room.LookAsync();
        Assert.Equal(_room.Kept, _server.Ids);
        Assert.Equal(3, _server.Connections);
        Assert.Empty(_room.Log.All);
    }

    public static TheoryData<string> Deaths => ["reset", "closed", "closed at once", "half closed", "close_notify"];

    /// <summary>However the server's end looks: what it has not read comes again, and nothing is left out.</summary>
    [Theory]
    [MemberData(nameof(Deaths))]
    public async Task A_server_that_dies_before_it_has_read_everything_gets_it_again(string death)
    {
        await _room.Trail.WriteAsync(900);
        _room.Restart(Receiver());
        _server.Course = async (tls, socket) =>
        {
            if (death == "half closed")
            {
                socket.Shutdown(SocketShutdown.Send);
                await Eventually.TrueAsync(() => socket.Available > 0);
                return;
            }

            await _server.ReadAsync(tls, death == "closed at once" ? 0 : 5);
            if (death == "close_notify")
                await tls.ShutdownAsync();
            if (death == "reset")
                socket.LingerState = new LingerOption(true, 0);
        };
        await _room.LookAsync();
        Assert.Equal([$"The audit trail is not exported: Audit:Export:Syslog {Broken}; events wait in the audit files, trying again"], _room.Log.All);
        Assert.False(File.Exists(_room.Position));
        var before = _server.Ids;
        _server.Course = null;
        await _room.LookAsync();
        Assert.Equal([.. before, .. _room.Kept], _server.Ids);
    }

    /// <summary>A system takes what nobody reads, and a connection that both sides have shut down is closed without a reset.</summary>
    [Fact]
    public async Task A_server_that_shuts_down_in_good_order_with_everything_unread_gets_it_again()
    {
        _server.Protocols = SslProtocols.Tls12; // with TLS 1.3 it may read the first data with the end of the handshake
        await _room.Trail.WriteAsync(3);
        _room.Restart(Receiver());
        _server.Course = async (_, socket) =>
        {
            await Eventually.TrueAsync(() => socket.Available > _room.Kept.Count * 100);
            socket.Shutdown(SocketShutdown.Both);
        };
        await _room.LookAsync();
        Assert.Equal([$"The audit trail is not exported: Audit:Export:Syslog {Broken}; events wait in the audit files, trying again"], _room.Log.All);
        Assert.Empty(_server.Messages);
        _server.Course = null;
        await _room.LookAsync();
        Assert.Equal(_room.Kept, _server.Ids);
    }

    /// <summary>Who resumes a session sends with the end of the handshake: a server may have read it before it looks at the certificate.</summary>
    [Fact]
    public async Task A_server_that_refuses_a_certificate_takes_nothing_of_a_session_that_it_knows()
    {
        _server.Protocols = SslProtocols.Tls12;
        ExportedEvent[] events = [new("1f", DateTimeOffset.UnixEpoch, "decision", IsDenied: true, """{"id":"1f"}"""u8.ToArray())];
        Assert.Equal(ExportAnswer.Taken, await Receiver().SendAsync(events, default));
        _server.DemandsCertificate = true;
        for (var time = 0; time < 20; time++)
            Assert.NotNull((await Receiver().SendAsync(events, default)).Cause);
        Assert.Single(_server.Messages);
    }

    [Fact]
    public async Task A_server_that_heeds_no_close_notify_is_told_by_the_end_of_the_connection()
    {
        var heeded = new TaskCompletionSource();
        _server.Course = async (tls, socket) =>
        {
            await _server.ReadAsync(tls);
            heeded.SetResult();
            Assert.Equal(0, await socket.ReceiveAsync(new byte[1]));
        };
        await _room.Trail.WriteAsync(3);
        _room.Restart(Receiver());
        var looking = _room.LookAsync();
        await heeded.Task;
        while (!looking.IsCompleted)
        {
            _room.Time.Advance(SyslogReceiver.Patience); // the notice is with the server before its writer knows
            await Task.WhenAny(looking, Task.Delay(1000));
        }

        await looking;
        Assert.Empty(_room.Log.All);
        Assert.Equal(_room.Kept, _server.Ids);
    }

    [Theory]
    [InlineData(3)]
    [InlineData(900)]
    public async Task A_server_that_never_reads_is_given_up(int events)
    {
        await _room.Trail.WriteAsync(events);
        _room.Restart(Receiver());
        var release = new TaskCompletionSource();
        var stands = new TaskCompletionSource();
        _server.Course = (_, _) =>
        {
            stands.SetResult();
            return release.Task;
        };
        var looking = _room.LookAsync();
        await stands.Task;
        Assert.False(looking.IsCompleted);
        _room.Time.Advance(SyslogReceiver.Timeout);
        await looking;
        release.SetResult();
        Assert.Equal(["The audit trail is not exported: Audit:Export:Syslog did not take a batch and close the connection within 60 s; events wait in the audit files, trying again"], _room.Log.All);
        _server.Course = null;
        await _room.LookAsync();
        Assert.Equal(_room.Kept, _server.Ids);
    }

    [Fact]
    public async Task A_server_that_nobody_vouches_for_or_with_another_name_gets_nothing()
    {
        const string Untrusted = "refuses TLS, or shows a certificate that is not trusted or of another name: look at Audit:Export:Syslog and Upstream:TrustedCertificates";
        await using var other = new SyslogServer("other.example.com");
        ExportedEvent[] events = [new("1f", DateTimeOffset.UnixEpoch, "decision", IsDenied: true, "{}"u8.ToArray())];
        Assert.Equal(Untrusted, (await Receiver(pem: other.Pem).SendAsync(events, default)).Cause);
        Assert.Equal(Untrusted, (await Receiver(server: other).SendAsync(events, default)).Cause);
        Assert.Empty(_server.Messages.Concat(other.Messages));
    }

    /// <summary>With TLS 1.3 a server says after the handshake what it thinks of the certificate: by an alert, which .NET's own does not send.</summary>
    [Fact]
    public async Task A_server_that_demands_a_certificate_gets_it_or_nothing()
    {
        (_server.Protocols, _server.DemandsCertificate) = (SslProtocols.Tls12, true);
        ExportedEvent[] events = [new("1f", DateTimeOffset.UnixEpoch, "decision", IsDenied: true, """{"id":"1f"}"""u8.ToArray())];
        Assert.NotNull((await Receiver().SendAsync(events, default)).Cause);
        Assert.Empty(_server.Messages);

        using var made = SyslogServer.MakeCertificate("proxy.example.com");
        var options = Options();
        (options.Certificate, options.CertificateKey) = (_room.Trail["proxy.crt"], _room.Trail["proxy.key"]);
        Assert.StartsWith("is not asked: Audit:Export:Syslog:Certificate: ", (await Receiver(options).SendAsync(events, default)).Cause, StringComparison.Ordinal);
        await File.WriteAllTextAsync(options.Certificate, made.ExportCertificatePem());
        await File.WriteAllTextAsync(options.CertificateKey, made.GetECDsaPrivateKey()!.ExportPkcs8PrivateKeyPem());
        File.SetUnixFileMode(options.CertificateKey, UnixFileMode.UserRead);
        Assert.Equal(ExportAnswer.Taken, await Receiver(options).SendAsync(events, default));
        Assert.Equal("CN=proxy.example.com", _server.Clients[^1]);
        _server.Protocols = SslProtocols.Tls13;
        Assert.Equal(ExportAnswer.Taken, await Receiver(options).SendAsync(events, default));
        Assert.Equal("CN=proxy.example.com", _server.Clients[^1]);
        Assert.Equal(["1f", "1f"], _server.Ids);
    }

    [Fact]
    public async Task A_server_that_is_not_there_or_must_not_be_asked_is_told()
    {
        ExportedEvent[] events = [new("1f", DateTimeOffset.UnixEpoch, "decision", IsDenied: true, "{}"u8.ToArray())];
        var options = Options();
        options.Server = "metadata.example.com";
        Assert.Equal("is not asked: its name leads to a link-local address", (await Receiver(options).SendAsync(events, default)).Cause);
        SyslogReceiver receiver;
        await using (var gone = new SyslogServer())
            receiver = Receiver(server: gone);
        Assert.StartsWith("cannot be reached: ", (await receiver.SendAsync(events, default)).Cause, StringComparison.Ordinal);
    }

    private SyslogOptions Options(SyslogServer? server = null) => new() { Server = string.Create(CultureInfo.InvariantCulture, $"{SyslogServer.Host}:{(server ?? _server).Port}") };

    private SyslogReceiver Receiver(SyslogOptions? options = null, SyslogServer? server = null, string? pem = null) =>
        new(options ?? Options(server), _room.Connections(pem ?? (server ?? _server).Pem), _room.Time);
}
