using System.Globalization;
using ImageAccess.Proxy.Policies.Decisions;

namespace ImageAccess.Proxy.Tools.Verbs;

/// <summary><c>policy replay</c>: writes what a draft would have changed in the pulls of an audit trail, or of Docker Hub's usage report.</summary>
internal sealed class PolicyReplay(DraftEffect effect)
{
    /// <summary>The largest number of rows in a table; the JSON has all of them.</summary>
    public const int MaximumRows = 50;

    private const int MaximumNamespaces = 20;

    private readonly IPulls _pulls = effect.Pulls;
    private readonly IReadOnlyList<ChangedPulls> _changes = effect.Changes;
    private readonly long _requests = effect.Requests;

    /// <summary>Null where the pulls are those of a trail.</summary>
    private readonly DockerUsagePulls? _report = effect.Pulls as DockerUsagePulls;

    public async Task WriteAsync(TextWriter output, string file, string trail, bool json)
    {
        if (json)
        {
            await Verb.WriteJsonAsync(output, new
            {
                PolicyVersion = effect.Policy.Version,
                Audit = _report is null ? trail : null,
                DockerUsage = _report is null ? null : trail,
                _report?.Organization,
                _pulls.First,
                _pulls.Last,
                Requests = _requests,
                _pulls.Malformed,
                _report?.Flawed,
                _pulls.Unnamed,
                Beyond = _report?.Beyond,
                UnknownNamespaces = _report is null ? null : UnknownNamespaces(),
                Changes = _changes.OrderByDescending(change => change.Requests)
                    .ThenBy(change => change.Repository, StringComparer.Ordinal)
                    .ThenBy(change => change.Caller, StringComparer.Ordinal),
            });
            return;
        }

        await output.WriteLineAsync(TextTable.Plain($"{file} (policy {effect.Policy.Version}) over {trail}"));
        await output.WriteLineAsync(Extent());
        if (_pulls.Malformed > 0)
            await output.WriteLineAsync($"{TextTable.Count(_pulls.Malformed, "line")} could not be read{(_report is null ? "" : $": {string.Join("; ", _report.Flawed)}")}");
        if (_pulls.Beyond > 0)
            await output.WriteLineAsync($"{TextTable.Count(_pulls.Beyond, "request")} of further callers and repositories {(_pulls.Beyond == 1 ? "is" : "are")} not judged: more are not kept in memory");
        if (_pulls.Unnamed > 0)
            await output.WriteLineAsync($"{TextTable.Count(_pulls.Unnamed, "denial")} beyond a client's share of the trail {(_pulls.Unnamed == 1 ? "has" : "have")} no repository there");
        await WriteAsync(
            output, ["CHANGE", ">REQUESTS", ">CALLERS", "RULE", "REPOSITORY"],
            effect.ByRepository().Select(row => new[] { Words(row.From, row.To), Number(row.Requests), Number(row.Callers.Count), row.Rule, row.Repository }));
        await WriteAsync(
            output, ["CHANGE", ">REQUESTS", ">REPOSITORIES", "CALLER"],
            _changes.GroupBy(change => (change.From, change.To, change.Caller))
                .OrderBy(group => Answer.Rank(group.Key.To))
                .ThenByDescending(group => group.Sum(change => change.Requests))
                .Select(group => new[]
                {
                    Words(group.Key.From, group.Key.To), Number(group.Sum(change => change.Requests)),
                    Number(group.Select(change => change.Repository).Distinct().Count()), group.Key.Caller,
                }));
        await output.WriteLineAsync();
        await TextTable.WriteWrappedAsync(output, Conclusion(), "");
        if (_changes.Any(change => change.To == Answer.Depends))
            await TextTable.WriteWrappedAsync(output, $"unknown: the answer depends on who publishes the repository, and {Unknown()}", "");
    }

    public static string Words(string from, string to) => $"{from} -> {to}";

    private static async Task WriteAsync(TextWriter output, string[] heads, IEnumerable<string[]> kinds)
    {
        var rows = kinds.ToList();
        if (rows.Count == 0)
            return;
        var table = new TextTable(heads);
        foreach (var cells in rows.Take(MaximumRows))
            table.Add(cells);
        if (rows.Count > MaximumRows)
            table.Note($"and {TextTable.Count(rows.Count - MaximumRows, "row")} more; --json has them all");
        await output.WriteLineAsync();
        await table.WriteAsync(output);
    }

    private static string Number(long number) => number.ToString("N0", CultureInfo.InvariantCulture);

    private string Unknown()
    {
        if (_report is null)
            return "the trail does not tell; imageaccess check does";
        var names = UnknownNamespaces();
        return $"nothing is kept here of {TextTable.Count(names.Count, "namespace")}: {string.Join(", ", names.Take(MaximumNamespaces))}{(names.Count > MaximumNamespaces ? ", …" : "")}. "
            + "Pin them in catalog.json, or ask a proxy that runs with imageaccess check";
    }

    /// <summary>Those whose publisher would have to be known, with the most requests first.</summary>
    private List<string> UnknownNamespaces() =>
    [
        .. _changes.Where(change => change.To == Answer.Depends)
            .GroupBy(change => change.Repository[..change.Repository.IndexOf('/', StringComparison.Ordinal)])
            .OrderByDescending(group => group.Sum(change => change.Requests))
            .ThenBy(group => group.Key, StringComparer.Ordinal)
            .Select(group => group.Key),
    ];

    private string Extent()
    {
        if (_pulls is not { First: { } first, Last: { } last })
            return "no pull";
        var repositories = _pulls.Requests.Keys.Select(pull => pull.Repository).Distinct().Count();
        var callers = _pulls.Requests.Keys.Select(pull => pull.Caller).Distinct().Count();
        return $"{TextTable.Count(_requests, "request")} for {TextTable.Count(repositories, "repository", "repositories")} "
            + $"by {TextTable.Count(callers, "caller")}, "
            + string.Create(CultureInfo.InvariantCulture, $"{first.UtcDateTime:yyyy-MM-dd} to {last.UtcDateTime:yyyy-MM-dd}");
    }

    private string Conclusion()
    {
        var kinds = new[]
        {
            ("deny", "would be denied"), (Answer.Depends, "depend on the publisher"), ("observe", "would only be observed"),
            ("allow", "would be allowed"),
        };
        var parts = kinds
            .Select(kind => (Number: _changes.Where(change => change.To == kind.Item1).Sum(change => change.Requests), kind.Item2))
            .Where(kind => kind.Number > 0)
            .Select(kind => $"{Number(kind.Number)} {kind.Item2}")
            .Prepend($"{TextTable.Count(_requests - _changes.Sum(change => change.Requests), "request")} would be answered as before");
        return string.Join(", ", parts);
    }
}
