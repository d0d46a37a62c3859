using System.Globalization;
using System.Text.Json;

namespace ImageAccess.Proxy.Administration.Usage;

/// <summary>Which machines are asked about.</summary>
/// <param name="Filter">When they came in, how, with what, and whose decisions are told; of whole days.</param>
/// <param name="Anonymous">Those alone where nobody is signed in.</param>
/// <param name="FallsBack">Those alone whose report says that an engine falls back to Docker Hub.</param>
internal sealed record MachineQuestion(UsageFilter Filter, bool Anonymous, bool FallsBack)
{
    public const int DefaultLimit = 50;

    /// <summary>What a verb shows at most.</summary>
    public const int MaximumLimit = 5000;

    /// <summary>Who came in from where, and who reported without coming in, those that were seen last first; of their reports the heads alone.</summary>
    /// <exception cref="TooManyValuesException">There are too many.</exception>
    public async Task<IReadOnlyList<Machine>> AskAsync(UsageStore store, CancellationToken cancellationToken)
    {
        var (seen, rows) = (new Dictionary<(string Address, string Family), MachineSum>(), 0);
        await store.ReadMachinesAsync(
            Filter,
            row =>
            {
                if (rows++ == UsageStore.MaximumValues)
                    throw new TooManyValuesException();
                var key = (row.GetString(0), row.GetString(1));
                if (!seen.TryGetValue(key, out var sum))
                    seen[key] = sum = new MachineSum();
                sum.Add(row.GetString(2), row.GetString(3), new PullCount(UsageStore.Number(row, 4), UsageStore.Number(row, 5), UsageStore.Number(row, 6), UsageStore.Number(row, 7)));
            },
            cancellationToken);
        var reports = (await store.ListReportsAsync(cancellationToken)).Where(IsTold).ToLookup(report => report.Address);
        var addresses = seen.Keys.Select(key => key.Address).ToHashSet(StringComparer.Ordinal);
        var silent = Filter is { WayIn: null, Family: null } && !Anonymous
            ? reports.Where(group => !addresses.Contains(group.Key)).Select(group => Machine.Of(group.Key, "", null, [.. group])).Where(machine => machine.Key.Time >= Filter.From)
            : [];
        return
        [
            .. seen.Select(one => Machine.Of(one.Key.Address, one.Key.Family, one.Value, [.. reports[one.Key.Address]])).Concat(silent)
                .Where(machine => (!Anonymous || machine.Anonymous == machine.Decisions) && (!FallsBack || machine.FallsBack == true))
                .OrderBy(machine => machine.Key, MachineKey.NewestFirst),
        ];
    }

    /// <summary>The same machines with what their last reports tell.</summary>
    public static async Task<List<Machine>> FillAsync(UsageStore store, IReadOnlyList<Machine> machines, CancellationToken cancellationToken)
    {
        var wanted = machines.Select(machine => machine.Newest).OfType<MachineReport>().Distinct().ToList();
        var facts = wanted.Count == 0 ? [] : (await store.FillReportsAsync(wanted, cancellationToken)).ToDictionary(report => (report.Organization, report.Address, report.Name));
        return [.. machines.Select(machine => machine.Newest is { } newest && facts.TryGetValue((newest.Organization, newest.Address, newest.Name), out var report) ? machine.With(report) : machine)];
    }

    /// <summary>What was told with a token for every organization is for those who see them all.</summary>
    private bool IsTold(MachineReport report) =>
        Filter.Scope.IsEverything ? report.Organization.Length == 0 || Filter.Organization is null || report.Organization == Filter.Organization
        : Filter.Scope.Whole.Contains(report.Organization) && (Filter.Organization is null || report.Organization == Filter.Organization);
}

/// <summary>What one kind of client did from one address.</summary>
internal sealed class MachineSum
{
    private const string Nobody = "anonymous";

    private readonly Dictionary<string, long> _callers = new(StringComparer.Ordinal);

    public SortedSet<string> WaysIn { get; } = new(StringComparer.Ordinal);

    public PullCount? All { get; private set; }

    public long Anonymous { get; private set; }

    public int Callers => _callers.Count;

    /// <summary>Who signed in, those with the most decisions first.</summary>
    public IEnumerable<string> Names => _callers.OrderByDescending(caller => caller.Value).ThenBy(caller => caller.Key, StringComparer.Ordinal).Select(caller => caller.Key);

    public void Add(string wayIn, string caller, PullCount count)
    {
        All = All?.With(count) ?? count;
        WaysIn.Add(wayIn);
        if (caller == Nobody)
            Anonymous += count.Decisions;
        else
            _callers[caller] = _callers.GetValueOrDefault(caller) + count.Decisions;
    }
}

/// <summary>Where a machine stands in the list.</summary>
/// <param name="Time">When it was seen or reported last, in milliseconds since 1970.</param>
internal readonly record struct MachineKey(long Time, string Address, string Family)
{
    public static IComparer<MachineKey> NewestFirst { get; } = Comparer<MachineKey>.Create((one, other) =>
        one.Time != other.Time ? other.Time.CompareTo(one.Time)
        : one.Address != other.Address ? string.CompareOrdinal(one.Address, other.Address)
        : string.CompareOrdinal(one.Family, other.Family));
}

/// <summary>An address and a kind of client.</summary>
/// <param name="Address">The client's, as the proxy sees it.</param>
/// <param name="WaysIn">How it came in.</param>
/// <param name="Decisions">How many requests were decided.</param>
/// <param name="Pulls">How many pulls began with them.</param>
/// <param name="Anonymous">How many of the decisions are of nobody who signed in.</param>
/// <param name="Callers">How many different callers signed in.</param>
/// <param name="Names">Those of them with the most decisions.</param>
internal sealed record Machine(string Address, IReadOnlyList<string> WaysIn, long Decisions, long Pulls, long Anonymous, int Callers, IReadOnlyList<string> Names)
{
    public const int MaximumNames = 20;

    private static readonly string[] Columns =
        ["address", "clientFamily", "waysIn", "decisions", "pulls", "anonymous", "share", "callers", "names", "first", "last", "fallsBack", "machine", "reported", "open"];

    /// <summary>Which kind of client; null where the machine reported, and did not come in.</summary>
    public string? ClientFamily { get; init; }

    /// <summary>The part of the decisions that is of nobody who signed in.</summary>
    public double Share => Decisions == 0 ? 0 : Math.Round(Anonymous / (double)Decisions, 3);

    public DateTime? First { get; init; }

    public DateTime? Last { get; init; }

    /// <summary>Whether an engine of the address turns to Docker Hub past the proxy; null where nobody reported.</summary>
    public bool? FallsBack { get; init; }

    /// <summary>The newest report of the address.</summary>
    public ReportFacts? LastReport { get; init; }

    internal MachineKey Key { get; init; }

    internal MachineReport? Newest { get; init; }

    /// <param name="sum">Null where it did not come in.</param>
    /// <param name="reports">Those of the address.</param>
    public static Machine Of(string address, string family, MachineSum? sum, IReadOnlyList<MachineReport> reports)
    {
        var newest = reports.MaxBy(report => (report.Time, report.Name));
        return new Machine(address, [.. sum?.WaysIn ?? []], sum?.All?.Decisions ?? 0, sum?.All?.Pulls ?? 0, sum?.Anonymous ?? 0, sum?.Callers ?? 0, [.. sum?.Names.Take(MaximumNames) ?? []])
        {
            ClientFamily = sum is null ? null : family,
            First = sum?.All is { } all ? DateTime.UnixEpoch.AddMilliseconds(all.First) : null,
            Last = sum?.All is { } counted ? DateTime.UnixEpoch.AddMilliseconds(counted.Last) : null,
            FallsBack = newest is null ? null : reports.Any(report => report.FallsBack),
            LastReport = newest is null ? null : ReportFacts.Of(newest, reports.Count - 1),
            Key = new MachineKey(sum?.All?.Last ?? newest?.Time ?? 0, address, family),
            Newest = newest,
        };
    }

    public Machine With(MachineReport report) => this with { LastReport = LastReport?.With(report) };

    public static IEnumerable<string[]> ToRows(IEnumerable<Machine> machines) => machines.Select(machine => new[]
    {
        machine.Address, machine.ClientFamily ?? "", string.Join(' ', machine.WaysIn), Number(machine.Decisions), Number(machine.Pulls), Number(machine.Anonymous),
        machine.Share.ToString("0.###", CultureInfo.InvariantCulture), Number(machine.Callers), string.Join(", ", machine.Names), Time(machine.First), Time(machine.Last),
        machine.FallsBack switch { true => "yes", false => "no", null => "" },
        machine.LastReport?.Name ?? "", Time(machine.LastReport?.Time), machine.LastReport is { } report ? Number(report.Open) : "",
    }).Prepend(Columns);

    private static string Number(long number) => number.ToString(CultureInfo.InvariantCulture);

    private static string Time(DateTime? time) => time?.ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", CultureInfo.InvariantCulture) ?? "";
}

/// <summary>What is told of a report.</summary>
/// <param name="Name">What the machine calls itself.</param>
/// <param name="Time">When it came.</param>
/// <param name="Open">How many ways lead past the policy.</param>
/// <param name="Others">How many other machines reported from the same address.</param>
internal sealed record ReportFacts(string Name, DateTime Time, int Open, int Others)
{
    /// <summary>Of the program that examined the machine.</summary>
    public string? Version { get; init; }

    public int? Enforced { get; init; }

    public int? NotReachable { get; init; }

    public IReadOnlyList<ReportedEngine>? Engines { get; init; }

    /// <summary>The first ways, open ones first.</summary>
    public IReadOnlyList<ReportedWay>? Ways { get; init; }

    public static ReportFacts Of(MachineReport report, int others) => new(report.Name, DateTime.UnixEpoch.AddMilliseconds(report.Time), report.Open, others);

    public ReportFacts With(MachineReport report)
    {
        var told = JsonSerializer.Deserialize<DoctorFacts>(report.Facts, DoctorFacts.Json)!;
        return this with { Version = told.Version, Enforced = told.Enforced, NotReachable = told.NotReachable, Engines = told.Engines!, Ways = told.Ways! };
    }
}
