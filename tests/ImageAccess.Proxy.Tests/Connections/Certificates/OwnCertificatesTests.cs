using System.Runtime.Versioning;
using System.Security.Cryptography;
using ImageAccess.Core.Hosts;
using ImageAccess.Proxy.Connections.Certificates;

namespace ImageAccess.Proxy.Tests.Connections.Certificates;

/// <summary>Certificates that the administrator brings: what is wrong with them stops the start, each in a line that begins with the key.</summary>
[SupportedOSPlatform("linux")]
public sealed class OwnCertificatesTests : IDisposable
{
    private readonly CertificateRoom _room = new();

    public void Dispose() => _room.Dispose();

    [Fact]
    public void Without_any_there_is_nothing_to_say() => Assert.Empty(_room.Faults());

    [Fact]
    public void Good_ones_pass()
    {
        using var root = _room.Brought([], isAuthority: true);
        using var gateway = _room.Brought(["*.docker.io", "docker.io", "registry.hub.docker.com"], issuer: root, days: 90);
        using var mirror = _room.Brought(["mirror.example.com"], issuer: root, days: 90, key: RSA.Create(2048));
        (_room.Options.Authority, _room.Options.AuthorityKey) = _room.Write("ca", root);
        (_room.Options.Gateway, _room.Options.GatewayKey) = _room.Write("gateway", gateway, root.ExportCertificatePem());
        (_room.Options.Mirror, _room.Options.MirrorKey) = _room.Write("mirror", mirror);
        _room.Options.PublicUrl = new Uri("https://mirror.example.com:5000");

        Assert.Empty(_room.Faults());
        Assert.Equal(mirror.SerialNumber, _room.Start().ForMirror("Listen:Mirror").Current.TargetCertificate.SerialNumber);
    }

    [Fact]
    public void A_mirrors_own_leaf_needs_no_PublicUrl()
    {
        using var mirror = _room.Brought(["mirror.example.com"]);
        (_room.Options.Mirror, _room.Options.MirrorKey) = _room.Write("mirror", mirror);
        Assert.Empty(_room.Faults());
        Assert.Equal(mirror.SerialNumber, _room.Start().ForMirror("Listen:Mirror").Current.TargetCertificate.SerialNumber);
    }

    [Fact]
    public void A_key_that_its_group_may_read_is_taken()
    {
        using var mirror = _room.Brought(["mirror.example.com"]);
        (_room.Options.Mirror, _room.Options.MirrorKey) = _room.Write("mirror", mirror);
        File.SetUnixFileMode(_room.Options.MirrorKey, UnixFileMode.UserRead | UnixFileMode.GroupRead);
        Assert.Empty(_room.Faults());
    }

    [Fact]
    public void Halves_are_told_at_once()
    {
        (_room.Options.Authority, _room.Options.GatewayKey, _room.Options.Mirror) = ("/a", "/b", "/c");
        Assert.Equal(
            [
                "Certificates:AuthorityKey: is missing: Certificates:Authority is of no use without its private key",
                "Certificates:Gateway: is missing: Certificates:GatewayKey is of no use without its certificate",
                "Certificates:MirrorKey: is missing: Certificates:Mirror is of no use without its private key",
            ],
            _room.Faults());
    }

    [Theory]
    [InlineData("nowhere", "Certificates:Gateway: PATH.pem does not exist")]
    [InlineData("no key file", "Certificates:GatewayKey: PATH-key.pem does not exist")]
    [InlineData("garbage", "Certificates:Gateway: PATH.pem holds no certificate in PEM, or a damaged one")]
    [InlineData("key of another", "Certificates:GatewayKey: PATH-key.pem is damaged, or is not the private key of the first certificate in PATH.pem")]
    [InlineData("passphrase", "Certificates:GatewayKey: PATH-key.pem is encrypted: write it without a passphrase")]
    [InlineData("others may read", "Certificates:GatewayKey: PATH-key.pem is open to others than its owner: chmod 600 PATH-key.pem")]
    [InlineData("group may write", "Certificates:GatewayKey: PATH-key.pem is open to others than its owner: chmod 600 PATH-key.pem")]
    [InlineData("expired", "Certificates:Gateway: PATH.pem ended on 2026-05-31")]
    [InlineData("one name", "Certificates:Gateway: PATH.pem is not for index.docker.io, registry.hub.docker.com, docker.io, auth.docker.io")]
    [InlineData("wildcard alone", "Certificates:Gateway: PATH.pem is not for registry.hub.docker.com, docker.io")]
    [InlineData("no server", "Certificates:Gateway: PATH.pem is not for servers")]
    public void A_bad_leaf_stops_the_start(string fault, string line)
    {
        var path = _room.Outside("own");
        using var good = _room.Brought(DockerHubHosts.Intercepted);
        using var brought = fault switch
        {
            "expired" => _room.Brought(DockerHubHosts.Intercepted, days: -1),
            "one name" => _room.Brought(["registry-1.docker.io"]),
            "wildcard alone" => _room.Brought(["*.docker.io"]),
            "no server" => _room.Brought(DockerHubHosts.Intercepted, usage: "1.3.6.1.5.5.7.3.2"),
            _ => _room.Brought(DockerHubHosts.Intercepted),
        };
        (_room.Options.Gateway, _room.Options.GatewayKey) = _room.Write("own", brought);
        Spoil(fault, path, CertificateRoom.KeyPem(good));

        Assert.Equal([line.Replace("PATH", path, StringComparison.Ordinal)], _room.Faults());
    }

    [Theory]
    [InlineData("leaf", "Certificates:Authority: PATH.pem is no CA")]
    [InlineData("expired", "Certificates:Authority: PATH.pem ended on 2026-05-31")]
    public void A_bad_CA_stops_the_start(string fault, string line)
    {
        using var brought = fault == "leaf" ? _room.Brought(["docker.io"]) : _room.Brought([], isAuthority: true, days: -1);
        (_room.Options.Authority, _room.Options.AuthorityKey) = _room.Write("own", brought);
        Assert.Equal([line.Replace("PATH", _room.Outside("own"), StringComparison.Ordinal)], _room.Faults());
    }

    [Fact]
    public void A_CA_that_may_not_sign_for_Docker_Hub_stops_the_start()
    {
        var made = CertificateAuthority.Create(NameConstraints.For(["example.com", "docker.io"]), _room.Time.GetUtcNow());
        (_room.Options.Authority, _room.Options.AuthorityKey) = (_room.Outside("own.pem"), _room.Outside("own-key.pem"));
        File.WriteAllText(_room.Options.Authority, made.CertificatePem);
        CertificateRoom.WriteKey(_room.Options.AuthorityKey, made.KeyPem);
        Assert.Equal([$"Certificates:Authority: {_room.Options.Authority} may not sign for registry.hub.docker.com"], _room.Faults());
    }

    [Fact]
    public void A_mirrors_leaf_is_for_the_host_of_PublicUrl()
    {
        using var mirror = _room.Brought(["mirror.example.com", "192.0.2.7"]);
        (_room.Options.Mirror, _room.Options.MirrorKey) = _room.Write("own", mirror);
        foreach (var (url, fault) in new[] { ("https://192.0.2.7:5000", null), ("https://other.example.com", "other.example.com"), ("https://192.0.2.8", "192.0.2.8") })
        {
            _room.Options.PublicUrl = new Uri(url);
            string[] expected = fault is null ? [] : [$"Certificates:Mirror: {_room.Options.Mirror} is not for {fault}"];
            Assert.Equal(expected, _room.Faults());
        }
    }

    [Fact]
    public void No_text_holds_a_piece_of_a_key()
    {
        using var brought = _room.Brought(DockerHubHosts.Intercepted);
        (_room.Options.Gateway, _room.Options.GatewayKey) = _room.Write("own", brought);
        var key = CertificateRoom.KeyPem(brought);
        CertificateRoom.WriteKey(_room.Options.GatewayKey, key.Replace("MIG", "MIH", StringComparison.Ordinal));

        var fault = Assert.Single(_room.Faults());
        var lines = key.Split('\n', StringSplitOptions.RemoveEmptyEntries)[1..^1];
        Assert.All(lines, line => Assert.DoesNotContain(line[4..20], fault, StringComparison.Ordinal));
    }

    private static void Spoil(string fault, string path, string otherKey)
    {
        switch (fault)
        {
            case "nowhere":
                File.Delete(path + ".pem");
                break;
            case "no key file":
                File.Delete(path + "-key.pem");
                break;
            case "garbage":
                File.WriteAllText(path + ".pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
                break;
            case "key of another":
                CertificateRoom.WriteKey(path + "-key.pem", otherKey);
                break;
            case "passphrase":
                CertificateRoom.WriteKey(path + "-key.pem", "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n");
                break;
            case "others may read":
                File.SetUnixFileMode(path + "-key.pem", UnixFileMode.UserRead | UnixFileMode.OtherRead);
                break;
            case "group may write":
                File.SetUnixFileMode(path + "-key.pem", UnixFileMode.UserRead | UnixFileMode.GroupWrite);
                break;
        }
    }
}
