using System.Runtime.Versioning;
using System.Security.Cryptography.X509Certificates;
using ImageAccess.Core.Hosts;
using ImageAccess.Proxy.Connections.Certificates;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Tests.Connections.Certificates;

/// <summary>What listeners get, while files change and time passes.</summary>
[SupportedOSPlatform("linux")]
public sealed class ServerCertificatesTests : IDisposable
{
    private readonly CertificateRoom _room = new();

    public void Dispose() => _room.Dispose();

    [Fact]
    public void Without_certificates_and_without_a_listener_nothing_is_done()
    {
        var certificates = _room.Start();
        certificates.Refresh();
        certificates.Refresh();

        Assert.Equal((null, null), (certificates.AuthorityPem, certificates.Concern));
        Assert.False(Directory.Exists(_room.Folder));
        Assert.Empty(_room.Log.All);
    }

    [Fact]
    public void Without_a_listener_no_leaf_is_made_or_renewed()
    {
        _room.Issue.EnsureAuthority();
        var certificates = _room.Start();
        certificates.Refresh();

        Assert.Equal(File.ReadAllText(_room["ca.crt"]), certificates.AuthorityPem);
        Assert.False(File.Exists(_room["docker-hub.crt"]));
    }

    [Fact]
    public void A_listener_without_a_certificate_says_what_to_do()
    {
        var failed = Assert.Throws<OptionsValidationException>(() => _room.Start().ForDockerHub("Listen:Gateway"));
        Assert.Equal([$"Listen:Gateway: there is no certificate in {_room.Folder}: run imageaccess certificates create"], failed.Failures);
    }

    [Fact]
    public void A_mirror_without_a_name_says_what_to_do()
    {
        _room.Create();
        var failed = Assert.Throws<OptionsValidationException>(() => _room.Start().ForMirror("Listen:Mirror"));
        Assert.Equal(["Listen:Mirror: it is not known which name its certificate is for: set PublicUrl, or bring one with Certificates:Mirror"], failed.Failures);
    }

    [Fact]
    public void A_mirror_whose_name_the_CA_may_not_sign_for_says_so()
    {
        _room.Create();
        _room.Options.PublicUrl = new Uri("https://mirror.example.com");
        var failed = Assert.Throws<OptionsValidationException>(() => _room.Start().ForMirror("Listen:Mirror"));
        Assert.StartsWith($"Listen:Mirror: the CA {_room["ca.crt"]} may not sign for mirror.example.com: ", Assert.Single(failed.Failures), StringComparison.Ordinal);
    }

    [Fact]
    public void A_key_that_others_may_read_stops_the_start()
    {
        _room.Create();
        File.SetUnixFileMode(_room["docker-hub.key"], UnixFileMode.UserRead | UnixFileMode.GroupRead);
        var failed = Assert.Throws<OptionsValidationException>(() => _room.Start().ForDockerHub("Listen:Gateway"));
        Assert.Equal([$"Listen:Gateway: {_room["docker-hub.key"]} is open to others than its owner: chmod 600 {_room["docker-hub.key"]}"], failed.Failures);
    }

    [Fact]
    public void A_CA_that_cannot_be_read_is_named_by_the_listener_that_needs_it()
    {
        _room.Issue.EnsureAuthority();
        File.Delete(_room["ca.key"]);
        var failed = Assert.Throws<OptionsValidationException>(() => _room.Start().ForDockerHub("Listen:Gateway"));
        Assert.Equal([$"Listen:Gateway: {_room["ca.crt"]} is there without ca.key"], failed.Failures);
    }

    [Fact]
    public void A_missing_leaf_is_issued_at_the_start_where_the_CA_is_at_hand()
    {
        _room.Issue.EnsureAuthority();
        var certificates = _room.Start();
        var served = certificates.ForDockerHub("Listen:Gateway");

        Assert.Equal(DockerHubHosts.Intercepted, served.Current.TargetCertificate.Hosts());
        Assert.Equal(_room.Read("docker-hub.crt").SerialNumber, served.Current.TargetCertificate.SerialNumber);
        Assert.Same(served, certificates.ForDockerHub("Listen:ForwardProxy"));
        Assert.Null(certificates.Concern);
    }

    [Fact]
    public void A_leaf_is_renewed_when_a_third_of_its_life_is_left()
    {
        _room.Create();
        var certificates = _room.Start();
        var served = certificates.ForDockerHub("Listen:Gateway");
        var first = served.Current;

        _room.Time.Advance(TimeSpan.FromDays(19));
        certificates.Refresh();
        Assert.Same(first, served.Current);

        _room.Time.Advance(TimeSpan.FromDays(1));
        certificates.Refresh();
        Assert.Equal(_room.Time.GetUtcNow().AddDays(30), served.Current.TargetCertificate.Ends());
        Assert.Equal(_room.Read("docker-hub.crt").SerialNumber, served.Current.TargetCertificate.SerialNumber);
        Assert.Null(certificates.Concern);
        Assert.Empty(_room.Log.At(LogLevel.Error));
        Assert.Empty(_room.Log.At(LogLevel.Warning));
    }

    [Fact]
    public void One_that_ended_while_the_program_was_down_is_renewed_at_its_start()
    {
        _room.Create();
        _room.Time.Advance(TimeSpan.FromDays(100));
        Assert.Equal(_room.Time.GetUtcNow().AddDays(30), _room.Start().ForDockerHub("Listen:Gateway").Current.TargetCertificate.Ends());
    }

    [Fact]
    public void A_renewal_that_fails_is_told_once_and_tried_again()
    {
        _room.Create();
        var certificates = _room.Start();
        var served = certificates.ForDockerHub("Listen:Gateway");
        var first = served.Current.TargetCertificate.SerialNumber;
        Directory.CreateDirectory(_room["docker-hub.key.new"]);
        _room.Time.Advance(TimeSpan.FromDays(21));

        certificates.Refresh();
        certificates.Refresh();
        _room.Time.Advance(TimeSpan.FromMinutes(2));
        certificates.Refresh();

        Assert.Equal(first, served.Current.TargetCertificate.SerialNumber);
        Assert.StartsWith($"Certificates:Directory: {_room["docker-hub.crt"]} cannot be written: ", certificates.Concern, StringComparison.Ordinal);
        Assert.EndsWith("; trying again every minute", Assert.Single(_room.Log.At(LogLevel.Error)), StringComparison.Ordinal);

        Directory.Delete(_room["docker-hub.key.new"]);
        _room.Time.Advance(TimeSpan.FromMinutes(2));
        certificates.Refresh();
        Assert.NotEqual(first, served.Current.TargetCertificate.SerialNumber);
        Assert.Null(certificates.Concern);
    }

    [Fact]
    public void Another_pair_is_taken_at_once()
    {
        _room.Create();
        var certificates = _room.Start();
        var served = certificates.ForDockerHub("Listen:Gateway");
        File.Delete(_room["docker-hub.crt"]);
        _room.Create();

        certificates.Refresh();

        Assert.Equal(_room.Read("docker-hub.crt").SerialNumber, served.Current.TargetCertificate.SerialNumber);
    }

    [Fact]
    public void Two_files_that_are_exchanged_one_after_the_other_raise_no_alarm()
    {
        _room.Create();
        var certificates = _room.Start();
        var served = certificates.ForDockerHub("Listen:Gateway");
        var first = served.Current;
        var (crt, key) = (File.ReadAllText(_room["docker-hub.crt"]), File.ReadAllText(_room["docker-hub.key"]));
        File.Delete(_room["docker-hub.crt"]);
        _room.Create();
        var second = File.ReadAllText(_room["docker-hub.crt"]);
        File.WriteAllText(_room["docker-hub.crt"], crt); // the new key is there, the new certificate not yet

        certificates.Refresh();
        Assert.Equal((null, first), (certificates.Concern, served.Current));
        File.WriteAllText(_room["docker-hub.crt"], second);
        certificates.Refresh();

        Assert.NotSame(first, served.Current);
        Assert.Empty(_room.Log.At(LogLevel.Error));
        Assert.NotEqual(key, File.ReadAllText(_room["docker-hub.key"]));
    }

    public static TheoryData<string, string> BadFiles => new()
    {
        { "garbage", "DIR/docker-hub.crt holds no certificate in PEM, or a damaged one" },
        { "other key", "DIR/docker-hub.key is damaged, or is not the private key of the first certificate in DIR/docker-hub.crt" },
        { "no key in it", "DIR/docker-hub.key holds no private key in PEM" },
        { "passphrase", "DIR/docker-hub.key is encrypted: write it without a passphrase" },
        { "open key", "DIR/docker-hub.key is open to others than its owner: chmod 600 DIR/docker-hub.key" },
        { "one file", "DIR/docker-hub.key is there without docker-hub.crt" },
        { "too large", "DIR/docker-hub.crt is larger than 1 MiB" },
        { "names", "DIR/docker-hub.crt is not for index.docker.io, registry.hub.docker.com, docker.io, auth.docker.io" },
        { "usage", "DIR/docker-hub.crt is not for servers" },
        { "expired", "DIR/docker-hub.crt ended on 2026-05-31" },
    };

    [Theory]
    [MemberData(nameof(BadFiles))]
    public async Task A_bad_new_file_is_refused_loudly_and_the_last_good_one_stays(string fault, string text)
    {
        _room.Create();
        var certificates = _room.Start();
        var served = certificates.ForDockerHub("Listen:Gateway");
        var good = served.Current;
        var files = Directory.GetFiles(_room.Folder).ToDictionary(file => file, File.ReadAllText);
        _room.Log.Clear();
        Spoil(fault);

        for (var i = 0; i < 4; i++)
            certificates.Refresh();

        var line = $"Certificates:Directory: {text.Replace("DIR", _room.Folder, StringComparison.Ordinal)}; the last good one stays in use";
        Assert.Same(good, served.Current);
        Assert.Equal([line], _room.Log.At(LogLevel.Error));
        var health = await new CertificatesHealth(certificates).CheckHealthAsync(new HealthCheckContext());
        Assert.Equal((HealthStatus.Degraded, line), (health.Status, health.Description));

        foreach (var (file, content) in files)
            File.WriteAllText(file, content);
        File.SetUnixFileMode(_room["docker-hub.key"], UnixFileMode.UserRead | UnixFileMode.UserWrite);
        certificates.Refresh();
        Assert.Null(certificates.Concern);
        Assert.Equal($"The certificate {_room["docker-hub.crt"]} is again the one that is in use", _room.Log.All[^1]);
    }

    [Fact]
    public void A_bad_file_is_written_over_when_the_last_good_one_is_due()
    {
        _room.Create();
        var certificates = _room.Start();
        var served = certificates.ForDockerHub("Listen:Gateway");
        File.WriteAllText(_room["docker-hub.crt"], "nothing");
        _room.Time.Advance(TimeSpan.FromDays(20));
        certificates.Refresh();
        Assert.Equal(_room.Time.GetUtcNow().AddDays(30), served.Current.TargetCertificate.Ends());
        Assert.Null(certificates.Concern);
    }

    [Fact]
    public void What_was_not_in_force_yet_is_taken_when_it_is()
    {
        using var brought = _room.Brought(DockerHubHosts.Intercepted, days: 10);
        (_room.Options.Gateway, _room.Options.GatewayKey) = _room.Write("own", brought);
        var certificates = _room.Start();
        var served = certificates.ForDockerHub("Listen:Gateway");
        _room.Time.Advance(TimeSpan.FromDays(5));
        using var later = _room.Brought(DockerHubHosts.Intercepted, days: 30);
        _room.Time.Advance(TimeSpan.FromDays(-5));
        _room.Write("own", later);

        certificates.Refresh();
        certificates.Refresh();
        Assert.Contains("is not in force before 2026-06-05", certificates.Concern, StringComparison.Ordinal);
        _room.Time.Advance(TimeSpan.FromDays(4));
        certificates.Refresh();
        certificates.Refresh();
        Assert.Equal(later.SerialNumber, served.Current.TargetCertificate.SerialNumber);
        Assert.Null(certificates.Concern);
    }

    [Fact]
    public void Another_CA_issues_the_leaf_anew()
    {
        _room.Create();
        var certificates = _room.Start();
        var served = certificates.ForDockerHub("Listen:Gateway");
        File.Delete(_room["ca.crt"]);
        File.Delete(_room["ca.key"]);
        _room.Issue.EnsureAuthority();

        certificates.Refresh();

        Assert.True(CertificateAuthority.HasIssued(_room.Read("ca.crt"), served.Current.TargetCertificate));
        Assert.Equal(File.ReadAllText(_room["ca.crt"]), certificates.AuthorityPem);
    }

    [Fact]
    public void Without_its_CA_a_leaf_is_used_to_its_end_and_that_is_said_in_time()
    {
        _room.Create();
        File.Move(_room["ca.crt"], _room.Outside("ca.crt"));
        File.Move(_room["ca.key"], _room.Outside("ca.key"));
        var certificates = _room.Start();
        var served = certificates.ForDockerHub("Listen:Gateway");
        Assert.Equal((null, null), (certificates.AuthorityPem, certificates.Concern));

        AssertWarnedOnceADay(certificates, served, $"Certificates:Directory: {_room["docker-hub.crt"]} ends on 2026-07-01", daysUntil: 16);
    }

    [Fact]
    public void A_leaf_that_is_brought_is_never_written_and_its_end_is_said_in_time()
    {
        _room.Issue.EnsureAuthority();
        using var brought = _room.Brought(DockerHubHosts.Intercepted, days: 30);
        (_room.Options.Gateway, _room.Options.GatewayKey) = _room.Write("own", brought);
        var certificates = _room.Start();
        var served = certificates.ForDockerHub("Listen:Gateway");

        AssertWarnedOnceADay(certificates, served, $"Certificates:Gateway: {_room.Options.Gateway} ends on 2026-07-01", daysUntil: 16);

        _room.Time.Advance(TimeSpan.FromDays(15));
        certificates.Refresh();
        Assert.Equal(brought.SerialNumber, served.Current.TargetCertificate.SerialNumber);
        Assert.Equal($"Certificates:Gateway: {_room.Options.Gateway} ended on 2026-07-01", certificates.Concern);
        Assert.False(File.Exists(_room["docker-hub.crt"]));
    }

    [Fact]
    public void The_end_of_the_CA_is_said_a_quarter_ahead()
    {
        _room.Issue.EnsureAuthority();
        var certificates = _room.Start();
        _room.Time.Advance(TimeSpan.FromDays(3650 - 95));
        certificates.Refresh();
        Assert.Null(certificates.Concern);
        _room.Time.Advance(TimeSpan.FromDays(10));
        certificates.Refresh();
        certificates.Refresh();
        Assert.Equal($"Certificates:Directory: {_room["ca.crt"]} ends on 2036-06-01; every client must trust another before", certificates.Concern);
        Assert.Single(_room.Log.At(LogLevel.Warning));
    }

    [Fact]
    public void Of_a_CA_that_is_brought_its_own_certificate_alone_is_handed_out()
    {
        using var root = _room.Brought([], isAuthority: true);
        using var brought = _room.Brought([], isAuthority: true, issuer: root, days: 300);
        (_room.Options.Authority, _room.Options.AuthorityKey) = _room.Write(
            "own", brought, root.ExportCertificatePem() + "\n" + CertificateRoom.KeyPem(brought) + "\n");
        var certificates = _room.Start();
        var served = certificates.ForDockerHub("Listen:Gateway");

        Assert.Equal(brought.ExportCertificatePem() + "\n", certificates.AuthorityPem);
        Assert.Equal([brought.SerialNumber], served.Current.IntermediateCertificates.Select(above => above.SerialNumber));
    }

    [Fact]
    public async Task The_upkeep_looks_every_few_seconds()
    {
        _room.Create();
        var certificates = _room.Start();
        var served = certificates.ForDockerHub("Listen:Gateway");
        using var upkeep = new CertificateUpkeep(certificates, _room.Time);
        await upkeep.StartAsync(CancellationToken.None);
        await Eventually.TrueAsync(() => _room.Time.PendingTimers == 1);
        File.Delete(_room["docker-hub.crt"]);
        _room.Create();

        _room.Time.Advance(CertificateUpkeep.Period);

        await Eventually.TrueAsync(() => served.Current.TargetCertificate.SerialNumber == _room.Read("docker-hub.crt").SerialNumber);
        await upkeep.StopAsync(CancellationToken.None);
    }

    private void AssertWarnedOnceADay(ServerCertificates certificates, ServerCertificate served, string warning, int daysUntil)
    {
        var first = served.Current;
        _room.Time.Advance(TimeSpan.FromDays(daysUntil - 1));
        certificates.Refresh();
        Assert.Null(certificates.Concern);
        _room.Time.Advance(TimeSpan.FromDays(1));
        certificates.Refresh();
        certificates.Refresh();
        Assert.Equal(warning, certificates.Concern);
        Assert.Equal([warning], _room.Log.At(LogLevel.Warning));
        _room.Time.Advance(TimeSpan.FromDays(1));
        certificates.Refresh();
        Assert.Equal([warning, warning], _room.Log.At(LogLevel.Warning));
        Assert.Same(first, served.Current);
    }

    private void Spoil(string fault)
    {
        switch (fault)
        {
            case "garbage":
                File.WriteAllText(_room["docker-hub.crt"], "nothing");
                break;
            case "other key":
                File.Copy(_room["ca.key"], _room["docker-hub.key"], overwrite: true);
                break;
            case "no key in it":
                CertificateRoom.WriteKey(_room["docker-hub.key"], File.ReadAllText(_room["docker-hub.crt"]));
                break;
            case "passphrase":
                CertificateRoom.WriteKey(_room["docker-hub.key"], "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n");
                break;
            case "open key":
                File.SetUnixFileMode(_room["docker-hub.key"], UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.OtherRead);
                break;
            case "one file":
                File.Delete(_room["docker-hub.crt"]);
                break;
            case "too large":
                File.WriteAllText(_room["docker-hub.crt"], new string('x', 2 * 1024 * 1024));
                break;
            case "names":
                Put(_room.Brought(["registry-1.docker.io"], issuer: _room.Stolen().Certificate));
                break;
            case "usage":
                Put(_room.Brought(DockerHubHosts.Intercepted, issuer: _room.Stolen().Certificate, usage: "1.3.6.1.5.5.7.3.2"));
                break;
            case "expired":
                Put(_room.Brought(DockerHubHosts.Intercepted, days: -1));
                break;
        }
    }

    private void Put(X509Certificate2 certificate)
    {
        File.WriteAllText(_room["docker-hub.crt"], certificate.ExportCertificatePem());
        CertificateRoom.WriteKey(_room["docker-hub.key"], CertificateRoom.KeyPem(certificate));
        certificate.Dispose();
    }
}
