using ImageAccess.Proxy.Tests.Tools.Verbs;
using ImageAccess.Proxy.Tools.Doctor;
using ImageAccess.Proxy.Tools.Doctor.Probes;
using ImageAccess.Proxy.Tools.Verbs;

namespace ImageAccess.Proxy.Tests.Tools.Doctor;

/// <summary>The verb: its options, its text, its facts.</summary>
public sealed class DoctorCommandTests
{
    [Theory]
    [InlineData("--denied", "--denied '' is empty", "")]
    [InlineData("--denied", "--denied 'ghcr.io/a/b' is not the name of a repository of Docker Hub, without a tag", "ghcr.io/a/b")]
    [InlineData("--denied", "--denied 'a/b:latest' is not the name of a repository of Docker Hub, without a tag", "a/b:latest")]
    [InlineData("--resolve", "--resolve registry-1.docker.io: NAME=ADDRESS[,ADDRESS], where the name is one of Docker Hub's, as registry-1.docker.io", "registry-1.docker.io")]
    [InlineData("--resolve", "--resolve example.com=192.0.2.1: NAME=ADDRESS[,ADDRESS], where the name is one of Docker Hub's, as registry-1.docker.io", "example.com=192.0.2.1")]
    [InlineData("--resolve", "--resolve docker.io=127.1: what follows = is not a list of at most 16 addresses", "docker.io=127.1")]
    [InlineData("--resolver", "--resolver dns.example: not an address, or an address and a port", "dns.example")]
    [InlineData("--resolver", "--resolver 1: not an address, or an address and a port", "1")]
    [InlineData("--proxy", "--proxy: not an address as http://proxy.example.com:3128", "socks5://u:p@h")]
    [InlineData("--mirror", "--mirror: not an address as https://mirror.example.com", "ftp://u:p@h")]
    public async Task Wrong_usage_is_named(string option, string problem, string value)
    {
        var run = await CommandLine.RunAsync("doctor", option, value);

        Assert.Equal((2, "", $"imageaccess: {problem}\n"), (run.ExitCode, run.Output, run.Error));
    }

    [Fact]
    public void What_is_given_is_read()
    {
        var settings = DoctorCommand.Read(
            "nginx", ["Registry-1.Docker.IO.=192.0.2.1,2001:db8::1", "registry-1.docker.io=192.0.2.2"], "[2001:db8::53]:5353", ["proxy.example:3128"], ["m.example"]);

        Assert.Equal("library/nginx", settings.Denied.Value);
        Assert.Equal(["192.0.2.1", "2001:db8::1", "192.0.2.2"], settings.Addresses["registry-1.docker.io"].Select(address => address.ToString()));
        Assert.Equal("[2001:db8::53]:5353", settings.Resolver!.ToString());
        Assert.Equal(["http://proxy.example:3128"], settings.Proxies.Select(proxy => proxy.ToString()));
        Assert.Equal(["https://m.example"], settings.Mirrors.Select(mirror => mirror.ToString()));
    }

    [Fact]
    public void Too_many_are_refused()
    {
        var misuse = Assert.Throws<MisuseException>(() => DoctorCommand.Read("nginx", [], null, [], [.. Enumerable.Range(1, 17).Select(i => $"http://m{i}")]));

        Assert.Equal(["--mirror: at most 16"], misuse.Problems);
    }

    [Fact]
    public async Task Help_says_what_the_denied_repository_has_to_be()
    {
        var run = await CommandLine.RunAsync("doctor", "--help");

        Assert.Contains("that the policy must deny", run.Output, StringComparison.Ordinal);
        Assert.Contains(DoctorCommand.DefaultDenied, run.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Open_ways_come_first_with_their_command_and_a_sum_last()
    {
        var report = new DoctorReport(
            "someuser/custom-image",
            [
                Found("direct IPv4", "registry-1.docker.io", Outcome.NotReachable("no answer")),
                Found("mirror", "http://m", Outcome.Enforced("denied")),
                Found("direct IPv6", "registry-1.docker.io", Outcome.Open("it is", "curl https://x " + new string('y', 200))),
            ],
            ["a note"]);

        Assert.Equal(
            $"""
            every way is asked for someuser/custom-image, which has to be denied

            VERDICT        WAY          HOST
            open           direct IPv6  registry-1.docker.io
                it is
                $ curl https://x {new string('y', 200)}
            enforced       mirror       http://m
                denied
            not reachable  direct IPv4  registry-1.docker.io
                no answer

            note: a note
            1 way is open, 1 enforced, 1 not reachable

            """,
            await report.TextAsync());
    }

    [Fact]
    public async Task A_sum_of_nothing_open()
    {
        var report = new DoctorReport("a/b", [Found("mirror", "http://m", Outcome.Enforced("denied"))], []);

        Assert.EndsWith("\nno way is open, 1 enforced, 0 not reachable\n", await report.TextAsync(), StringComparison.Ordinal);
        Assert.False(report.HasOpenRoute);
    }

    [Fact]
    public async Task Who_has_met_nobody_has_proved_nothing()
    {
        var report = new DoctorReport("a/b", [Found("mirror", "http://m", Outcome.NotReachable("no answer"))], []);

        Assert.EndsWith(
            """

            note: no way led to a server: this machine has no connection, so the policy was not tested
            no way is open, 0 enforced, 1 not reachable

            """,
            await report.TextAsync(),
            StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("https://m.example/v2/", "https://m.example/v2/")]
    [InlineData("it's", "'it'\\''s'")]
    [InlineData("$(reboot)", "'$(reboot)'")]
    [InlineData("a b;c", "'a b;c'")]
    [InlineData("", "''")]
    public void A_word_of_a_stranger_stays_one_word(string text, string quoted) => Assert.Equal(quoted, Curl.Quote(text));

    private static Finding Found(string way, string host, Outcome outcome) => new(new Route(way, host, _ => Task.FromResult(outcome)), outcome);
}
