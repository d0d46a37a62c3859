using System.Text.RegularExpressions;
using ImageAccess.Proxy.Tests.HouseRules;
using ImageAccess.Proxy.Tests.Walk;

namespace ImageAccess.Proxy.Tests.Tools.Verbs;

/// <summary>Each command that docs/explaining.md shows is run on the samples, as the program itself, and says what the page says.</summary>
public sealed partial class DocumentedOutputTests(DocumentedOutputTests.SampleProxy proxy) : IClassFixture<DocumentedOutputTests.SampleProxy>
{
    private const string Page = "docs/explaining.md";

    public static TheoryData<string, string> Commands()
    {
        var commands = new TheoryData<string, string>();
        foreach (var block in Blocks().Matches(RepositoryRoot.Read(Page)).Select(match => match.Groups["text"].Value))
        {
            foreach (var command in block.Split("$ imageaccess ", StringSplitOptions.RemoveEmptyEntries))
            {
                var end = command.IndexOf('\n', StringComparison.Ordinal);
                commands.Add(command[..end], command[(end + 1)..].Trim());
            }
        }

        return commands;
    }

    [Theory]
    [MemberData(nameof(Commands))]
    public async Task The_page_shows_what_the_program_prints(string command, string output)
    {
        var run = await CommandLine.StartAsync(command.Split(' '), ("IMAGEACCESS_Listen__Admin", proxy.Admin));

        var printed = (run.Output + run.Error).Replace(proxy.Admin, "http://127.0.0.1:9000", StringComparison.Ordinal);
        Assert.Equal(output, printed.Trim());
    }

    [Fact]
    public void Every_verb_is_shown()
    {
        var commands = Commands().Select(row => (string)row[0]).ToList();
        Assert.All(
            ["check ", "check --offline", "policy validate", "policy test", "policy diff", "policy replay"],
            verb => Assert.Contains(commands, command => command.StartsWith(verb, StringComparison.Ordinal)));
    }

    [GeneratedRegex(@"^```console\n(?<text>\$ imageaccess .*?)^```", RegexOptions.Multiline | RegexOptions.Singleline | RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Blocks();

    /// <summary>A proxy with the samples' policy.</summary>
    public sealed class SampleProxy : IAsyncLifetime
    {
        private Surroundings? _surroundings;

        public string Admin => _surroundings!.Admin.GetLeftPart(UriPartial.Authority);

        public async Task InitializeAsync() => _surroundings = await Surroundings.StartAsync(RepositoryRoot.Read("deploy/samples/policy.json"));

        public async Task DisposeAsync() => await _surroundings!.DisposeAsync();
    }
}
