using System.CommandLine;
using System.Globalization;
using System.Net;
using ImageAccess.Core.Hosts;
using ImageAccess.Proxy.Foundation.Files;

namespace ImageAccess.Proxy.Tools.Verbs;

/// <summary><c>usage coverage</c>: which pulls of Docker Hub's usage report did not come from the proxy's addresses, and whose they are.</summary>
/// <param name="proxies">What Docker Hub sees of the proxy.</param>
/// <param name="byRange">Addresses are told by their /24, those of IPv6 by their /64.</param>
internal sealed class UsageCoverage(IReadOnlyList<IPNetwork> proxies, bool byRange, DateTimeOffset? since, int maximum = UsageCoverage.MaximumKinds)
{
    /// <summary>How many pairs of an address and a user are kept in memory.</summary>
    public const int MaximumKinds = 500_000;

    private static readonly char[] Between = [',', ';', '|', ' ', '\t', '\n', '\r', '[', ']', '{', '}', '"', '\''];

    private readonly Dictionary<(string Address, string User), Bypass> _around = [];
    private readonly Dictionary<string, IPAddress?> _addresses = new(StringComparer.Ordinal);
    private long _through;
    private long _outside;
    private long _mixed;
    private long _unknown;
    private long _beyond;

    public static Command Build()
    {
        var report = new Argument<string>("FILE") { Description = "Docker Hub's usage report: CSV, also packed with gzip." };
        var proxy = new Option<string[]>("--proxy")
        {
            Description = "An address or network that Docker Hub sees of the proxy, as 203.0.113.7 or 203.0.113.0/28; several are possible.",
            HelpName = "ADDRESS",
            Arity = ArgumentArity.OneOrMore,
            AllowMultipleArgumentsPerToken = true,
            Required = true,
        };
        var since = new Option<string?>("--since") { Description = "Pulls of this last time alone: 12h, 30d.", HelpName = "DURATION" };
        var ranges = new Option<bool>("--ranges") { Description = "Tell addresses by their /24, those of IPv6 by their /64." };
        var csv = new Option<bool>("--csv") { Description = "Print CSV (RFC 4180) that a spreadsheet runs nothing of." };
        var json = Verb.Json();
        var command = new Command("coverage", "Tells from Docker Hub's usage report who pulls past the proxy: by address and user. Exit code 1 when somebody does.")
        {
            report, proxy, since, ranges, csv, json,
        };
        Verb.SetAction(command, async (parsed, cancellationToken) =>
        {
            if (parsed.GetValue(csv) && parsed.GetValue(json))
                throw new MisuseException("--csv does not go with --json");
            var from = parsed.GetValue(since) is { } duration ? TimeProvider.System.GetUtcNow() - PolicyCommands.Duration(duration) : (DateTimeOffset?)null;
            var coverage = new UsageCoverage([.. parsed.GetValue(proxy)!.Select(Network)], parsed.GetValue(ranges), from);
            var (path, output) = (parsed.GetValue(report)!, parsed.InvocationConfiguration.Output);
            var read = await DockerUsageReport.ReadAsync(
                path, needsAddresses: true, coverage.Take, new ProgressLine(TimeProvider.System, parsed.InvocationConfiguration.Error), cancellationToken);
            if (parsed.GetValue(json))
                await coverage.WriteJsonAsync(output, read);
            else if (parsed.GetValue(csv))
                await coverage.WriteCsvAsync(output, read, parsed.InvocationConfiguration.Error);
            else
                await coverage.WriteAsync(output, read, Verb.Shown(path));
            return coverage._outside + coverage._mixed == 0 ? Verb.Yes : Verb.No;
        });
        return command;
    }

    public void Take(DockerUsageRow row)
    {
        if (row.Requests == 0 || row.Time < since)
            return;
        var found = row.Addresses.Split(Between, StringSplitOptions.RemoveEmptyEntries).Select(Find).OfType<IPAddress>().Distinct().ToList();
        var others = found.FindAll(address => !proxies.Any(proxy => proxy.Contains(address)));
        if (found.Count == 0)
            _unknown += row.Requests;
        else if (others.Count == 0)
            _through += row.Requests;
        else if (others.Count == found.Count)
            _outside += row.Requests;
        else
            _mixed += row.Requests;
        foreach (var address in others.Select(Shown).Distinct())
            Add((address, row.User.Length == 0 ? "anonymous" : row.User), row);
    }

    /// <exception cref="MisuseException">It is neither an address nor a network.</exception>
    private static IPNetwork Network(string text)
    {
        if (IPAddress.TryParse(text, out var parsed) && PublicAddress.Plain(parsed) is var address)
            return new IPNetwork(address, address.GetAddressBytes().Length * 8);
        return IPNetwork.TryParse(text, out var network) ? network
            : throw new MisuseException($"--proxy: '{text}' is neither an address nor a network, as 203.0.113.7 or 203.0.113.0/28 (without a bit beyond its length)");
    }

    private static string Number(long number) => number.ToString("N0", CultureInfo.InvariantCulture);

    private static string Hour(DateTimeOffset time) => time.ToString("yyyy-MM-dd HH:mm'Z'", CultureInfo.InvariantCulture);

    private void Add((string Address, string User) key, DockerUsageRow row)
    {
        if (_around.TryGetValue(key, out var bypass))
            _around[key] = bypass with { Pulls = bypass.Pulls + row.Requests, Last = row.Time > bypass.Last ? row.Time : bypass.Last };
        else if (_around.Count < maximum)
            _around.Add(key, new Bypass(key.Address, key.User, row.Requests, row.Time));
        else
            _beyond += row.Requests;
    }

    /// <summary>Most lines have an address that another had already.</summary>
    private IPAddress? Find(string text)
    {
        if (_addresses.TryGetValue(text, out var known))
            return known;
        var address = IPAddress.TryParse(text, out var parsed) ? PublicAddress.Plain(parsed) : null;
        if (_addresses.Count < maximum)
            _addresses.Add(text, address);
        return address;
    }

    private string Shown(IPAddress address) => byRange ? AddressRange.Of(address).ToString() : address.ToString();

    private List<Bypass> Rows() => [.. _around.Values.OrderByDescending(row => row.Pulls).ThenBy(row => row.Address, StringComparer.Ordinal).ThenBy(row => row.User, StringComparer.Ordinal)];

    /// <summary>Of the pulls whose address is known, those that came from the proxy alone; null for none.</summary>
    private double? Share() => _through + _outside + _mixed is > 0 and var known ? Math.Round(100.0 * _through / known, 1) : null;

    private Task WriteJsonAsync(TextWriter output, DockerUsageReport read) => Verb.WriteJsonAsync(output, new
    {
        read.Lines,
        read.Malformed,
        read.Flawed,
        Through = _through,
        Around = _outside,
        Mixed = _mixed,
        WithoutAddress = _unknown,
        Beyond = _beyond,
        ThroughPercent = Share(),
        Items = Rows(),
    });

    /// <summary>What does not stand in the rows is told beside them.</summary>
    private async Task WriteCsvAsync(TextWriter output, DockerUsageReport read, TextWriter error)
    {
        await Csv.WriteAsync(
            output,
            [["address", "user", "pulls", "last"], .. Rows().Select(row => new[] { row.Address, row.User, row.Pulls.ToString(CultureInfo.InvariantCulture), row.Last.ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture) })]);
        foreach (var note in Notes(read).Prepend(Conclusion()))
            await error.WriteLineAsync(TextTable.Plain($"imageaccess: note: {note}"));
    }

    private async Task WriteAsync(TextWriter output, DockerUsageReport read, string path)
    {
        await output.WriteLineAsync(TextTable.Plain($"{path}: {Conclusion()}"));
        var rows = Rows();
        if (rows.Count > 0)
        {
            var table = new TextTable(">PULLS", "LAST", byRange ? "RANGE" : "ADDRESS", "USER");
            foreach (var row in rows.Take(PolicyReplay.MaximumRows))
                table.Add(Number(row.Pulls), Hour(row.Last), row.Address, row.User);
            if (rows.Count > PolicyReplay.MaximumRows)
                table.Note($"and {TextTable.Count(rows.Count - PolicyReplay.MaximumRows, "row")} more; --csv and --json have them all");
            await output.WriteLineAsync();
            await table.WriteAsync(output);
            await output.WriteLineAsync();
        }

        foreach (var note in Notes(read))
            await TextTable.WriteWrappedAsync(output, TextTable.Plain(note), "");
    }

    private string Conclusion() => Share() is { } share
        ? string.Create(CultureInfo.InvariantCulture, $"{share:0.0} % of {_through + _outside + _mixed:N0} pulls came through the proxy, {_outside:N0} went round it")
        : "no pull with an address";

    private IEnumerable<string> Notes(DockerUsageReport read)
    {
        if (_mixed > 0)
            yield return $"{TextTable.Count(_mixed, "pull")} of lines with addresses of the proxy and others, which the report does not tell apart: they count for each of the others, and not as through the proxy";
        if (_unknown > 0)
            yield return $"{TextTable.Count(_unknown, "pull")} of lines without an address are left out";
        if (_beyond > 0)
            yield return $"{TextTable.Count(_beyond, "pull")} of further addresses and users are in the share alone: more rows are not kept in memory";
        if (read.Malformed > 0)
            yield return $"{TextTable.Count(read.Malformed, "line")} could not be read: {string.Join("; ", read.Flawed)}";
    }

    private sealed record Bypass(string Address, string User, long Pulls, DateTimeOffset Last);
}
