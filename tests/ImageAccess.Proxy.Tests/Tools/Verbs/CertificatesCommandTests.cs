using System.Diagnostics;
using System.Runtime.Versioning;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json;
using ImageAccess.Core.Hosts;
using ImageAccess.Proxy.Connections.Certificates;
using ImageAccess.Proxy.Hosting;

namespace ImageAccess.Proxy.Tests.Tools.Verbs;

/// <summary><c>imageaccess certificates create</c> and <c>show</c>.</summary>
[SupportedOSPlatform("linux")]
public sealed class CertificatesCommandTests : IDisposable
{
    private readonly TemporaryDirectory _directory = new();

    public void Dispose() => _directory.Dispose();

    [Fact]
    public async Task Create_says_what_it_made_where_and_what_comes_next()
    {
        var create = await RunAsync("create", """{ "PublicUrl": "https://mirror.example.com:5000" }""");

        Assert.Equal((0, ""), (create.ExitCode, create.Error));
        var (ca, leaf, mirror) = (Read("ca"), Read("docker-hub"), Read("mirror"));
        Assert.Equal(
            $"""
            made   {Path("ca.crt")}
                     signs for docker.io, hub.docker.com, mirror.example.com; never 0.0.0.0/0, ::/0
                     in force  {ca.Begins().Day()} to {ca.Ends().Day()}, {Days(ca):N0} days left
                     SHA-256   {ca.Fingerprint()}
            made   {Path("docker-hub.crt")}
                     for       {string.Join(", ", DockerHubHosts.Intercepted)}
                     in force  {leaf.Begins().Day()} to {leaf.Ends().Day()}, 30 days left
                     SHA-256   {leaf.Fingerprint()}
            made   {Path("mirror.crt")}
                     for       mirror.example.com
                     in force  {mirror.Begins().Day()} to {mirror.Ends().Day()}, 30 days left
                     SHA-256   {mirror.Fingerprint()}
            next   each client must trust {Path("ca.crt")}: imageaccess clients --help

            """,
            create.Output);
        Assert.Matches("^([0-9A-F]{2}:){31}[0-9A-F]{2}$", ca.Fingerprint());
    }

    [Fact]
    public async Task Create_keeps_what_is_there_and_says_so()
    {
        await RunAsync("create");
        var ca = File.ReadAllText(Path("ca.crt"));

        var again = await RunAsync("create");

        Assert.Equal(0, again.ExitCode);
        Assert.Equal(ca, File.ReadAllText(Path("ca.crt")));
        Assert.Equal([$"kept   {Path("ca.crt")}", $"kept   {Path("docker-hub.crt")}"], again.Output.Split('\n').Where(line => line.StartsWith("kept", StringComparison.Ordinal)));
        Assert.Contains("without PublicUrl the mirror listener's name is not known: it gets no certificate\n", again.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Create_makes_what_it_can_and_names_what_it_cannot()
    {
        await RunAsync("create");

        var create = await RunAsync("create", """{ "PublicUrl": "https://mirror.example.com:5000" }""");

        Assert.Equal(2, create.ExitCode);
        Assert.Equal(
            $"imageaccess: PublicUrl: the CA {Path("ca.crt")} may not sign for mirror.example.com: move {Path("ca.crt")} and {Path("ca.key")} away and make another, "
            + "which every client must then trust, or bring a certificate with Certificates:Mirror\n",
            create.Error);
        Assert.Contains($"kept   {Path("docker-hub.crt")}\n", create.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Create_touches_no_half_of_a_CA()
    {
        await RunAsync("create");
        File.Delete(Path("ca.key"));

        var create = await RunAsync("create");

        Assert.Equal((2, ""), (create.ExitCode, create.Output));
        Assert.Equal(
            $"imageaccess: Certificates:Directory: {Path("ca.crt")} is there without ca.key; put back what is missing, or, if no client trusts this CA yet, move what is there away\n",
            create.Error);
        Assert.False(File.Exists(Path("ca.key")));
    }

    [Fact]
    public async Task Create_with_ones_own_makes_the_rest_or_nothing()
    {
        await RunAsync("create");
        File.Copy(Path("docker-hub.crt"), _directory["own.crt"]);
        File.Move(Path("docker-hub.key"), _directory["own.key"]);
        Directory.Delete(_directory["data"], recursive: true);
        const string Own = """ "Certificates": { "Gateway": "own.crt", "GatewayKey": "own.key" } """;

        var nothing = await RunAsync("create", $$"""{ {{Own}} }""");
        Assert.Equal(0, nothing.ExitCode);
        Assert.StartsWith($"yours  {_directory["own.crt"]}\n", nothing.Output, StringComparison.Ordinal);
        Assert.EndsWith("\nEvery certificate is your own: there is nothing to make.\n", nothing.Output, StringComparison.Ordinal);
        Assert.False(Directory.Exists(_directory["data"]));

        var mirror = await RunAsync("create", $$"""{ "PublicUrl": "https://mirror.example.com", {{Own}} }""");
        Assert.Equal((0, ""), (mirror.ExitCode, mirror.Error));
        Assert.True(File.Exists(Path("mirror.crt")));
        Assert.False(File.Exists(Path("docker-hub.crt")));
    }

    [Theory]
    [InlineData("""{ "Certificates": { "Authority": "missing.crt" } }""", "Certificates:AuthorityKey: is missing: Certificates:Authority is of no use without its private key")]
    [InlineData("""{ "Certificates": { "Authority": "missing.crt", "AuthorityKey": "missing.key" } }""", "Certificates:Authority: DIR/missing.crt does not exist")]
    [InlineData("""{ "Certificates": { "Autority": "x" } }""", "Certificates:Autority: unknown key; did you mean Certificates:Directory?")]
    public async Task Create_names_a_wrong_configuration(string json, string line)
    {
        var create = await RunAsync("create", json);
        Assert.Equal((2, $"imageaccess: {line.Replace("DIR", _directory.Path, StringComparison.Ordinal)}\n"), (create.ExitCode, create.Error));
    }

    [Theory]
    [InlineData("000")]
    [InlineData("077")]
    public async Task The_modes_are_the_same_under_every_umask(string umask)
    {
        var run = await ProgramAsync(umask);

        Assert.True(run.ExitCode == 0, run.Error);
        Assert.Equal("700", Mode(_directory["data/certificates"]));
        Assert.All(["ca.key", "docker-hub.key"], name => Assert.Equal("600", Mode(Path(name))));
        Assert.All(["ca.crt", "docker-hub.crt"], name => Assert.Equal("644", Mode(Path(name))));
        Assert.False(File.GetUnixFileMode(_directory["data"]).HasFlag(UnixFileMode.OtherWrite));
    }

    [Fact]
    public async Task Two_programs_at_once_make_one_CA()
    {
        var runs = await Task.WhenAll(ProgramAsync("022"), ProgramAsync("022"), ProgramAsync("022"));

        Assert.All(runs, run => Assert.True(run.ExitCode == 0, run.Error));
        Assert.Single(runs, run => run.Output.Contains($"made   data/certificates/ca.crt", StringComparison.Ordinal));
        Assert.All(runs, run => Assert.Contains(Read("ca").Fingerprint(), run.Output, StringComparison.Ordinal));
        Assert.All(runs, run => Assert.Contains(Read("docker-hub").Fingerprint(), run.Output, StringComparison.Ordinal));
    }

    [Fact]
    public async Task Show_tells_what_there_is()
    {
        await RunAsync("create");

        var show = await RunAsync("show");

        var (ca, leaf) = (Read("ca"), Read("docker-hub"));
        Assert.Equal((0, ""), (show.ExitCode, show.Error));
        Assert.Equal(
            $"""
            ca
                files        {Path("ca.crt")}, {Path("ca.key")}
                subject      {ca.Subject}
                signs for    docker.io, hub.docker.com; never 0.0.0.0/0, ::/0
                in force     {ca.Begins().Day()} to {ca.Ends().Day()}, {Days(ca):N0} days left
                SHA-256      {ca.Fingerprint()}
            docker-hub
                files        {Path("docker-hub.crt")}, {Path("docker-hub.key")}
                subject      CN=ImageAccess.Proxy docker-hub
                for          {string.Join(", ", DockerHubHosts.Intercepted)}
                in force     {leaf.Begins().Day()} to {leaf.Ends().Day()}, 30 days left
                SHA-256      {leaf.Fingerprint()}
            without PublicUrl the mirror listener has no certificate

            """,
            show.Output);
    }

    [Fact]
    public async Task Show_has_the_facts_as_JSON()
    {
        await RunAsync("create", """{ "PublicUrl": "http://192.0.2.7:5000" }""");

        var show = await RunAsync("show", """{ "PublicUrl": "http://192.0.2.7:5000" }""", "--json");

        Assert.Equal(0, show.ExitCode);
        var all = show.Json.GetProperty("certificates").EnumerateArray().ToList();
        Assert.Equal(["ca", "docker-hub", "mirror"], all.Select(one => one.GetProperty("name").GetString()));
        Assert.Equal(["docker.io", "hub.docker.com", "192.0.2.7"], Texts(all[0], "permitted"));
        Assert.Equal(["::/0"], Texts(all[0], "excluded"));
        Assert.Equal(["192.0.2.7"], Texts(all[2], "names"));
        Assert.Equal((Read("ca").Fingerprint(), Path("ca.crt"), Path("ca.key"), false),
            (all[0].GetProperty("fingerprint").GetString(), all[0].GetProperty("certificate").GetString(), all[0].GetProperty("key").GetString(), all[0].GetProperty("own").GetBoolean()));
        Assert.Equal(30, all[1].GetProperty("daysLeft").GetInt32());
        Assert.Equal(Read("docker-hub").Ends(), all[1].GetProperty("notAfter").GetDateTimeOffset());
        Assert.All(all, one => Assert.False(one.TryGetProperty("problem", out _)));
    }

    [Fact]
    public async Task Show_says_no_when_something_is_missing_or_of_no_use()
    {
        var none = await RunAsync("show");
        Assert.Equal(1, none.ExitCode);
        Assert.Contains($"    problem      {Path("ca.crt")} does not exist\n", none.Output, StringComparison.Ordinal);
        Assert.Equal(1, (await RunAsync("show", "{}", "--json")).ExitCode);

        await RunAsync("create");
        File.Delete(Path("docker-hub.key"));
        var half = await RunAsync("show", "{}", "--json");
        Assert.Equal(1, half.ExitCode);
        Assert.Equal($"{Path("docker-hub.crt")} is there without docker-hub.key", half.Json.GetProperty("certificates")[1].GetProperty("problem").GetString());
    }

    [Fact]
    public async Task Show_says_no_when_one_has_ended()
    {
        var past = TimeProvider.System.GetUtcNow().AddDays(-31);
        Directory.CreateDirectory(_directory["data/certificates"]);
        var authority = CertificateAuthority.Create(NameConstraints.For(["docker.io", "hub.docker.com"]), past);
        var keyed = new KeyedCertificate(X509Certificate2.CreateFromPem(authority.CertificatePem, authority.KeyPem), []);
        Put("ca", authority);
        Put("docker-hub", CertificateAuthority.Issue(keyed, "docker-hub", DockerHubHosts.Intercepted, past));

        var show = await RunAsync("show");

        Assert.Equal(1, show.ExitCode);
        var ended = past.AddDays(30).Day();
        Assert.Contains($"to {ended}, ended\n", show.Output, StringComparison.Ordinal);
        Assert.Contains($"    problem      {Path("docker-hub.crt")} ended on {ended}\n", show.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task No_private_key_is_printed()
    {
        var create = await RunAsync("create");
        var show = await RunAsync("show", "{}", "--json");
        var key = File.ReadAllLines(Path("ca.key"))[1];
        Assert.All([create.Output, create.Error, show.Output, show.Error], text => Assert.DoesNotContain(key[..20], text, StringComparison.Ordinal));
    }

    private static IEnumerable<string?> Texts(JsonElement one, string name) => one.GetProperty(name).EnumerateArray().Select(text => text.GetString());

    private static string Mode(string path) => Convert.ToString((int)File.GetUnixFileMode(path), 8);

    private static int Days(X509Certificate2 certificate) => (certificate.Ends() - certificate.Begins()).Days;

    private string Path(string name) => _directory[$"data/certificates/{name}"];

    private X509Certificate2 Read(string name) => X509Certificate2.CreateFromPem(File.ReadAllText(Path(name + ".crt")));

    private void Put(string name, NewCertificate certificate)
    {
        File.WriteAllText(Path(name + ".crt"), certificate.CertificatePem);
        File.WriteAllText(Path(name + ".key"), certificate.KeyPem);
        File.SetUnixFileMode(Path(name + ".key"), UnixFileMode.UserRead);
    }

    private async Task<CommandLine> RunAsync(string verb, string json = "{}", params string[] options)
    {
        await File.WriteAllTextAsync(_directory["imageaccess.json"], json);
        return await CommandLine.RunAsync(["certificates", verb, "--config", _directory["imageaccess.json"], .. options]);
    }

    /// <summary>The program itself, with this umask, in a folder that has nothing.</summary>
    private async Task<CommandLine> ProgramAsync(string umask)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        using var process = Process.Start(new ProcessStartInfo(
            "sh", ["-c", $"umask {umask}; exec dotnet \"$0\" certificates create", typeof(ProxyHost).Assembly.Location])
        {
            WorkingDirectory = _directory.Path,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            UseShellExecute = false,
        })!;
        var (output, error) = (process.StandardOutput.ReadToEndAsync(limit.Token), process.StandardError.ReadToEndAsync(limit.Token));
        await process.WaitForExitAsync(limit.Token);
        return new CommandLine(process.ExitCode, await output, await error);
    }
}
