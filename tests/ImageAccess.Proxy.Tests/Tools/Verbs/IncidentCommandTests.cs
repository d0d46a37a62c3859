using ImageAccess.Proxy.Tests.Administration.Usage;

namespace ImageAccess.Proxy.Tests.Tools.Verbs;

/// <summary><c>imageaccess incident …</c></summary>
public sealed class IncidentCommandTests : IDisposable
{
    private static readonly DateTimeOffset Time = new(TimeProvider.System.GetUtcNow().UtcDateTime.Date.AddDays(-1).AddHours(9), TimeSpan.Zero);

    private readonly TemporaryDirectory _directory = new();

    public void Dispose() => _directory.Dispose();

    [Fact]
    public async Task Who_pulled_an_image_is_told_on_the_server_without_a_proxy_that_runs()
    {
        await File.WriteAllLinesAsync(
            _directory["old.jsonl"],
            [
                UsageRoom.Line("a1", Time, caller: "bob", repository: "evil/tool", reference: "7"),
                UsageRoom.Line("a2", Time.AddMinutes(5), caller: "=dora", repository: "evil/tool", outcome: "deny", reference: "8"),
                UsageRoom.Line("a3", Time, caller: "hank"),
            ]);
        Assert.Equal(0, (await RunAsync("usage", "import", _directory["old.jsonl"])).ExitCode);
        Assert.Equal(0, (await RunAsync("block", "evil/*", "--reason", "stolen")).ExitCode);

        var day = Time.ToString("yyyy-MM-dd", System.Globalization.CultureInfo.InvariantCulture);
        var told = await RunAsync("incident", "evil/*", "nobody/x");
        Assert.Equal(
            (0, $"""
                PULLS  DENIED  CALLERS  MACHINES  LAST               KEPT HERE  BLOCKED  IMAGE
                    1       1        1         1  {day} 09:00Z  nothing    yes      evil/*
                    0       0        0         0  -                  nothing    no       nobody/x

                LAST               PULLS  OUTCOME  CALLER  CLIENT     BY              PULLED
                {day} 09:05Z      1  deny     =dora   192.0.2.7  docker, mirror  evil/tool:8
                {day} 09:00Z      1  allow    bob     192.0.2.7  docker, mirror  evil/tool:7

                """.ReplaceLineEndings("\n"), ""),
            (told.ExitCode, told.Output, told.Error));
        var facts = (await RunAsync("incident", "evil/tool:7", "--json")).Json;
        Assert.Equal((1, "bob", true), (facts.GetProperty("rows").GetInt32(), facts.GetProperty("pulls")[0].GetProperty("caller").GetString(), facts.GetProperty("images")[0].GetProperty("blocked").GetBoolean()));
        Assert.Contains("\r\nevil/*,'=dora,acme,192.0.2.7,docker,mirror,evil/tool,", (await RunAsync("incident", "evil/*", "--csv")).Output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("--csv does not go with --json", "nginx", "--csv", "--json")]
    [InlineData("'sha256:abc' has a digest that is none: sha256: and 64 hexadecimal digits in lower case", "sha256:abc")]
    [InlineData("--since is '30': choose a time as 12h or 30d", "nginx", "--since", "30")]
    [InlineData("--top: choose a number from 1 to 5000", "nginx", "--top", "0")]
    public async Task What_cannot_be_meant_is_told(string problem, params string[] arguments)
    {
        var run = await RunAsync(["incident", .. arguments]);
        Assert.NotEqual(0, run.ExitCode);
        Assert.Contains(problem, run.Error, StringComparison.Ordinal);
    }

    private async Task<CommandLine> RunAsync(params string[] arguments)
    {
        await File.WriteAllTextAsync(_directory["imageaccess.json"], $$"""{ "Data": { "Directory": "{{_directory.Path}}" } }""");
        return await CommandLine.RunAsync([.. arguments, "--config", _directory["imageaccess.json"]]);
    }
}
