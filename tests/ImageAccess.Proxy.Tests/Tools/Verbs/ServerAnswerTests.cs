using System.Runtime.Versioning;
using ImageAccess.Proxy.Administration.Tokens;
using ImageAccess.Proxy.Foundation.Configuration;
using ImageAccess.Proxy.Tests.Walk;
using ImageAccess.Proxy.Tools.Verbs;

namespace ImageAccess.Proxy.Tests.Tools.Verbs;

/// <summary>Whatever answers where the console should be: one sentence, no verdict, and never the token.</summary>
[SupportedOSPlatform("linux")]
public sealed class ServerAnswerTests : IDisposable
{
    private const string Foreign = "is not the console of this program, or not of this version";
    private const string Verdict = """{"caller":"bob","imageAccess":true,"policyVersion":"v","image":{"image":"nginx","verdict":"allow","organizations":[]}}""";

    private readonly TemporaryDirectory _directory = new();
    private readonly string _token = TokenSecret.Make();

    public ServerAnswerTests()
    {
        File.WriteAllText(_directory["token"], _token);
        File.SetUnixFileMode(_directory["token"], UnixFileMode.UserRead | UnixFileMode.UserWrite);
        File.WriteAllText(_directory["Dockerfile"], "FROM nginx\n");
    }

    public void Dispose() => _directory.Dispose();

    [Theory]
    [InlineData(2, Foreign, "200 OK", "text/html", "<html>signed in</html>")]
    [InlineData(2, Foreign, "200 OK", "application/json", "{}")]
    [InlineData(2, Foreign, "200 OK", "application/json", "null")]
    [InlineData(2, Foreign, "200 OK", "application/json", "")]
    [InlineData(2, Foreign, "200 OK", "application/json", """{"caller":"bob","imageAccess":true,"policyVersion":"v","image":{"image":"nginx","verdict":"fine"}}""")]
    [InlineData(2, Foreign, "204 No Content", "application/json", "")]
    [InlineData(2, Foreign, "404 Not Found", "text/html", "<html>nothing</html>")]
    [InlineData(2, Foreign, "401 Unauthorized", "application/json", """{"error":"sign in"}""")]
    [InlineData(1, "does not answer (HTTP 502)", "502 Bad Gateway", "text/html", "<html>away</html>")]
    [InlineData(2, ": no", "403 Forbidden", "application/problem+json", """{"status":403,"detail":"no"}""")]
    [InlineData(2, ": there is no organization beta", "404 Not Found", "application/problem+json", """{"status":404,"detail":"there is no organization beta"}""")]
    [InlineData(1, ": too many requests at once, try again", "429 Too Many Requests", "application/problem+json", """{"status":429,"detail":"too many requests at once, try again"}""")]
    [InlineData(1, ": the database is locked", "503 Service Unavailable", "application/problem+json", """{"status":503,"detail":"the database is locked"}""")]
    [InlineData(2, ": 'Bearer …' is refused", "403 Forbidden", "application/problem+json", """{"status":403,"detail":"'Bearer TOKEN' is refused"}""")]
    public async Task What_is_no_verdict_is_one_sentence(int code, string sentence, string status, string mediaType, string body)
    {
        await using var server = Answering($"HTTP/1.1 {status}\r\nContent-Type: {mediaType}\r\n", body.Replace("TOKEN", _token, StringComparison.Ordinal));
        foreach (string[] verb in (string[][])[["scan", _directory["Dockerfile"]], ["check", "nginx"]])
        {
            var run = await RunAsync(server.Address, verb);
            Assert.Equal((code, "", $"imageaccess: the proxy at {server.Address}{(sentence.StartsWith(':') ? "" : " ")}{sentence}\n"), (run.ExitCode, run.Output, run.Error));
        }
    }

    [Theory]
    [InlineData("text/html", "\"v\"", "<html>signed in</html>")]
    [InlineData("application/json", null, "{}")]
    public async Task What_is_no_document_is_not_exported(string mediaType, string? tag, string body)
    {
        await using var server = Answering($"HTTP/1.1 200 OK\r\nContent-Type: {mediaType}\r\n{(tag is null ? "" : $"ETag: {tag}\r\n")}", body);
        var run = await RunAsync(server.Address, "policy", "export");
        Assert.Equal((2, "", $"imageaccess: the proxy at {server.Address} {Foreign}\n"), (run.ExitCode, run.Output, run.Error));
    }

    [Fact]
    public async Task A_change_that_nobody_tells_of_is_none()
    {
        await File.WriteAllTextAsync(_directory["policy.json"], """{ "organizations": [] }""");
        await using var server = Answering("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nETag: \"v\"\r\n", "{}");
        foreach (string[] verb in (string[][])[
            ["policy", "apply", _directory["policy.json"], "--reason", "r"], ["policy", "revert", "v", "--reason", "r"],
            ["exceptions", "add", "nginx", "--organization", "acme", "--reason", "r"], ["changes", "approve", "1"], ["changes", "list"], ["policy", "history"]])
        {
            var run = await RunAsync(server.Address, verb);
            Assert.Equal((2, "", $"imageaccess: the proxy at {server.Address} {Foreign}\n"), (run.ExitCode, run.Output, run.Error));
        }
    }

    [Fact]
    public async Task It_follows_nobody_elsewhere()
    {
        await using var elsewhere = Answering("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n", Verdict);
        await using var server = Answering($"HTTP/1.1 302 Found\r\nLocation: {elsewhere.Address}/\r\n", "");
        var run = await RunAsync(server.Address, "check", "nginx");
        Assert.Equal(
            (2, "", $"imageaccess: the proxy at {server.Address} leads to {elsewhere.Address}/, which the token is not sent to: name the console's own address with --server\n"),
            (run.ExitCode, run.Output, run.Error));
    }

    [Fact]
    public async Task It_reads_no_ten_megabytes()
    {
        await using var server = Answering("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n", new string(' ', 10 * 1024 * 1024));
        var run = await RunAsync(server.Address, "scan", _directory["Dockerfile"]);
        Assert.Equal((2, "", $"imageaccess: the proxy at {server.Address} {Foreign}\n"), (run.ExitCode, run.Output, run.Error));
    }

    [Fact]
    public async Task It_does_not_wait_for_ever()
    {
        await using var server = new RawServer(connection => connection.HangAsync());
        using var api = new ServerApi(new Uri(server.Address), _token, TimeSpan.FromMilliseconds(50));
        var fault = await Assert.ThrowsAsync<PassingFaultException>(() => api.ListAsync<object>("blocks", default));
        Assert.Equal($"the proxy at {server.Address} does not answer (it took too long)", Assert.Single(fault.Failures));
    }

    [Fact]
    public async Task A_server_that_is_away_or_goes_away_may_come_back()
    {
        string away;
        await using (var server = new RawServer(async connection => await connection.ReadHeadAsync()))
        {
            var cut = await RunAsync(away = server.Address, "scan", _directory["Dockerfile"]);
            Assert.Equal((1, ""), (cut.ExitCode, cut.Output));
            Assert.StartsWith($"imageaccess: the proxy at {away} does not answer (", cut.Error, StringComparison.Ordinal);
        }

        var run = await RunAsync(away, "scan", _directory["Dockerfile"]);
        Assert.Equal((1, "", $"imageaccess: the proxy at {away} does not answer (Connection refused)\n"), (run.ExitCode, run.Output, run.Error));
    }

    [Fact]
    public async Task A_scan_asks_for_each_image_once_and_for_four_at_a_time()
    {
        var (asked, now, most) = (new List<string>(), 0, 0);
        var four = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var server = new RawServer(async connection =>
        {
            while (await connection.ReadHeadAsync() is { } head)
            {
                lock (asked)
                {
                    asked.Add(head.Split(' ')[1]);
                    most = Math.Max(most, ++now);
                    if (now == 4)
                        four.TrySetResult();
                }

                await four.Task;
                lock (asked)
                    now--;
                await connection.WriteAsync($"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {Verdict.Length}\r\n\r\n{Verdict}");
            }
        });
        await File.WriteAllLinesAsync(_directory["Dockerfile"], Enumerable.Range(0, 24).Select(number => $"FROM nginx:{number % 12}"));
        var run = await RunAsync(server.Address, "scan", _directory["Dockerfile"]);
        Assert.Equal((0, ""), (run.ExitCode, run.Error));
        Assert.Contains("24 images in 1 file: 24 allowed", run.Output, StringComparison.Ordinal);
        Assert.Equal(Enumerable.Range(0, 12).Select(number => $"/api/v1/images/docker.io/library/nginx%3A{number}").Order(StringComparer.Ordinal), asked.Order(StringComparer.Ordinal));
        Assert.Equal(4, most);
    }

    [Fact]
    public async Task A_scan_that_is_answered_in_part_is_none()
    {
        var count = 0;
        await using var server = new RawServer(async connection =>
        {
            const string Problem = """{"status":503,"detail":"the publisher of nginx could not be found in time, try again"}""";
            while (await connection.ReadHeadAsync() is not null)
            {
                var (status, body) = Interlocked.Increment(ref count) > 3 ? ("503 Service Unavailable", Problem) : ("200 OK", Verdict);
                await connection.WriteAsync($"HTTP/1.1 {status}\r\nContent-Length: {body.Length}\r\n\r\n{body}");
            }
        });
        await File.WriteAllLinesAsync(_directory["Dockerfile"], Enumerable.Range(0, 24).Select(number => $"FROM nginx:{number}"));
        var run = await RunAsync(server.Address, "scan", _directory["Dockerfile"]);
        Assert.Equal((1, "", $"imageaccess: the proxy at {server.Address}: the publisher of nginx could not be found in time, try again\n"), (run.ExitCode, run.Output, run.Error));
    }

    private static RawServer Answering(string head, string body) => new(async connection =>
    {
        while (await connection.ReadHeadAsync() is { } request)
        {
            if (request.StartsWith("PUT", StringComparison.Ordinal) || request.StartsWith("POST", StringComparison.Ordinal))
                head += "Connection: close\r\n"; // its body is not read
            await connection.WriteAsync($"{head}Content-Length: {System.Text.Encoding.UTF8.GetByteCount(body)}\r\n\r\n{body}");
            if (head.EndsWith("close\r\n", StringComparison.Ordinal))
                return;
        }
    });

    private async Task<CommandLine> RunAsync(string server, params string[] arguments)
    {
        var run = await CommandLine.RunAsync([.. arguments, "--server", server, "--token-file", _directory["token"]]);
        Assert.DoesNotContain(_token[12..], run.Output + run.Error, StringComparison.Ordinal);
        return run;
    }
}
