using System.Diagnostics;
using System.Text.Json;
using ImageAccess.Proxy.Hosting;
using ImageAccess.Proxy.Tests.Walk;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace ImageAccess.Proxy.Tests.Hosting;

/// <summary>The log as JSON.</summary>
public sealed class JsonLinesTests
{
    private readonly ManualTime _time = new(new DateTimeOffset(2026, 12, 1, 4, 5, 6, 7, TimeSpan.FromHours(2)));

    [Fact]
    public void A_line_has_the_time_the_level_the_category_the_message_and_its_members() => Assert.Equal(
        """{"time":"2026-12-01T02:05:06.007Z","level":"warning","category":"ImageAccess.Proxy.Registry","event":7,"message":"bob waited 5 s","members":{"Name":"bob","Seconds":5}}""" + "\n",
        Write(LogLevel.Warning, "bob waited 5 s", [new("Name", "bob"), new("Seconds", 5), new("{OriginalFormat}", "{Name} waited {Seconds} s")]));

    [Fact]
    public void Members_keep_their_kinds() => Assert.Equal(
        """{"A":null,"B":true,"C":9223372036854775807,"D":0.5,"E":"NaN","F":"2026-12-01T02:05:06.007Z","G":"x, 1","H":"Warning"}""",
        Parse(Write(LogLevel.Information, "", [
            new("A", null), new("B", true), new("C", long.MaxValue), new("D", 0.5), new("E", double.NaN), new("F", _time.GetUtcNow()), new("G", new object[] { "x", 1 }), new("H", LogLevel.Warning)]))
            .GetProperty("members").GetRawText());

    [Theory]
    [InlineData("a\nb", @"a\nb")]
    [InlineData("a\r\n{\"time\":\"forged\"}", @"a\r\n{\u0022time\u0022:\u0022forged\u0022}")]
    [InlineData("\u001b[31mred", @"\u001B[31mred")]
    [InlineData("\u0085\u009b\u2028", @"\u0085\u009B\u2028")]
    [InlineData("\u202eevil", @"\u202Eevil")]
    [InlineData("\0\u007f", @"\u0000\u007F")]
    public void What_could_end_a_line_or_steer_a_terminal_is_escaped(string value, string written)
    {
        var line = Write(LogLevel.Error, value, [new("Value", value)], new InvalidOperationException(value));
        Assert.Equal(1, line.Count(c => c == '\n'));
        Assert.All(line[..^1], c => Assert.InRange(c, ' ', '~'));
        Assert.Contains($"\"message\":\"{written}\"", line, StringComparison.Ordinal);
        Assert.Contains($"\"Value\":\"{written}\"", line, StringComparison.Ordinal);
        Assert.StartsWith("System.InvalidOperationException: ", Parse(line).GetProperty("exception").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public void Half_a_character_is_replaced() =>
        Assert.Contains("\"message\":\"a\\uFFFDb\"", Write(LogLevel.Information, "a\ud800b", []), StringComparison.Ordinal);

    [Fact]
    public void A_line_names_the_trace_that_it_belongs_to()
    {
        using var activity = new Activity("a request").Start();
        var line = Parse(Write(LogLevel.Information, "x", []));
        Assert.Equal((activity.TraceId.ToHexString(), activity.SpanId.ToHexString()), (line.GetProperty("traceId").GetString(), line.GetProperty("spanId").GetString()));
    }

    [Fact]
    public void Scopes_are_left_out()
    {
        var scopes = new LoggerExternalScopeProvider();
        using (scopes.Push("Authorization: Bearer secret"))
            Assert.DoesNotContain("secret", Write(LogLevel.Information, "x", [], scopes: scopes), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Every_line_of_the_program_is_an_object_from_the_start_to_the_stop()
    {
        await using var room = await ProgramRoom.OpenAsync("direct");
        await File.WriteAllTextAsync(room["imageaccess.json"], $$"""
            {
              "Listen": { "Mirror": "http://127.0.0.1:0", "Admin": "http://127.0.0.1:0" },
              "Upstream": { "Registry": "{{room.Hub.Registry}}", "Auth": "{{room.Hub.Auth}}", "Hub": "{{room.Hub.Hub}}" },
              "Policy": { "File": "policy.json" },
              "Log": { "Format": "json" }
            }
            """);
        await using var program = new ImageAccessProcess(Path.GetDirectoryName(room["policy.json"])!, []);
        var started = Parse(await program.WaitForLineAsync("{\"time\":"));
        Assert.Equal(JsonValueKind.Object, started.ValueKind);
        await Eventually.TrueAsync(() => program.Output.Contains("mirror   http://127.0.0.1:", StringComparison.Ordinal));
        program.Signal("TERM");
        var (code, output, _) = await program.EndAsync();
        Assert.Equal(0, code);
        var lines = output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(Parse).ToList();
        Assert.Contains(lines, line => line.GetProperty("message").GetString()!.StartsWith("admin    http://127.0.0.1:", StringComparison.Ordinal));
        Assert.Contains(lines, line => line.GetProperty("message").GetString()!.StartsWith("Stopping on SIGTERM", StringComparison.Ordinal) && line.GetProperty("members").GetProperty("Signal").GetString() == "SIGTERM");
        Assert.All(lines, line => Assert.EndsWith("Z", line.GetProperty("time").GetString(), StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("xml")]
    [InlineData("JSON")]
    public async Task Another_format_is_one_clear_line(string format)
    {
        using var directory = new TemporaryDirectory();
        await using var program = new ImageAccessProcess(directory.Path, [], ("IMAGEACCESS_Log__Format", format));
        var (code, _, error) = await program.EndAsync();
        Assert.Equal((2, $"imageaccess: Log:Format: '{format}' is neither text nor json"), (code, error.Trim()));
    }

    private static JsonElement Parse(string line) => JsonSerializer.Deserialize<JsonElement>(line);

    private string Write(LogLevel level, string message, IReadOnlyList<KeyValuePair<string, object?>> members, Exception? exception = null, IExternalScopeProvider? scopes = null)
    {
        using var text = new StringWriter();
        var entry = new LogEntry<IReadOnlyList<KeyValuePair<string, object?>>>(level, "ImageAccess.Proxy.Registry", new EventId(7), members, exception, (_, _) => message);
        new JsonLines(_time).Write(in entry, scopes, text);
        return text.ToString();
    }
}
