using System.Net;
using System.Runtime.Versioning;
using System.Text.Json;
using ImageAccess.Proxy.Tests.Administration.Api;
using ImageAccess.Proxy.Tests.Tools.Verbs;
using ImageAccess.Proxy.Tools.Doctor;
using ImageAccess.Proxy.Tools.Verbs;

namespace ImageAccess.Proxy.Tests.Tools.Doctor;

/// <summary>What the doctor finds is told to a proxy by its API.</summary>
[SupportedOSPlatform("linux")]
public sealed class DoctorReportingTests(ApiRoom room) : IClassFixture<ApiRoom>, IDisposable
{
    private readonly TemporaryDirectory _directory = new();

    private Uri Server => new(room.Here.Further[^1].GetLeftPart(UriPartial.Authority));

    public void Dispose() => _directory.Dispose();

    [Fact]
    public async Task What_was_found_on_a_machine_stands_with_it_at_the_proxy_and_the_verb_shows_it()
    {
        using var machine = new ExaminedMachine()
            .With("/etc/docker/daemon.json", """{ "registry-mirrors": [ "http://127.0.0.1:1" ] }""")
            .With("/etc/containers/registries.conf", "unqualified-search-registries = [\"docker.io\"]\n");
        var report = await machine.ExamineAsync();
        var (output, error) = (new StringWriter(), new StringWriter());
        using (var api = new ServerApi(Server, await room.TokenAsync("reporter")))
            Assert.True(await DoctorCommand.TellAsync(api, report, output, error, default));
        Assert.Equal(($"the proxy at {Server.ToString().TrimEnd('/')} was told, as {Environment.MachineName} at 127.0.0.1\n", ""), (output.ToString(), error.ToString()));

        var listed = await room.SendAsync("GET", "/api/v1/machines", await room.TokenAsync("auditor"));
        var told = listed.Json.GetProperty("items").EnumerateArray().Single(one => one.GetProperty("address").GetString() == "127.0.0.1");
        var last = told.GetProperty("lastReport");
        Assert.False(told.GetProperty("fallsBack").GetBoolean());
        Assert.Equal((Environment.MachineName, "0.1.0", 0), (last.GetProperty("name").GetString(), last.GetProperty("version").GetString(), last.GetProperty("open").GetInt32()));
        Assert.Equal(report.Findings.Count, last.GetProperty("enforced").GetInt32() + last.GetProperty("notReachable").GetInt32());
        Assert.Contains("""{"engine":"docker","fallsBack":false}""", last.GetProperty("engines").GetRawText(), StringComparison.Ordinal);
        Assert.Contains("""{"verdict":"not reachable","way":"mirror","host":"http://127.0.0.1:1"}""", last.GetProperty("ways").GetRawText(), StringComparison.Ordinal);
        Assert.DoesNotContain("daemon.json", listed.Text, StringComparison.Ordinal); // no file of the machine

        var run = await CommandLine.RunAsync("machines", "--csv", "--server", Server.ToString(), "--token-file", await TokenFileAsync(await room.TokenAsync("auditor")));
        Assert.Equal(("", 0), (run.Error, run.ExitCode));
        Assert.Contains($"127.0.0.1,,,0,0,0,0,0,,,,no,{Environment.MachineName},", run.Output, StringComparison.Ordinal);
    }

    [Fact]
    public void An_engine_falls_back_where_its_way_is_open_and_what_cannot_be_seen_is_not_told()
    {
        var report = new DoctorReport(
            "a/b",
            [
                Found("direct IPv4", "registry-1.docker.io", Outcome.NotReachable("no answer")), Found("fallback", "docker", Outcome.Open("/home/bob/x: why", "curl")), Found("fallback", "podman", Outcome.Enforced("why")),
                .. Enumerable.Range(1, 100).Select(number => Found("mirror", $"http://m{number}\u202e", Outcome.NotReachable("no"))),
            ],
            ["a note"])
        { Engines = ["docker", "podman", "containerd"] };
        var facts = report.ToFacts($"{new string('m', 200)}\u202e", "");
        Assert.Equal((1, 1, 101, 128, "?"), (facts.Open, facts.Enforced, facts.NotReachable, facts.Name.Length, facts.Version));
        Assert.Equal("""[{"engine":"docker","fallsBack":true},{"engine":"podman","fallsBack":false},{"engine":"containerd","fallsBack":null}]""", JsonSerializer.Serialize(facts.Engines, JsonSerializerOptions.Web));
        Assert.Equal(["open fallback docker", "enforced fallback podman", "not reachable direct IPv4 registry-1.docker.io", "not reachable mirror http://m1?"], facts.Ways.Take(4).Select(way => $"{way!.Verdict} {way.Way} {way.Host}"));
        Assert.Equal(64, facts.Ways.Count);
        Assert.Empty(facts.Faults());
    }

    [Fact]
    public async Task Who_may_not_report_or_meets_nobody_says_so_in_one_line()
    {
        var report = new DoctorReport("a/b", [Found("mirror", "http://m", Outcome.Enforced("denied"))], []);
        using var auditor = new ServerApi(Server, await room.TokenAsync("auditor"));
        Assert.Equal($"imageaccess: the report was not told: the proxy at {Server.ToString().TrimEnd('/')}: the token's role does not allow this\n", await FailAsync(auditor));

        using var listener = new System.Net.Sockets.TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var closed = new Uri($"http://127.0.0.1:{((IPEndPoint)listener.LocalEndpoint).Port}");
        listener.Stop();
        using var nobody = new ServerApi(closed, await room.TokenAsync("reporter"));
        Assert.StartsWith($"imageaccess: the report was not told: the proxy at {closed.ToString().TrimEnd('/')} does not answer (", await FailAsync(nobody), StringComparison.Ordinal);

        async Task<string> FailAsync(ServerApi api)
        {
            var (output, error) = (new StringWriter(), new StringWriter());
            Assert.False(await DoctorCommand.TellAsync(api, report, output, error, default));
            Assert.Equal("", output.ToString());
            return error.ToString();
        }
    }

    [Theory]
    [InlineData(true, null, 1)]
    [InlineData(true, true, 1)]
    [InlineData(true, false, 1)]
    [InlineData(false, null, 0)]
    [InlineData(false, true, 0)]
    [InlineData(false, false, 2)]
    public void A_report_that_was_not_told_is_wrong_usage_only_where_no_way_is_open(bool isOpen, bool? isTold, int code) => Assert.Equal(code, DoctorCommand.ExitCode(isOpen, isTold));

    [Fact]
    public async Task Before_anything_is_tried_the_token_is_looked_at()
    {
        var without = await CommandLine.RunAsync("doctor", "--report", "https://images.example.com");
        Assert.Equal((2, "", "imageaccess: --report needs an API token: name a file that holds one with --token-file\n"), (without.ExitCode, without.Output, without.Error));
        var alone = await CommandLine.RunAsync("doctor", "--token-file", "x");
        Assert.Equal((2, "imageaccess: --token-file goes with --report\n"), (alone.ExitCode, alone.Error));
        var clear = await CommandLine.RunAsync("doctor", "--report", "http://images.example.com", "--token-file", await TokenFileAsync("x"));
        Assert.Equal((2, "imageaccess: --report: http://images.example.com/ would be sent the token in the clear: use https\n"), (clear.ExitCode, clear.Error));
    }

    private static Finding Found(string way, string host, Outcome outcome) => new(new Route(way, host, _ => Task.FromResult(outcome)), outcome);

    private async Task<string> TokenFileAsync(string token)
    {
        var file = _directory[$"token{room.Next()}"];
        await File.WriteAllTextAsync(file, token);
        File.SetUnixFileMode(file, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        return file;
    }
}
