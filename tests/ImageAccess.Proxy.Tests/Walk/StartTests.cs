using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json;
using ImageAccess.FakeHubs;

namespace ImageAccess.Proxy.Tests.Walk;

/// <summary>The program itself, as a process: what stops its start, in which words, and how it ends.</summary>
public abstract class StartTests(string transport) : WalkTests(transport), IDisposable
{
    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("imageaccess-start-");

    public void Dispose()
    {
        _directory.Delete(recursive: true);
        GC.SuppressFinalize(this);
    }

    [Theory]
    [InlineData("""{ "Lisen": { "Mirror": "x" } }""", "imageaccess: Lisen:Mirror: unknown key; did you mean Listen:Mirror?")]
    [InlineData("""{ "Listen": { "Mirorr": "x" } }""", "imageaccess: Listen:Mirorr: unknown key; did you mean Listen:Mirror?")]
    [InlineData("""{ "Anything": 1 }""", "imageaccess: Anything: unknown key")]
    [InlineData("""{ "Listen": { "Mirror": "https://x/y" } }""", "imageaccess: Listen:Mirror: 'https://x/y' is not an address to listen on, as http://127.0.0.1:5000 or http://*:5000")]
    [InlineData("""{ "Listen": { "TrustedProxies": [ "ten" ] } }""", "imageaccess: Listen:TrustedProxies: 'ten' is not a network, as 10.0.0.0/8")]
    [InlineData("""{ "Audit": { "MaximumSize": "lots" } }""", "imageaccess: Audit:MaximumSize: 'lots' is not a size, as 500MiB or 20GiB")]
    [InlineData("""{ "Upstream": { "Registry": "ftp://x" } }""", "imageaccess: Upstream:Registry: 'ftp://x/' is not an http or https address without a path, as https://registry-1.docker.io")]
    [InlineData("""{ "Upstream": { "Registry": "not an address" } }""", "imageaccess: Upstream:Registry: 'not an address' is not an http or https address without a path, as https://registry-1.docker.io")]
    [InlineData("""{ "Upstream": { "RedirectHosts": [ "*.*.example.com" ] } }""", "imageaccess: Upstream:RedirectHosts: '*.*.example.com' is not a host with at most one * label, as cdn.example.com or cdn.*.example.com:8443")]
    [InlineData("""{ "Mirror": { "Hold": "perhaps" } }""", "imageaccess: Mirror:Hold: 'perhaps' is not known; write true, false, or a list of classic-docker, containerd, containers")]
    [InlineData("""{ "Mirror": { "Hold": [ "containerd", "podman" ] } }""", "imageaccess: Mirror:Hold: 'podman' is not known; write true, false, or a list of classic-docker, containerd, containers")]
    [InlineData("""{ "Mirror": { "Hold": [ "Containers" ] } }""", "imageaccess: Mirror:Hold: 'Containers' is not known; write true, false, or a list of ")]
    [InlineData("""{ "Mirror": { "Hold": [ "go-containerregistry" ] } }""", "imageaccess: Mirror:Hold: 'go-containerregistry' is not known; write true, false, or a list of ")]
    [InlineData("""{ "Mirror": { "Hold": [ "containerd", true ] } }""", "imageaccess: Mirror:Hold: 'True' is not known; write true, false, or a list of ")]
    [InlineData("""{ "Mirror": { "Hold": "classic-docker,containerd" } }""", "imageaccess: Mirror:Hold: 'classic-docker,containerd' is not known; write true, false, or a list of ")]
    [InlineData("""{ "PublicUrl": "https://x/path" }""", "imageaccess: PublicUrl: not an http or https address without a path, as https://mirror.example.com")]
    [InlineData("""{ "Policy": { "File": "missing.json" } }""", "imageaccess: Policy:File: DIRECTORY/missing.json")]
    [InlineData("""{ "Identity": { "TrustedKeys": "missing.pem" } }""", "imageaccess: Identity:TrustedKeys: DIRECTORY/missing.pem")]
    [InlineData("""{ "Upstream": { "TrustedCertificates": "missing.pem" } }""", "imageaccess: Upstream:TrustedCertificates: there is no file DIRECTORY/missing.pem")]
    [InlineData("""{ "Upstream": { "Auth": "http://auth.example.com" } }""", "imageaccess: Identity:TrustedKeys: Upstream:Auth ")]
    [InlineData("""{ "Listen": { "Gateway": "http://*:443" } }""", "imageaccess: Listen:Gateway: 'http://*:443' is not https, as https://*:443")]
    [InlineData("""{ "Listen": { "ForwardProxy": "https://*:3128" } }""", "imageaccess: Listen:ForwardProxy: 'https://*:3128' is not http, as http://*:3128")]
    [InlineData("""{ "Listen": { "Admin": "https://127.0.0.1:9000" } }""", "imageaccess: Listen:Admin: 'https://127.0.0.1:9000' is not http, as http://*:3128")]
    [InlineData("""{ "Listen": { "Gateway": "https://127.0.0.1:0" } }""", "imageaccess: Listen:Gateway: there is no certificate in DIRECTORY/data/certificates: run imageaccess certificates create")]
    [InlineData("""{ "Listen": { "ForwardProxy": "http://127.0.0.1:0" } }""", "imageaccess: Listen:ForwardProxy: there is no certificate in DIRECTORY/data/certificates: run imageaccess certificates create")]
    [InlineData("""{ "Listen": { "Mirror": "https://127.0.0.1:0" } }""", "imageaccess: Listen:Mirror: it is not known which name its certificate is for: set PublicUrl, or bring one with Certificates:Mirror")]
    [InlineData("""{ "Egress": { "Allow": [ "https://ghcr.io" ] } }""", "imageaccess: Egress:Allow: 'https://ghcr.io' is not a host, as ghcr.io, *.example.com or registry.example.com:5000 private")]
    [InlineData("""{ "Egress": { "IdleTimeout": "long" } }""", "imageaccess: Egress:IdleTimeout: 'long' is not a duration, as 30s, 5m, 12h or 7d")]
    [InlineData("""{ "ForwardProxy": { "Users": "missing" } }""", "imageaccess: ForwardProxy:Users: DIRECTORY/missing does not exist")]
    [InlineData("""{ "Upstream": { "Addresses": "resolver" } }""", "imageaccess: Upstream:Addresses: 'resolver' is not a resolver's address, as 10.0.0.53 or [fd00::53]:5353")]
    [InlineData("""{ "Upstream": { "Addresses": { "registry-1.docker.io": [ "1.2.3.4", "x" ] } } }""", "imageaccess: Upstream:Addresses: 'x', of registry-1.docker.io, is not an address")]
    [InlineData("""{ "Upstream": { "Addresses": { "a..b": "1.2.3.4" } } }""", "imageaccess: Upstream:Addresses: 'a..b' is not a host name")]
    [InlineData("""{ "Upstream": { "Index": "index.docker.io" } }""", "imageaccess: Upstream:Index: 'index.docker.io' is not an http or https address without a path, as https://registry-1.docker.io")]
    [InlineData("""{ "Listen": """, "imageaccess: DIRECTORY/imageaccess.json: line 1, column 13: not valid JSON: the document ends here; ")]
    [InlineData("""[ "Listen" ]""", "imageaccess: DIRECTORY/imageaccess.json: not valid JSON: ")]
    [InlineData("""{ "Listen": { "Mirror": "http://127.0.0.1:99999" } }""", "imageaccess: Listen:Mirror: 'http://127.0.0.1:99999' is not an address to listen on, as http://127.0.0.1:5000 or http://*:5000")]
    [InlineData("""{ "Cache": { "FinishFrom": "half" } }""", "imageaccess: Cache:FinishFrom: choose a number from 0 to 1, as 0.5")]
    [InlineData("""{ "Cache": { "FinishFrom": -1 } }""", "imageaccess: Cache:FinishFrom: choose a number from 0 to 1, as 0.5")]
    [InlineData("""{ "Cache": { "TagFreshness": "-1m" } }""", "imageaccess: Cache:TagFreshness: '-1m' is not a duration, as 30s, 5m, 12h or 7d")]
    [InlineData("""{ "Cache": { "MaximumSize": "-1GiB" } }""", "imageaccess: Cache:MaximumSize: '-1GiB' is not a size, as 500MiB or 20GiB")]
    [InlineData("""{ "Shutdown": { "GracePeriod": "0s" } }""", "imageaccess: Shutdown:GracePeriod: '0s' is not a duration, as 30s, 5m, 12h or 7d")]
    [InlineData("""{ "Shutdown": { "GracePeriod": "2h" } }""", "imageaccess: Shutdown:GracePeriod: choose at most 1h")]
    [InlineData("""{ "PublicUrl": "http://[" }""", "imageaccess: PublicUrl: 'http://[' is not an address")]
    [InlineData("""{ "Upstream": { "Registry": "https://[" } }""", "imageaccess: Upstream:Registry: 'https://[' is not an address")]
    [InlineData("""{ "Upstream": { "Proxy": "http://a:b:c" } }""", "imageaccess: Upstream:Proxy: 'http://a:b:c' is not an address")]
    [InlineData("""{ "Data": { "Directory": "" } }""", "imageaccess: Data:Directory: is empty: name a file or a directory, or leave the key out")]
    [InlineData("""{ "Data": { "Directory": "imageaccess.json" } }""", "imageaccess: Data:Directory: DIRECTORY/imageaccess.json cannot be used (")]
    [InlineData("""{ "Data": { "Directory": "imageaccess.json/below" } }""", "imageaccess: Data:Directory: DIRECTORY/imageaccess.json/below cannot be used (")]
    [InlineData("""{ "Data": { "Directory": "/proc/imageaccess" } }""", "imageaccess: Data:Directory: /proc/imageaccess cannot be used (")]
    [InlineData("""{ "Audit": { "File": "." } }""", "imageaccess: Audit:File: DIRECTORY cannot be written (")]
    [InlineData("""{ "Audit": { "File": "nowhere/audit.jsonl" } }""", "imageaccess: Audit:File: DIRECTORY/nowhere/audit.jsonl cannot be written (")]
    [InlineData("""{ "Cache": { "Directory": "imageaccess.json/below" } }""", "imageaccess: Cache:Directory: DIRECTORY/imageaccess.json/below cannot be a directory: DIRECTORY/imageaccess.json is a file")]
    [InlineData("""{ "Catalog": { "File": "missing.json" } }""", "imageaccess: Catalog:File: DIRECTORY/missing.json does not exist")]
    [InlineData("""{ "Upstream": { "TrustedCertificates": "imageaccess.json" } }""", "imageaccess: Upstream:TrustedCertificates: DIRECTORY/imageaccess.json has no certificate in PEM")]
    [InlineData("""{ "Identity": { "Directory": { "Organization": "acme", "Username": "a", "SecretFile": "missing" } } }""", "imageaccess: Identity:Directory:SecretFile: DIRECTORY/missing is not there")]
    [InlineData("""{ "Identity": { "Directory": { "Organization": "acme", "Username": "a", "Secret": "x" } } }""", "imageaccess: Identity:Directory:Secret: a secret does not belong into DIRECTORY/imageaccess.json; ")]
    [InlineData("""{ "Certificates": { "Mirror": "missing.crt", "MirrorKey": "missing.key" }, "Listen": { "Mirror": "https://127.0.0.1:0" } }""", "imageaccess: Certificates:Mirror: DIRECTORY/missing.crt does not exist")]
    [InlineData("""{ "Certificates": { "Mirror": "imageaccess.json" }, "Listen": { "Mirror": "https://127.0.0.1:0" } }""", "imageaccess: Certificates:MirrorKey: is missing: Certificates:Mirror is of no use without its private key")]
    [InlineData("""{ "Listen": { "Gateway": "https://192.0.2.7:443" }, "Certificates": { "Directory": "imageaccess.json" } }""", "imageaccess: Listen:Gateway: ")]
    public async Task A_wrong_configuration_is_one_clear_line(string json, string line)
    {
        await WriteAsync(json);
        await using var program = Start("--config", "imageaccess.json");
        var (code, output, error) = await program.EndAsync();

        Assert.Equal(2, code);
        Assert.StartsWith(line.Replace("DIRECTORY", _directory.FullName, StringComparison.Ordinal), Lines(error)[0], StringComparison.Ordinal);
        Assert.All(Lines(error), text => Assert.StartsWith("imageaccess: ", text, StringComparison.Ordinal));
        Assert.DoesNotContain("mirror   ", output, StringComparison.Ordinal);
        Assert.DoesNotContain("Exception", output + error, StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", output + error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_directory_in_the_place_of_the_configuration_is_named()
    {
        Directory.CreateDirectory(Path.Combine(_directory.FullName, "imageaccess.json"));
        await using var program = Start();
        var (code, _, error) = await program.EndAsync();
        Assert.Equal(2, code);
        Assert.StartsWith($"imageaccess: {_directory.FullName}/imageaccess.json: cannot be read: ", Assert.Single(Lines(error)), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("expired", "a.crt ended on ")]
    [InlineData("another key", "a.key is damaged, or is not the private key of the first certificate in ")]
    [InlineData("open key", "a.key is open to others than its owner: chmod 600 ")]
    [InlineData("no certificate", "a.crt ")]
    public async Task A_certificate_that_cannot_be_used_is_named(string flaw, string text)
    {
        using var key = RSA.Create(2048);
        using var other = RSA.Create(2048);
        var request = new CertificateRequest("CN=mirror.example.com", key, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
        var names = new SubjectAlternativeNameBuilder();
        names.AddDnsName("mirror.example.com");
        request.CertificateExtensions.Add(names.Build());
        var now = DateTimeOffset.UtcNow;
        using var certificate = request.CreateSelfSigned(now.AddYears(-1), flaw == "expired" ? now.AddDays(-2) : now.AddYears(1));
        await File.WriteAllTextAsync(In("a.crt"), flaw == "no certificate" ? "nothing" : certificate.ExportCertificatePem());
        await File.WriteAllTextAsync(In("a.key"), (flaw == "another key" ? other : key).ExportPkcs8PrivateKeyPem());
        SetMode(In("a.key"), flaw == "open key" ? UnixFileMode.UserRead | UnixFileMode.OtherRead : UnixFileMode.UserRead);
        await WriteAsync("""{ "Listen": { "Mirror": "https://127.0.0.1:0", "Admin": "http://127.0.0.1:0" }, "Certificates": { "Mirror": "a.crt", "MirrorKey": "a.key" } }""");
        await using var program = Start();
        var (code, output, error) = await program.EndAsync();

        Assert.Equal(2, code);
        var line = Assert.Single(Lines(error));
        Assert.StartsWith("imageaccess: ", line, StringComparison.Ordinal);
        Assert.Contains($"{_directory.FullName}/{text}", line, StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", output, StringComparison.Ordinal);
    }

    /// <summary>Root without the right that the fault is about.</summary>
    [Theory]
    [InlineData("-net_bind_service", """{ "Listen": { "Mirror": "http://127.0.0.1:81", "Admin": "http://127.0.0.1:0" } }""", "imageaccess: Listen:Mirror: http://127.0.0.1:81: the user root may not listen there: ports below 1024 need root or CAP_NET_BIND_SERVICE")]
    [InlineData("-dac_override,-dac_read_search", """{ "Data": { "Directory": "closed" } }""", "imageaccess: Data:Directory: DIRECTORY/closed cannot be used (")]
    [InlineData("-dac_override,-dac_read_search", """{ "Data": { "Directory": "closed/below" } }""", "imageaccess: Data:Directory: DIRECTORY/closed/below cannot be used (")]
    [InlineData("-dac_override,-dac_read_search", """{ "Policy": { "File": "secret" } }""", "imageaccess: Policy:File: DIRECTORY/secret cannot be read by the user root, whom this program runs as")]
    [InlineData("-dac_override,-dac_read_search", """{ "ForwardProxy": { "Users": "secret" } }""", "imageaccess: ForwardProxy:Users: DIRECTORY/secret cannot be read by the user root, whom this program runs as")]
    public async Task What_this_user_may_not_do_is_one_line(string right, string json, string line)
    {
        SetMode(Directory.CreateDirectory(In("closed")).FullName, UnixFileMode.UserRead | UnixFileMode.UserExecute);
        await File.WriteAllTextAsync(In("secret"), "{}");
        SetMode(In("secret"), UnixFileMode.None);
        await WriteAsync(json);
        await using var program = new ImageAccessProcess(["setpriv", "--bounding-set", right, "dotnet"], _directory.FullName, [], TransportVariable);
        var (code, output, error) = await program.EndAsync();

        Assert.Equal(2, code);
        Assert.StartsWith(line.Replace("DIRECTORY", _directory.FullName, StringComparison.Ordinal), Lines(error)[0], StringComparison.Ordinal);
        Assert.All(Lines(error), text => Assert.StartsWith("imageaccess: ", text, StringComparison.Ordinal));
        Assert.DoesNotContain("   at ", output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("nr_inodes=2", "", 1, "Data:Directory: DISK cannot be used (")] // nothing can be made; a disk may be freed, so the next start is tried
    [InlineData("nr_inodes=2", """, "Data": { "Directory": "other" }, "Audit": { "File": "data/audit.jsonl" }""", 1, "Audit:File: DISK/audit.jsonl cannot be written (")]
    [InlineData("size=4k", "", 0, null)] // files, but nothing in them: it serves, and says that nothing can be kept
    public async Task A_full_disk_is_no_stack(string option, string settings, int expected, string? told)
    {
        var data = Directory.CreateDirectory(In("data")).FullName;
        using (var mount = Process.Start("mount", ["-t", "tmpfs", "-o", option + ",mode=0700", "tmpfs", data]))
            await mount.WaitForExitAsync();
        try
        {
            await File.WriteAllBytesAsync(Path.Combine(data, "full"), new byte[4096]);
            await WriteAsync($$"""{ "Listen": { "Mirror": "http://127.0.0.1:0", "Admin": "http://127.0.0.1:0" }{{settings}} }""");
            await using var program = Start();
            if (expected == 0)
            {
                await program.WaitForLineAsync("mirror   ");
                program.Terminate();
            }

            var (code, output, error) = await program.EndAsync();
            Assert.Equal(expected, code);
            Assert.Equal(told is null ? [] : [$"imageaccess: {told.Replace("DISK", data, StringComparison.Ordinal)}"], Lines(error).Select(line => line[..(line.IndexOf('(', StringComparison.Ordinal) + 1)]));
            Assert.DoesNotContain("   at ", output, StringComparison.Ordinal);
        }
        finally
        {
            using var unmount = Process.Start("umount", ["--lazy", data]);
            await unmount.WaitForExitAsync();
        }
    }

    [Theory]
    [InlineData("sockets")]
    [InlineData("Direct")]
    public async Task An_unknown_transport_is_one_clear_line(string transport)
    {
        await using var program = new ImageAccessProcess(_directory.FullName, [], ("IMAGEACCESS_Listen__Transport", transport));
        var (code, _, error) = await program.EndAsync();
        Assert.Equal(2, code);
        Assert.Equal($"imageaccess: Listen:Transport: '{transport}' is neither direct nor kestrel", Assert.Single(Lines(error)));
    }

    [Fact]
    public async Task Several_wrong_keys_are_told_at_once()
    {
        await WriteAsync("""{ "Lisen": 1, "Audit": { "MaximumSize": "lots" }, "Upstream": { "Registri": "x" } }""");
        await using var program = Start();
        var (code, _, error) = await program.EndAsync();

        Assert.Equal(2, code);
        Assert.Equal(
            ["imageaccess: Audit:MaximumSize: 'lots' is not a size, as 500MiB or 20GiB", "imageaccess: Lisen: unknown key", "imageaccess: Upstream:Registri: unknown key; did you mean Upstream:Registry?"],
            Lines(error).Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task An_unreadable_configuration_is_named()
    {
        await using var program = Start("--config", "nowhere.json");
        var (code, _, error) = await program.EndAsync();
        Assert.Equal(2, code);
        Assert.StartsWith($"imageaccess: {_directory.FullName}/nowhere.json: cannot be read: ", Assert.Single(Lines(error)), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_bad_policy_without_a_copy_stops_the_start()
    {
        await File.WriteAllTextAsync(Path.Combine(_directory.FullName, "p.json"), """{ "organizations": [ { "name": "UPPER", "surprise": 1 } ] }""");
        await WriteAsync("""{ "Policy": { "File": "p.json" } }""");
        await using var program = Start();
        var (code, _, error) = await program.EndAsync();

        Assert.Equal(2, code);
        Assert.NotEmpty(Lines(error));
        Assert.All(Lines(error), line => Assert.StartsWith("imageaccess: ", line, StringComparison.Ordinal));
        Assert.Contains("p.json", error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("Mirror", "Admin")]
    [InlineData("Admin", "Mirror")]
    public async Task A_port_in_use_is_named(string listener, string other)
    {
        using var taken = new TcpListener(IPAddress.Loopback, 0);
        taken.Start();
        await WriteAsync($$"""{ "Listen": { "{{listener}}": "http://{{taken.LocalEndpoint}}", "{{other}}": "http://127.0.0.1:0" } }""");
        await using var program = Start();
        var (code, _, error) = await program.EndAsync();

        Assert.Equal(2, code);
        Assert.Equal($"imageaccess: Listen:{listener}: http://{taken.LocalEndpoint}: address already in use: stop the other program, or choose another port", Assert.Single(Lines(error)));
    }

    [Fact]
    public async Task Each_port_in_use_is_named()
    {
        using var one = new TcpListener(IPAddress.Loopback, 0);
        using var two = new TcpListener(IPAddress.Any, 0);
        one.Start();
        two.Start();
        await WriteAsync($$"""{ "Listen": { "Mirror": "http://{{one.LocalEndpoint}}", "Admin": "http://*:{{((IPEndPoint)two.LocalEndpoint).Port}}" } }""");
        await using var program = Start();
        var (code, output, error) = await program.EndAsync();
        Assert.Equal(2, code);
        Assert.Equal(["imageaccess: Listen:Mirror: ", "imageaccess: Listen:Admin: "], Lines(error).Select(line => line[..(line.IndexOf("http", StringComparison.Ordinal))]));
        Assert.DoesNotContain("   at ", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Two_listeners_at_one_address_are_one_fault()
    {
        int port;
        using (var free = new TcpListener(IPAddress.Loopback, 0))
        {
            free.Start();
            port = ((IPEndPoint)free.LocalEndpoint).Port;
        }

        await WriteAsync($$"""{ "Listen": { "Mirror": "http://127.0.0.1:{{port}}", "Admin": "http://127.0.0.1:{{port}}" } }""");
        await using var program = Start();
        var (code, _, error) = await program.EndAsync();
        Assert.Equal(2, code);
        Assert.StartsWith($"imageaccess: Listen:Admin: http://127.0.0.1:{port}: address already in use", Assert.Single(Lines(error)), StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_address_that_is_not_this_hosts_is_named()
    {
        await WriteAsync("""{ "Listen": { "Mirror": "http://192.0.2.1:5000", "Admin": "http://127.0.0.1:0" } }""");
        await using var program = Start();
        var (code, _, error) = await program.EndAsync();
        Assert.Equal(1, code); // it may come, as at boot
        Assert.Equal("imageaccess: Listen:Mirror: http://192.0.2.1:5000: this machine has no such address", Assert.Single(Lines(error)));
    }

    /// <summary>What only an edit mends counts more than what may pass.</summary>
    [Fact]
    public async Task An_address_that_is_not_there_beside_a_port_in_use_needs_an_edit()
    {
        using var taken = new TcpListener(IPAddress.Loopback, 0);
        taken.Start();
        await WriteAsync($$"""{ "Listen": { "Mirror": "http://192.0.2.1:5000", "Admin": "http://{{taken.LocalEndpoint}}" } }""");
        await using var program = Start();
        var (code, _, error) = await program.EndAsync();
        Assert.Equal(2, code);
        Assert.Equal(2, Lines(error).Length);
    }

    [Theory]
    [InlineData("--help", 0)]
    [InlineData("--version", 0)]
    [InlineData("--nonsense", 2)]
    [InlineData("nonsense", 2)]
    [InlineData("--config", 2)]
    public async Task Usage_has_its_exit_codes(string argument, int expected)
    {
        await using var program = Start(argument);
        Assert.Equal(expected, (await program.EndAsync()).Code);
    }

    [Fact]
    public async Task Variables_that_Kubernetes_injects_are_not_read_and_others_are()
    {
        await using var program = new ImageAccessProcess(
            _directory.FullName,
            [],
            TransportVariable, ("IMAGEACCESS_SERVICE_PORT", "5000"), ("IMAGEACCESS_PORT_5000_TCP_ADDR", "10.0.0.1"), ("IMAGEACCESS_Listen__Mirror", "http://127.0.0.1:0"), ("IMAGEACCESS_Listen__Admin", "http://127.0.0.1:0"),
            ("IMAGEACCESS_PublicUrl", "https://mirror.example.com"));
        await program.WaitForLineAsync("mirror   http://127.0.0.1:");
        program.Terminate();
        Assert.Equal(0, (await program.EndAsync()).Code);

        await using var wrong = new ImageAccessProcess(_directory.FullName, [], ("IMAGEACCESS_Lisen__Mirror", "x"));
        Assert.Equal(2, (await wrong.EndAsync()).Code);
    }

    /// <summary>A volume of Kubernetes belongs to root and a group that the program is in; the group may write, at every mount anew.</summary>
    [Theory]
    [InlineData("2000", 0)]
    [InlineData("1000,2000", 0)]
    [InlineData("3000", 2)]
    public async Task What_a_group_can_change_is_taken_where_the_program_is_in_it_and_is_told(string groups, int expected)
    {
        var data = Directory.CreateDirectory(In("data")).FullName;
        await File.WriteAllTextAsync(In("data/policy.json"), Surroundings.Policy);
        await RunAsync("chgrp", "-R", "2000", data);
        await RunAsync("chmod", "g+rwxs", data);
        await RunAsync("chmod", "660", In("data/policy.json"));
        await WriteAsync("""{ "Listen": { "Mirror": "http://127.0.0.1:0", "Admin": "http://127.0.0.1:0" } }""");
        await using var program = new ImageAccessProcess(["setpriv", "--groups", groups, "dotnet"], _directory.FullName, [], TransportVariable);
        if (expected == 0)
        {
            Assert.StartsWith($"warning  Data:Directory: everybody in the group 2000 can change {data}: chmod g-w {data}", await program.WaitForLineAsync("warning  Data"), StringComparison.Ordinal);
            await program.WaitForLineAsync($"warning  Policy:File: everybody in the group 2000 can change {data}/policy.json");
            using var client = Surroundings.NewClient(await AdminOfAsync(program));
            Assert.DoesNotContain("\"trust\"", await client.GetStringAsync("/readyz"), StringComparison.Ordinal);
            program.Terminate();
        }

        var (code, _, error) = await program.EndAsync();
        Assert.Equal(expected, code);
        Assert.Equal(expected != 0, error.Contains("imageaccess: Data:Directory: ", StringComparison.Ordinal));
    }

    /// <summary>A checkout with the umask 002 belongs to a user and to the group that is this user's own; a container mounts it.</summary>
    [Theory]
    [InlineData("1000:1000", true)]
    [InlineData("501:501", true)]
    [InlineData("1000:1001", false)]
    [InlineData("0:100", false)]
    public async Task What_its_owners_own_group_can_change_is_taken_and_degrades_readiness(string owner, bool isTaken)
    {
        await File.WriteAllTextAsync(In("p.json"), Surroundings.Policy);
        await RunAsync("chown", owner, In("p.json"));
        await RunAsync("chmod", "664", In("p.json"));
        await WriteAsync("""{ "Listen": { "Mirror": "http://127.0.0.1:0", "Admin": "http://127.0.0.1:0" }, "Policy": { "File": "p.json" } }""");
        await using var program = new ImageAccessProcess(["setpriv", "--clear-groups", "dotnet"], _directory.FullName, [], TransportVariable);
        if (isTaken)
        {
            var told = $"Policy:File: everybody in the group {owner.Split(':')[1]} can change {In("p.json")}: chmod g-w {In("p.json")}, or see who is in it";
            await program.WaitForLineAsync($"warning  {told}");
            using var client = Surroundings.NewClient(await AdminOfAsync(program));
            Assert.Contains($"\"trust\": \"{told}\"", await client.GetStringAsync("/readyz"), StringComparison.Ordinal);
            program.Terminate();
        }

        var (code, _, error) = await program.EndAsync();
        Assert.Equal(isTaken ? 0 : 2, code);
        Assert.Equal(isTaken ? [] : [$"imageaccess: Policy:File: {In("p.json")} can be changed by others than its owner: chmod go-w {In("p.json")}"], Lines(error).Take(1));
    }

    [Fact]
    public async Task It_says_where_it_listens_and_that_image_access_is_off()
    {
        await WriteAsync("""{ "Listen": { "Mirror": "http://*:0", "Admin": "http://127.0.0.1:0" } }""");
        await using var program = Start();
        await program.WaitForLineAsync("warning  ");
        program.Terminate();
        var (_, output, error) = await program.EndAsync();

        Assert.Contains("in front of https://registry-1.docker.io", output, StringComparison.Ordinal);
        Assert.Contains("policy   image access is OFF: every image is allowed until an organization in the policy file is enabled", output, StringComparison.Ordinal);
        Assert.Contains("warning  plain http beyond loopback: classic dockerd sends Docker Hub credentials to a mirror in the clear", output, StringComparison.Ordinal);
        Assert.Empty(Lines(error));
    }

    [Fact]
    public async Task It_says_which_ways_in_there_are_and_that_egress_is_open()
    {
        await WriteAsync("""{ "Listen": { "Mirror": "http://127.0.0.1:0", "Admin": "http://127.0.0.1:0", "Gateway": "https://127.0.0.1:0", "ForwardProxy": "http://127.0.0.1:0" } }""");
        await using (var certificates = Start("certificates", "create"))
            Assert.Equal(0, (await certificates.EndAsync()).Code);
        await using var program = Start();
        await program.WaitForLineAsync("warning  ");
        program.Terminate();
        var (_, output, error) = await program.EndAsync();

        Assert.Matches(@"(?m)^gateway  https://127\.0\.0\.1:\d+  under Docker Hub's own names$", output);
        Assert.Matches(@"(?m)^proxy    http://127\.0\.0\.1:\d+  for HTTPS_PROXY$", output);
        Assert.Contains("warning  other registries can be reached, and so copies of Docker Hub: Egress:Allow restricts them\n", output, StringComparison.Ordinal);
        Assert.Empty(Lines(error));
    }

    [Fact]
    public async Task SIGTERM_ends_it_with_the_audit_written()
    {
        await using var hub = await FakeHub.StartAsync();
        hub.Images.PushImage("someuser/x", "latest");
        await File.WriteAllTextAsync(Path.Combine(_directory.FullName, "policy.json"), Surroundings.Policy);
        await WriteAsync($$"""
            { "Listen": { "Mirror": "http://127.0.0.1:0", "Admin": "http://127.0.0.1:0" }, "Policy": { "File": "policy.json" },
              "Upstream": { "Registry": "{{hub.Registry}}", "Auth": "{{hub.Auth}}", "Hub": "{{hub.Hub}}" } }
            """);
        await using var program = Start();
        var line = await program.WaitForLineAsync("mirror   ");
        using var client = Surroundings.NewClient(new Uri(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1]));
        client.DefaultRequestHeaders.Add("Authorization", "Bearer " + await hub.TokenForAsync(null, "repository:someuser/x:pull"));
        for (var i = 0; i < 50; i++)
            Assert.Equal(HttpStatusCode.Forbidden, (await client.GetAsync("/v2/someuser/x/manifests/latest")).StatusCode);

        program.Terminate();
        Assert.Equal(0, (await program.EndAsync()).Code);
        var events = await File.ReadAllLinesAsync(Path.Combine(_directory.FullName, "data", "audit.jsonl"));
        Assert.Equal(50, events.Select(text => JsonSerializer.Deserialize<JsonElement>(text))
            .Where(audit => audit.TryGetProperty("outcome", out var outcome) && outcome.GetString() == "deny")
            .Sum(audit => audit.TryGetProperty("count", out var count) ? count.GetInt32() : 1));
    }

    private static async Task<Uri> AdminOfAsync(ImageAccessProcess program) =>
        new((await program.WaitForLineAsync("admin    ")).Split(' ', StringSplitOptions.RemoveEmptyEntries)[1]);

    private static async Task RunAsync(string command, params string[] arguments)
    {
        using var process = Process.Start(command, arguments);
        await process.WaitForExitAsync();
        Assert.Equal(0, process.ExitCode);
    }

    private static void SetMode(string path, UnixFileMode mode)
    {
        if (!OperatingSystem.IsWindows())
            File.SetUnixFileMode(path, mode);
    }

    private string In(string name) => Path.Combine(_directory.FullName, name);

    private static string[] Lines(string text) => text.Split('\n', StringSplitOptions.RemoveEmptyEntries);

    private Task WriteAsync(string json) => File.WriteAllTextAsync(Path.Combine(_directory.FullName, "imageaccess.json"), json);

    private ImageAccessProcess Start(params string[] arguments) => new(_directory.FullName, arguments, TransportVariable);
}

public sealed class StartTests_direct() : StartTests(Direct);

public sealed class StartTests_kestrel() : StartTests(Kestrel);
