using System.Runtime.Versioning;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using ImageAccess.Core.Hosts;
using ImageAccess.Proxy.Connections.Certificates;

namespace ImageAccess.Proxy.Tests.Connections.Certificates;

/// <summary>What is made, and what is left alone.</summary>
[SupportedOSPlatform("linux")]
public sealed class CertificateIssueTests : IDisposable
{
    private readonly CertificateRoom _room = new();

    public void Dispose() => _room.Dispose();

    [Fact]
    public void The_CA_lasts_ten_years_and_signs_leaves_alone()
    {
        _room.Create();
        var ca = _room.Read("ca.crt");
        var now = _room.Time.GetUtcNow();

        Assert.Equal((now.AddHours(-1), now.AddYears(10)), (ca.Begins(), ca.Ends()));
        var basics = Assert.Single(ca.Extensions.OfType<X509BasicConstraintsExtension>());
        Assert.Equal((true, true, 0, true), (basics.CertificateAuthority, basics.HasPathLengthConstraint, basics.PathLengthConstraint, basics.Critical));
        var usage = Assert.Single(ca.Extensions.OfType<X509KeyUsageExtension>());
        Assert.Equal((X509KeyUsageFlags.KeyCertSign | X509KeyUsageFlags.CrlSign, true), (usage.KeyUsages, usage.Critical));
        using var key = ca.GetECDsaPublicKey();
        Assert.Equal(256, key!.KeySize);
        Assert.Matches("^CN=ImageAccess.Proxy CA [0-9a-f]{8}$", ca.Subject);
    }

    [Fact]
    public void A_leaf_is_short_lived_and_for_every_intercepted_name()
    {
        _room.Options.PublicUrl = new Uri("http://192.0.2.7:5000");
        _room.Create();
        var (ca, leaf, mirror) = (_room.Read("ca.crt"), _room.Read("docker-hub.crt"), _room.Read("mirror.crt"));
        var now = _room.Time.GetUtcNow();

        Assert.Equal((ca.Begins(), now.AddDays(30)), (leaf.Begins(), leaf.Ends()));
        Assert.Equal(DockerHubHosts.Intercepted, leaf.Hosts());
        Assert.Equal(["192.0.2.7"], mirror.Hosts());
        Assert.Equal(X509KeyUsageFlags.DigitalSignature, leaf.Extensions.OfType<X509KeyUsageExtension>().Single().KeyUsages);
        Assert.Equal("1.3.6.1.5.5.7.3.1", leaf.Extensions.OfType<X509EnhancedKeyUsageExtension>().Single().EnhancedKeyUsages.Cast<Oid>().Single().Value);
        Assert.False(leaf.Extensions.OfType<X509BasicConstraintsExtension>().Single().CertificateAuthority);
        Assert.Equal(
            ca.Extensions.OfType<X509SubjectKeyIdentifierExtension>().Single().SubjectKeyIdentifier,
            Convert.ToHexString(leaf.Extensions.OfType<X509AuthorityKeyIdentifierExtension>().Single().KeyIdentifier!.Value.Span));
        Assert.NotEqual(leaf.SerialNumber, mirror.SerialNumber);
        Assert.Equal(32, leaf.SerialNumber.Length);
    }

    [Fact]
    public void The_files_are_their_owners()
    {
        _room.Create();
        Assert.Equal("700", Mode(_room.Folder));
        Assert.All(["ca.key", "docker-hub.key"], name => Assert.Equal("600", Mode(_room[name])));
        Assert.All(["ca.crt", "docker-hub.crt"], name => Assert.Equal("644", Mode(_room[name])));
        Assert.Equal([".lock", "ca.crt", "ca.key", "docker-hub.crt", "docker-hub.key"], Directory.GetFiles(_room.Folder).Select(Path.GetFileName).Order(StringComparer.Ordinal));
    }

    [Fact]
    public void What_is_good_stays()
    {
        _room.Create();
        var before = Contents();
        Assert.False(_room.Issue.EnsureAuthority().IsNew);
        _room.Create();
        Assert.Equal(before, Contents());
    }

    [Fact]
    public void What_a_crash_left_aside_is_no_hindrance()
    {
        Directory.CreateDirectory(_room.Folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        File.WriteAllText(_room["ca.key.new"], "half a k");
        _room.Create();
        Assert.False(File.Exists(_room["ca.key.new"]));
        Assert.Equal("600", Mode(_room["ca.key"]));
    }

    public static TheoryData<string, string> SpoiltAuthorities => new()
    {
        { "no key", "DIR/ca.crt is there without ca.key; put back what is missing, or, if no client trusts this CA yet, move what is there away" },
        { "no certificate", "DIR/ca.key is there without ca.crt; put back what is missing, or, if no client trusts this CA yet, move what is there away" },
        { "garbage", "DIR/ca.crt holds no certificate in PEM, or a damaged one; put back what is missing, or, if no client trusts this CA yet, move what is there away" },
        { "other key", "DIR/ca.key is damaged, or is not the private key of the first certificate in DIR/ca.crt; put back what is missing, or, if no client trusts this CA yet, move what is there away" },
        { "no CA", "DIR/ca.crt is no CA; move DIR/ca.crt and DIR/ca.key away to make another, which every client must then trust" },
        { "expired", "DIR/ca.crt ended on 2036-06-01; move DIR/ca.crt and DIR/ca.key away to make another, which every client must then trust" },
        { "open key", "DIR/ca.key is open to others than its owner: chmod 600 DIR/ca.key" },
        { "open directory", "DIR/ca.crt cannot be written: everybody may write into DIR: chmod 700 DIR" },
    };

    [Theory]
    [MemberData(nameof(SpoiltAuthorities))]
    public void A_CA_is_never_overwritten_whatever_is_wrong_with_it(string fault, string text)
    {
        _room.Create();
        Spoil(fault);
        var before = Contents();

        var refused = Assert.Throws<CertificateException>(() => _room.Issue.EnsureAuthority());

        Assert.Equal("Certificates:Directory: " + text.Replace("DIR", _room.Folder, StringComparison.Ordinal), refused.Message);
        Assert.Equal(before, Contents());
    }

    [Theory]
    [InlineData(UnixFileMode.GroupRead)]
    [InlineData(UnixFileMode.GroupWrite)]
    [InlineData(UnixFileMode.OtherRead)]
    [InlineData(UnixFileMode.OtherWrite)]
    public void A_leafs_key_that_others_may_read_is_refused_and_not_replaced(UnixFileMode open)
    {
        _room.Create();
        File.SetUnixFileMode(_room["docker-hub.key"], open | UnixFileMode.UserRead);
        var before = Contents();

        var refused = Assert.Throws<CertificateException>(_room.Create);

        Assert.Equal($"Certificates:Directory: {_room["docker-hub.key"]} is open to others than its owner: chmod 600 {_room["docker-hub.key"]}", refused.Message);
        Assert.Equal(before, Contents());
    }

    [Theory]
    [InlineData("certificate")]
    [InlineData("key")]
    [InlineData("both")]
    [InlineData("garbage")]
    [InlineData("other names")]
    [InlineData("other CA")]
    [InlineData("last third")]
    public void A_leaf_is_issued_anew_where_it_must_be(string fault)
    {
        _room.Create();
        var authority = File.ReadAllText(_room["ca.crt"]);
        var before = _room.Read("docker-hub.crt").SerialNumber;
        SpoilLeaf(fault);

        _room.Create();

        var leaf = _room.Plan.DockerHub.Read(_room.Time.GetUtcNow());
        Assert.Null(leaf.Problem);
        Assert.NotEqual(before, leaf.Found!.Certificate.SerialNumber);
        Assert.Equal(fault == "other CA", authority != File.ReadAllText(_room["ca.crt"]));
        Assert.True(CertificateAuthority.HasIssued(_room.Read("ca.crt"), leaf.Found.Certificate));
        Assert.Equal("600", Mode(_room["docker-hub.key"]));
    }

    [Fact]
    public void Another_PublicUrl_gets_another_leaf_where_the_CA_may_sign_for_it()
    {
        _room.Options.PublicUrl = new Uri("https://one.docker.io");
        _room.Create();
        _room.Options.PublicUrl = new Uri("https://two.docker.io");
        _room.Create();
        Assert.Equal(["two.docker.io"], _room.Read("mirror.crt").Hosts());
    }

    [Fact]
    public void What_the_CA_may_not_sign_for_is_no_leaf()
    {
        _room.Create();
        _room.Options.PublicUrl = new Uri("https://mirror.example.com:5000");

        var refused = Assert.Throws<CertificateException>(_room.Create);

        Assert.Equal(
            $"PublicUrl: the CA {_room["ca.crt"]} may not sign for mirror.example.com: move {_room["ca.crt"]} and {_room["ca.key"]} away and make another, "
            + "which every client must then trust, or bring a certificate with Certificates:Mirror",
            refused.Message);
        Assert.False(File.Exists(_room["mirror.crt"]));
    }

    [Fact]
    public void A_leaf_never_outlives_its_CA_and_is_not_issued_again_and_again_at_its_end()
    {
        _room.Create();
        _room.Time.Advance(TimeSpan.FromDays(3640));
        _room.Create();
        var (ca, leaf) = (_room.Read("ca.crt"), _room.Read("docker-hub.crt"));
        Assert.Equal(ca.Ends(), leaf.Ends());

        _room.Time.Advance(TimeSpan.FromDays(11));
        _room.Create();
        Assert.Equal(leaf.SerialNumber, _room.Read("docker-hub.crt").SerialNumber);
    }

    [Theory]
    [InlineData("ecdsa")]
    [InlineData("rsa")]
    public async Task A_CA_that_is_brought_signs_the_leaves(string kind)
    {
        using AsymmetricAlgorithm key = kind == "rsa" ? RSA.Create(2048) : ECDsa.Create(ECCurve.NamedCurves.nistP384);
        using var root = _room.Brought([], isAuthority: true, key: key);
        (_room.Options.Authority, _room.Options.AuthorityKey) = _room.Write("own", root);
        _room.Options.PublicUrl = new Uri("https://mirror.example.com");

        _room.Create();

        Assert.False(File.Exists(_room["ca.crt"]));
        Assert.Equal(["mirror.example.com"], _room.Read("mirror.crt").Hosts());
        var time = _room.Time.GetUtcNow().ToUnixTimeSeconds().ToString(System.Globalization.CultureInfo.InvariantCulture);
        var (code, output) = await CertificateRoom.RunAsync(
            "openssl", "verify", "-attime", time, "-purpose", "sslserver", "-CAfile", _room.Options.Authority, _room["docker-hub.crt"]);
        Assert.True(code == 0, output);
    }

    [Fact]
    public async Task Many_at_once_make_one_CA_and_one_leaf()
    {
        var made = await Task.WhenAll(Enumerable.Range(0, 16).Select(_ => Task.Run(() =>
        {
            var authority = _room.Issue.EnsureAuthority();
            var leaf = _room.Issue.EnsureLeaf(_room.Plan.DockerHub, authority.Certificate);
            return (Authority: authority, Leaf: leaf);
        })));

        Assert.Single(made, pair => pair.Authority.IsNew);
        Assert.Single(made, pair => pair.Leaf.IsNew);
        Assert.Single(made.Select(pair => pair.Authority.Certificate.Certificate.Thumbprint).Distinct());
        Assert.Single(made.Select(pair => pair.Leaf.Certificate.Certificate.Thumbprint).Distinct());
    }

    [Fact]
    public void Who_holds_the_directory_for_too_long_is_told_of()
    {
        _room.Create();
        using var held = new CertificateFolder(_room.Folder).Hold();
        File.Delete(_room["docker-hub.crt"]);

        var refused = Assert.Throws<CertificateException>(() => _room.Issue.EnsureLeaf(_room.Plan.DockerHub, _room.Stolen()));

        Assert.Equal($"Certificates:Directory: {_room["docker-hub.crt"]} cannot be written: another process is at work in {_room.Folder}: try again", refused.Message);
    }

    private static string Mode(string path) => Convert.ToString((int)File.GetUnixFileMode(path), 8);

    private Dictionary<string, string> Contents() =>
        Directory.GetFiles(_room.Folder).Where(file => !file.EndsWith(".lock", StringComparison.Ordinal)).ToDictionary(file => file, File.ReadAllText);

    private void Spoil(string fault)
    {
        switch (fault)
        {
            case "no key":
                File.Delete(_room["ca.key"]);
                break;
            case "no certificate":
                File.Delete(_room["ca.crt"]);
                break;
            case "garbage":
                File.WriteAllText(_room["ca.crt"], "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
                break;
            case "other key":
                File.Copy(_room["docker-hub.key"], _room["ca.key"], overwrite: true);
                break;
            case "no CA":
                using (var leaf = _room.Brought(["registry-1.docker.io"]))
                {
                    File.WriteAllText(_room["ca.crt"], leaf.ExportCertificatePem());
                    CertificateRoom.WriteKey(_room["ca.key"], CertificateRoom.KeyPem(leaf));
                }

                break;
            case "expired":
                _room.Time.Advance(TimeSpan.FromDays(3653));
                break;
            case "open key":
                File.SetUnixFileMode(_room["ca.key"], UnixFileMode.UserRead | UnixFileMode.OtherRead);
                break;
            case "open directory":
                File.SetUnixFileMode(_room.Folder, File.GetUnixFileMode(_room.Folder) | UnixFileMode.OtherWrite);
                break;
        }
    }

    private void SpoilLeaf(string fault)
    {
        switch (fault)
        {
            case "certificate":
                File.Delete(_room["docker-hub.crt"]);
                break;
            case "key":
                File.Delete(_room["docker-hub.key"]);
                break;
            case "both":
                File.Delete(_room["docker-hub.crt"]);
                File.Delete(_room["docker-hub.key"]);
                break;
            case "garbage":
                File.WriteAllText(_room["docker-hub.crt"], "nothing");
                break;
            case "other names":
                using (var leaf = _room.Brought(["registry-1.docker.io"], issuer: _room.Stolen().Certificate))
                {
                    File.WriteAllText(_room["docker-hub.crt"], leaf.ExportCertificatePem());
                    CertificateRoom.WriteKey(_room["docker-hub.key"], CertificateRoom.KeyPem(leaf));
                }

                break;
            case "other CA":
                File.Delete(_room["ca.crt"]);
                File.Delete(_room["ca.key"]);
                break;
            case "last third":
                _room.Time.Advance(TimeSpan.FromDays(20));
                break;
        }
    }
}
