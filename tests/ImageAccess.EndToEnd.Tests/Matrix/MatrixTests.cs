using System.Text.RegularExpressions;
using Xunit.Sdk;

namespace ImageAccess.EndToEnd.Tests.Matrix;

/// <summary>
/// Each client, each command of it that reaches a registry, each way in: nothing of a denied repository comes from Docker Hub, or the row
/// says that the command does not come by the proxy; and <see cref="ClientsPage"/> has what was printed. Nobody is signed in but for
/// pushes and logins.
/// </summary>
[Collection(nameof(MatrixWorld))]
public sealed partial class MatrixTests(MatrixWorld world)
{
    private const string Reason = Surroundings.Denied;

    public static TheoryData<string, Ways> Clients
    {
        get
        {
            var all = new TheoryData<string, Ways>();
            foreach (var client in KnownClients.All)
            {
                foreach (var (way, _) in ClientsPage.Columns.Where(column => client.Ways.HasFlag(column.Way)))
                    all.Add(client.Name, way);
            }

            return all;
        }
    }

    [Theory]
    [MemberData(nameof(Clients))]
    public async Task No_command_gets_anything_of_a_denied_repository_and_the_page_has_what_it_prints(string name, Ways way)
    {
        var client = KnownClients.All.Single(one => one.Name == name);
        var (cell, daemon) = await world.CellAsync(client, way);
        cell.Write("context/file", "a file of the build context\n");
        await using var running = client.Daemon is { } start ? await start(cell, daemon) : null;
        var version = (await cell.RunAsync("dpkg-query", "--show", "--showformat=${source:Upstream-Version}", client.Package)).Succeeded().Text.Trim();
        var printed = new Dictionary<string, string>(StringComparer.Ordinal);
        var wrong = new List<string>();

        foreach (var row in client.Rows)
        {
            try
            {
                printed[ClientsPage.Shown(row.Shown)] = await RunAsync(cell, row, way);
            }
            catch (XunitException exception)
            {
                wrong.Add(exception.Message);
            }
        }

        Assert.True(wrong.Count == 0, string.Join("\n\n", wrong));
        if (ClientsPage.IsWritten) ClientsPage.Write(client, version, way, printed);
        else Compare(ClientsPage.Find(name), version, way, printed);
    }

    [Fact]
    public void The_page_has_these_clients_and_no_other_and_no_other_command()
    {
        Assert.Equal(KnownClients.All.Select(client => client.Name), ClientsPage.Clients);
        Assert.All(KnownClients.All, client => Assert.Equal(
            client.Rows.Select(row => ClientsPage.Shown(row.Shown)), ClientsPage.Find(client.Name)!.Rows.Keys));
    }

    /// <summary>Of another version than the page's, the words may differ; what comes from Docker Hub may not.</summary>
    private static void Compare(ClientsPage.Section? section, string version, Ways way, Dictionary<string, string> printed)
    {
        Assert.True(section is not null, $"{ClientsPage.Path} lacks a section; WRITE_CLIENTS=1 writes it");
        if (section.Version != version) return;
        var other = printed.Where(pair => section.Cell(pair.Key, way) != pair.Value)
            .Select(pair => $"{pair.Key}\n  printed: {pair.Value}\n  page:    {section.Cell(pair.Key, way)}")
            .ToList();
        Assert.True(other.Count == 0, $"{ClientsPage.Path} has other words; WRITE_CLIENTS=1 writes them anew:\n{string.Join('\n', other)}");
    }

    /// <returns>The page's cell.</returns>
    private async Task<string> RunAsync(Cell cell, Row row, Ways way)
    {
        var (repository, digest) = world.NextDenied();
        var before = (await world.RequestsAsync()).Count;

        var script = row.Script.Replace("IMAGE", repository, StringComparison.Ordinal).Replace("DIGEST", digest, StringComparison.Ordinal);
        var outcome = await cell.RunAsync("sh", "-euc", $"exec 2>&1; {script}");

        var asked = (await world.RequestsAsync()).Skip(before).ToList();
        var isPast = asked.Any(request => request.ViaDockerHubNames && (row.End == End.Done || request.IsFor(repository)));
        if (isPast != row.Past.HasFlag(way))
            throw Wrong(isPast ? "went past the proxy" : "no longer goes past the proxy: let the row say so");
        if (isPast) return OfThosePast(asked.Where(request => request.ViaDockerHubNames && request.IsFor(repository)), outcome, Last(outcome.Text, repository, cell));
        if (asked.Any(request => request.IsFor(repository)))
            throw Wrong("Docker Hub was asked for the denied repository");

        var end = row.EndBy(way);
        if (outcome.ExitCode == 0 != (end is not End.Denied))
            throw Wrong($"ended with {outcome.ExitCode}");
        return end switch
        {
            End.Done => "by the proxy",
            End.StandsIn => outcome.Text.Contains(Reason, StringComparison.Ordinal) ? "exit code 0, an index without content that holds the reason" : "exit code 0, an index without content",
            _ => $"`{Last(outcome.Text, repository, cell)}`",
        };

        XunitException Wrong(string what) =>
            new($"{row.Shown}: {what}\n{string.Join('\n', asked.Where(request => request.ViaDockerHubNames || request.IsFor(repository)))}\n{outcome.Text}");
    }

    /// <summary>Some commands ask Docker Hub for the tags alone, and come by the proxy for the images.</summary>
    private static string OfThosePast(IEnumerable<HubRequest> asked, Outcome outcome, string last) =>
        asked.Select(request => request.Target.Split('/')[^2..]).ToList() is { Count: > 0 } ends && ends.TrueForAll(end => end is ["tags", _])
            ? $"**Docker Hub lists the tags**{(outcome.ExitCode == 0 ? "" : $", then `{last}`")}"
            : "**goes to Docker Hub**";

    /// <summary>
    /// The last line with the reason, or the last line of all, without what differs from run to run. (BuildKit tells of a failure in the words of
    /// whichever sees it first, the build or the solver.)
    /// </summary>
    private static string Last(string text, string repository, Cell cell)
    {
        var lines = Escapes().Replace(text, "").Split('\n').Select(line => line.Trim()).Where(line => line.Length > 0).ToList();
        var line = lines.LastOrDefault(each => each.Contains(Reason, StringComparison.Ordinal)) ?? lines.LastOrDefault() ?? "";
        return Times().Replace(Numbers().Replace(Ports().Replace(line, ""), "…"), "")
            .Replace(repository, MatrixWorld.Denied, StringComparison.Ordinal)
            .Replace(Uri.EscapeDataString(repository), Uri.EscapeDataString(MatrixWorld.Denied), StringComparison.Ordinal)
            .Replace(cell.Folder, "~", StringComparison.Ordinal)
            .Replace("failed to run Build function: ", "failed to solve: ", StringComparison.Ordinal)
            .Replace('`', '\'')
            .Replace("|", "\\|", StringComparison.Ordinal);
    }

    [GeneratedRegex(@"\e\[[0-9;]*[A-Za-z]", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Escapes();

    /// <summary>Digests and the ids of decisions.</summary>
    [GeneratedRegex(@"\b[0-9a-f]{12,64}\b", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Numbers();

    [GeneratedRegex(@"^time=""[^""]*"" (level=\w+ )?|^\[[0-9-]+T[0-9:.]+Z\]|^#[0-9]+ ([0-9.]+ )?|(?<=\W)[0-9]+\.[0-9]+s(?=\W|$)", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Times();

    [GeneratedRegex(@"(?<=10\.71\.0\.100):[0-9]+", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Ports();
}
