using System.Runtime.Versioning;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using ImageAccess.Proxy.Connections.Certificates;

namespace ImageAccess.Proxy.Tests.Connections.Certificates;

/// <summary>What the CA may sign for. The attack is a stolen key of the CA; OpenSSL judges what it signs.</summary>
[SupportedOSPlatform("linux")]
public sealed class NameConstraintsTests : IDisposable
{
    private const string Named = "https://mirror.example.com:5000";
    private const string Addressed = "https://192.0.2.7:5000";
    private const string Addressed6 = "https://[2001:db8::7]:5000";

    private readonly CertificateRoom _room = new();

    public void Dispose() => _room.Dispose();

    [Theory]
    [InlineData("registry-1.docker.io")]
    [InlineData("docker.io")]
    [InlineData("registry.hub.docker.com")]
    [InlineData("mirror.example.com", Named)]
    [InlineData("192.0.2.7", Addressed)]
    [InlineData("2001:db8::7", Addressed6)]
    public async Task OpenSSL_accepts_what_it_is_for(string host, string? publicUrl = null)
    {
        _room.Options.PublicUrl = publicUrl is null ? null : new Uri(publicUrl);
        _room.Create();

        var (code, output) = await VerifyAsync(Signed(host));

        Assert.True(code == 0, output);
        Assert.True(_room.Plan.Constraints.Permits(host));
    }

    [Theory]
    [InlineData("example.com", "permitted subtree violation")]
    [InlineData("docker.com", "permitted subtree violation")]
    [InlineData("www.docker.com", "permitted subtree violation")]
    [InlineData("evil-docker.io", "permitted subtree violation")]
    [InlineData("docker.io.example.com", "permitted subtree violation")]
    [InlineData("io", "permitted subtree violation")]
    [InlineData("example.com", "permitted subtree violation", Named)]
    [InlineData("other.example.com", "permitted subtree violation", Named)]
    [InlineData("example.com", "permitted subtree violation", Addressed)]
    [InlineData("127.0.0.1", "excluded subtree violation")]
    [InlineData("::1", "excluded subtree violation")]
    [InlineData("127.0.0.1", "excluded subtree violation", Named)]
    [InlineData("192.0.2.8", "permitted subtree violation", Addressed)]
    [InlineData("2001:db8::7", "subtree violation", Addressed)]
    [InlineData("192.0.2.7", "subtree violation", Addressed6)]
    [InlineData("2001:db8::8", "permitted subtree violation", Addressed6)]
    public async Task OpenSSL_refuses_another_host_that_its_key_signed(string host, string says, string? publicUrl = null)
    {
        _room.Options.PublicUrl = publicUrl is null ? null : new Uri(publicUrl);
        _room.Create();

        Assert.Contains(says, await RefusedAsync(Signed(host)), StringComparison.Ordinal);
        Assert.False(_room.Plan.Constraints.Permits(host));
    }

    [Theory]
    [InlineData("someone@example.com")]
    [InlineData("someone@docker.io")]
    [InlineData("https://example.com/")]
    [InlineData("https://registry-1.docker.io/")]
    public async Task OpenSSL_refuses_mailboxes_and_URIs(string name)
    {
        _room.Create();
        Assert.Contains("permitted subtree violation", await RefusedAsync(Signed(name)), StringComparison.Ordinal);
    }

    [Fact]
    public async Task OpenSSL_refuses_one_forbidden_name_among_permitted_ones()
    {
        _room.Create();
        Assert.Contains("permitted subtree violation", await RefusedAsync(Signed("registry-1.docker.io", "example.com")), StringComparison.Ordinal);
    }

    [Fact]
    public async Task OpenSSL_refuses_a_CA_under_it()
    {
        _room.Create();
        using var under = _room.Brought([], isAuthority: true, issuer: _room.Stolen().Certificate, days: 30);
        using var leaf = _room.Brought(["registry-1.docker.io"], issuer: under, days: 20);
        File.WriteAllText(_room.Outside("under.pem"), under.ExportCertificatePem() + "\n");

        var output = await RefusedAsync(leaf, "-untrusted", _room.Outside("under.pem"));

        Assert.Contains("path length constraint exceeded", output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("sslclient", "1.3.6.1.5.5.7.3.2")]
    [InlineData("smimesign", "1.3.6.1.5.5.7.3.4")]
    public async Task OpenSSL_refuses_it_for_anything_but_servers(string purpose, string usage)
    {
        _room.Create();
        using var leaf = _room.Brought(["registry-1.docker.io"], days: 20, issuer: _room.Stolen().Certificate, usage: usage);

        var output = await RefusedAsync(leaf, "-purpose", purpose);

        Assert.Contains(" at 1 depth lookup: ", output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(null, "docker.io, hub.docker.com", "0.0.0.0/0, ::/0")]
    [InlineData(Named, "docker.io, hub.docker.com, mirror.example.com", "0.0.0.0/0, ::/0")]
    [InlineData(Addressed, "docker.io, hub.docker.com, 192.0.2.7", "::/0")]
    [InlineData(Addressed6, "docker.io, hub.docker.com, 2001:db8::7", "0.0.0.0/0")]
    [InlineData("https://auth.docker.io", "docker.io, hub.docker.com, auth.docker.io", "0.0.0.0/0, ::/0")]
    [InlineData("https://Mirror.Example.com.:5000", "docker.io, hub.docker.com, mirror.example.com", "0.0.0.0/0, ::/0")]
    public void They_are_read_as_they_were_written(string? publicUrl, string permitted, string excluded)
    {
        _room.Options.PublicUrl = publicUrl is null ? null : new Uri(publicUrl);
        _room.Create();
        var authority = _room.Read("ca.crt");

        var read = NameConstraints.Of(authority)!;

        Assert.Equal((permitted, excluded), (string.Join(", ", read.PermittedHosts), string.Join(", ", read.ExcludedHosts)));
        Assert.True(authority.Extensions["2.5.29.30"]!.Critical);
    }

    [Fact]
    public void Without_any_nothing_is_constrained()
    {
        using var brought = _room.Brought([], isAuthority: true);
        Assert.Null(NameConstraints.Of(brought));
    }

    private X509Certificate2 Signed(params string[] hosts) => _room.Brought(hosts, days: 20, issuer: _room.Stolen().Certificate);

    private async Task<string> RefusedAsync(X509Certificate2 leaf, params string[] options)
    {
        var (code, output) = await VerifyAsync(leaf, options);
        Assert.True(code != 0, output);
        return output;
    }

    /// <summary>At the moment of the test's own clock.</summary>
    private Task<(int Code, string Output)> VerifyAsync(X509Certificate2 leaf, params string[] options)
    {
        var file = _room.Outside($"{Convert.ToHexString(RandomNumberGenerator.GetBytes(4))}.pem");
        File.WriteAllText(file, leaf.ExportCertificatePem() + "\n");
        var time = _room.Time.GetUtcNow().ToUnixTimeSeconds().ToString(System.Globalization.CultureInfo.InvariantCulture);
        return CertificateRoom.RunAsync("openssl", ["verify", "-attime", time, "-CAfile", _room["ca.crt"], .. options, file]);
    }
}
