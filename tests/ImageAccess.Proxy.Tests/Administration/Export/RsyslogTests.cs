using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Runtime.Versioning;
using System.Security.Cryptography.X509Certificates;
using ImageAccess.Proxy.Administration.Export;

namespace ImageAccess.Proxy.Tests.Administration.Export;

/// <summary>Debian's rsyslog, with each of its TLS drivers: how it ends a connection is what the export goes by.</summary>
[UnsupportedOSPlatform("windows")]
public sealed class RsyslogTests : IDisposable
{
    private readonly ExportRoom _room = new();
    private readonly X509Certificate2 _certificate = SyslogServer.MakeCertificate(SyslogServer.Host);
    private readonly int _port = FreePort();

    public void Dispose()
    {
        _certificate.Dispose();
        _room.Dispose();
    }

    [Theory]
    [InlineData("gtls")]
    [InlineData("ossl")]
    public async Task It_has_the_whole_trail_once_over_a_restart(string driver)
    {
        await ConfigureAsync(driver, "anon");
        await _room.Trail.WriteAsync(2500);
        await RunAsync(_room.LookAsync);
        await _room.Trail.WriteAsync(30);
        await _room.LookAsync(); // it is not there
        await RunAsync(_room.LookAsync);
        Assert.Equal(_room.Kept, Written);
        Assert.Equal(1, _room.Counts["imageaccess.export.failures"]);
    }

    /// <summary>With TLS 1.3 it says so only after the handshake, when everything is sent already.</summary>
    [Theory]
    [InlineData("gtls")]
    [InlineData("ossl")]
    public async Task One_that_demands_a_certificate_and_gets_none_confirms_nothing(string driver)
    {
        await ConfigureAsync(driver, "x509/certvalid");
        await _room.Trail.WriteAsync(3);
        await RunAsync(_room.LookAsync);
        Assert.Equal((1, 0), (_room.Counts["imageaccess.export.failures"], _room.Counts["imageaccess.export.sent"]));
        Assert.False(File.Exists(_room.Position));
        Assert.Empty(Written);
    }

    private IReadOnlyList<string> Written => !File.Exists(_room.Trail["written"]) ? []
        : [.. File.ReadAllLines(_room.Trail["written"]).Select(message => ExportRoom.IdOf(message[message.IndexOf('{', StringComparison.Ordinal)..]))];

    private async Task ConfigureAsync(string driver, string mode)
    {
        await File.WriteAllTextAsync(_room.Trail["server.crt"], _certificate.ExportCertificatePem());
        await File.WriteAllTextAsync(_room.Trail["server.key"], _certificate.GetECDsaPrivateKey()!.ExportPkcs8PrivateKeyPem());
        Directory.CreateDirectory(_room.Trail["work"]);
        await File.WriteAllTextAsync(_room.Trail["rsyslog.conf"], string.Create(CultureInfo.InvariantCulture, $"""
            global(workDirectory="{_room.Trail["work"]}" maxMessageSize="64k" defaultNetstreamDriverCAFile="{_room.Trail["server.crt"]}"
              defaultNetstreamDriverCertFile="{_room.Trail["server.crt"]}" defaultNetstreamDriverKeyFile="{_room.Trail["server.key"]}")
            module(load="imtcp" StreamDriver.Name="{driver}" StreamDriver.Mode="1" StreamDriver.AuthMode="{mode}")
            template(name="raw" type="string" string="%rawmsg%\n")
            input(type="imtcp" address="127.0.0.1" port="{_port}" ruleset="all")
            ruleset(name="all") {"{"} action(type="omfile" file="{_room.Trail["written"]}" template="raw") {"}"}

            """));
        var options = new SyslogOptions { Server = string.Create(CultureInfo.InvariantCulture, $"{SyslogServer.Host}:{_port}") };
        _room.Restart(new SyslogReceiver(options, _room.Connections(_certificate.ExportCertificatePem()), _room.Time));
    }

    /// <summary>It runs meanwhile, and writes what it has when it is told to end.</summary>
    private async Task RunAsync(Func<Task> act)
    {
        using var rsyslog = Process.Start(new ProcessStartInfo("/usr/sbin/rsyslogd", ["-n", "-f", _room.Trail["rsyslog.conf"], "-i", _room.Trail["rsyslog.pid"]])
        {
            RedirectStandardError = true,
            UseShellExecute = false,
        })!;
        var log = rsyslog.StandardError.ReadToEndAsync();
        try
        {
            await Eventually.TrueAsync(IsThereAsync);
            await act();
        }
        finally
        {
            using var kill = Process.Start("kill", ["-TERM", rsyslog.Id.ToString(CultureInfo.InvariantCulture)]);
            await rsyslog.WaitForExitAsync();
            await log;
        }
    }

    private async Task<bool> IsThereAsync()
    {
        using var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
        try
        {
            await socket.ConnectAsync(IPAddress.Loopback, _port);
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }
}
