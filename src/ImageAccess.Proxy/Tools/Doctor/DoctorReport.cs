using System.Globalization;
using ImageAccess.Proxy.Administration.Usage;
using ImageAccess.Proxy.Foundation.Files;
using ImageAccess.Proxy.Tools.Verbs;

namespace ImageAccess.Proxy.Tools.Doctor;

/// <summary>What doctor tells about the routes.</summary>
/// <param name="Denied">The repository that was asked for.</param>
/// <param name="Findings">Each route, in the order in which it was found.</param>
/// <param name="Notes">What a person should know besides.</param>
internal sealed record DoctorReport(string Denied, IReadOnlyList<Finding> Findings, IReadOnlyList<string> Notes)
{
    /// <summary>The engines that are configured on this machine.</summary>
    public IReadOnlyList<string> Engines { get; init; } = [];

    public bool HasOpenRoute => Count(RouteVerdict.Open) > 0;

    /// <summary>The facts, as JSON has them.</summary>
    public object Facts => new
    {
        Denied,
        Open = Count(RouteVerdict.Open),
        Enforced = Count(RouteVerdict.Enforced),
        NotReachable = Count(RouteVerdict.NotReachable),
        Ways = Sorted().Select(finding => new
        {
            Verdict = finding.Verdict.ToWireName(),
            Way = finding.Route.Kind,
            finding.Route.Host,
            finding.Outcome.Detail,
            finding.Outcome.Command,
        }),
        Notes = AllNotes(),
    };

    /// <summary>The same for the proxy: no file, no address of a proxy with a password, no command.</summary>
    /// <param name="machine">What the machine calls itself.</param>
    /// <param name="version">Of this program.</param>
    public DoctorFacts ToFacts(string machine, string version) => new(
        Seen(machine, DoctorFacts.MaximumName),
        Seen(version, DoctorFacts.MaximumWord),
        Count(RouteVerdict.Open),
        Count(RouteVerdict.Enforced),
        Count(RouteVerdict.NotReachable),
        [.. Engines.Distinct().Take(DoctorFacts.MaximumEngines).Select(engine => new ReportedEngine(Seen(engine, DoctorFacts.MaximumWord)) { FallsBack = FallsBack(engine) })],
        [
            .. Sorted().Take(DoctorFacts.MaximumWays).Select(finding => new ReportedWay(
                finding.Verdict.ToWireName(), Seen(finding.Route.Kind, DoctorFacts.MaximumWord), Seen(finding.Route.Host, DoctorFacts.MaximumHost))),
        ]);

    public async Task PrintAsync(TextWriter output)
    {
        await output.WriteLineAsync(TextTable.Plain($"every way is asked for {Denied}, which has to be denied"));
        await output.WriteLineAsync();
        var table = new TextTable("VERDICT", "WAY", "HOST");
        foreach (var finding in Sorted())
        {
            table.Add(finding.Verdict.ToWireName(), finding.Route.Kind, finding.Route.Host);
            table.Note(finding.Outcome.Detail);
            if (finding.Outcome.Command is { } command)
                table.Command($"$ {command}");
        }

        await table.WriteAsync(output);
        await output.WriteLineAsync();
        foreach (var note in AllNotes())
            await TextTable.WriteWrappedAsync(output, TextTable.Plain($"note: {note}"), "");
        await output.WriteLineAsync(Summary());
    }

    private bool? FallsBack(string engine) =>
        Findings.Where(finding => finding.Route is { Kind: Route.Fallback } route && route.Host == engine).Select(finding => (bool?)(finding.Verdict == RouteVerdict.Open)).Max();

    private static string Seen(string text, int maximum) => text.Length == 0 ? "?" : PrintableText.Seen(PrintableText.Cut(text, maximum));

    private string Summary()
    {
        var open = Count(RouteVerdict.Open);
        return string.Create(
            CultureInfo.InvariantCulture,
            $"{(open == 0 ? "no way is open" : open == 1 ? "1 way is open" : $"{open} ways are open")}, {Count(RouteVerdict.Enforced)} enforced, {Count(RouteVerdict.NotReachable)} not reachable");
    }

    /// <summary>When no route reached anybody, nothing is proved.</summary>
    private IEnumerable<string> AllNotes() => Findings.All(finding => finding.Verdict == RouteVerdict.NotReachable)
        ? Notes.Append("no way led to a server: this machine has no connection, so the policy was not tested")
        : Notes;

    private IEnumerable<Finding> Sorted() => Findings.OrderBy(finding => finding.Verdict);

    private int Count(RouteVerdict verdict) => Findings.Count(finding => finding.Verdict == verdict);
}
