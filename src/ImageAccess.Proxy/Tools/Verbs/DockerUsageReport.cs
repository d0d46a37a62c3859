using System.Globalization;
using System.IO.Pipelines;
using CsvHelper;
using ImageAccess.Core.Oci;

namespace ImageAccess.Proxy.Tools.Verbs;

/// <summary>A line of Docker Hub's usage report.</summary>
/// <param name="Time">The hour or the day.</param>
/// <param name="User">The user name in lower case; empty where nobody had signed in.</param>
/// <param name="Repository">With its namespace.</param>
/// <param name="Requests">The pulls; where there are none, the version checks.</param>
/// <param name="Addresses">As they stand there.</param>
internal sealed record DockerUsageRow(DateTimeOffset Time, string User, RepositoryName Repository, long Requests, string Addresses);

/// <summary>
/// Reads Docker Hub's own usage report, whose columns are found by name: the one that is mailed, and the daily one. Lines that cannot be read are counted
/// and stop nothing.
/// </summary>
internal sealed class DockerUsageReport
{
    /// <summary>How many lines that cannot be read are named.</summary>
    public const int MaximumNamed = 5;

    private static readonly string[] Times = ["datehour", "day", "date_hour", "date", "hour", "timestamp", "time"];
    private static readonly string[] Users = ["user_name", "hub_username", "username", "user", "hub_user_name"];
    private static readonly string[] Repositories = ["repository", "image_repository", "repository_name", "repo", "image"];
    private static readonly string[] Namespaces = ["namespace", "repository_namespace", "hub_namespace"];
    private static readonly string[] Pulls = ["pulls", "pull_count", "pulls_count", "image_pulls", "total_pulls", "num_pulls"];
    private static readonly string[] Checks = ["version_checks", "version_check_count", "version_checks_count", "version_check", "num_version_checks"];
    private static readonly string[] Ips = ["ips", "ip", "ip_address", "ip_addresses", "client_ip", "source_ip", "remote_ip", "address", "addresses"];

    private static readonly string[] Moments =
        ["yyyy/MM/dd/HH", "yyyy/MM/dd", "yyyy-MM-dd", "yyyy-MM-dd-HH", "yyyy-MM-dd HH", "yyyy-MM-dd HH:mm:ss", "yyyy-MM-dd HH:mm:ss 'UTC'", "yyyy-MM-dd'T'HH:mm:ssK", "yyyy-MM-dd'T'HH:mm:ss.FFFFFFFK"];

    private readonly SortedList<long, string> _flawed = [];
    private readonly string _path;

    private DockerUsageReport(string path) => _path = path;

    public long Lines { get; private set; }

    public long Malformed { get; private set; }

    /// <summary>The first lines that cannot be read, by number, and why.</summary>
    public IReadOnlyList<string> Flawed => [.. _flawed.Select(line => string.Create(CultureInfo.InvariantCulture, $"line {line.Key} {line.Value}"))];

    /// <param name="path">The file, packed with gzip or not.</param>
    /// <param name="needsAddresses">The report is of no use without them.</param>
    /// <param name="take">Given each line that can be read.</param>
    /// <exception cref="MisuseException">The file cannot be read, or has no such columns.</exception>
    public static async Task<DockerUsageReport> ReadAsync(string path, bool needsAddresses, Action<DockerUsageRow> take, ProgressLine progress, CancellationToken cancellationToken)
    {
        var report = new DockerUsageReport(path);
        using var ended = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        try
        {
            await using var file = DockerUsageLines.Open(path);
            var pipe = new Pipe();
            var writing = Task.Run(() => new DockerUsageLines(file, report.Flaw).WriteAsync(pipe.Writer, ended.Token), CancellationToken.None);
            try
            {
                await report.ReadAsync(pipe.Reader.AsStream(), needsAddresses, take, () => progress.Report($"{Path.GetFileName(path)}: {Percent(file)} % read, {report.Lines:N0} lines"), cancellationToken);
            }
            finally
            {
                await ended.CancelAsync();
                await pipe.Reader.CompleteAsync();
                await writing;
            }
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or InvalidDataException or CsvFormatException)
        {
            throw new MisuseException($"{Verb.Shown(path)} cannot be read: {exception.Message}");
        }

        return report;
    }

    private static long Percent(FileStream file) => file.Length == 0 ? 100 : file.Position * 100 / file.Length;

    private static string Key(string column) => column.Trim().Trim('\uFEFF', '"', '\'').Trim().ToLowerInvariant().Replace(' ', '_').Replace('-', '_');

    private async Task ReadAsync(Stream content, bool needsAddresses, Action<DockerUsageRow> take, Action tell, CancellationToken cancellationToken)
    {
        await using var csv = CsvReader.Create(content, new CsvReaderOptions
        {
            TrackLineNumbers = true,
            IncludeValuesInExceptions = false,
            MaxRecordSize = 2 * DockerUsageLines.MaximumRecord,
            PoolStrings = true,
            MalformedData = CsvMalformedDataHandling.Skip,
            FieldCountMismatch = CsvFieldCountHandling.Skip,
            OnMalformedRecord = record => Flaw(
                record.LineNumber,
                record.Reason == CsvMalformedReason.FieldCountMismatch ? "has another number of cells than the header" : "has a quote where none can be",
                1 + record.RawRecord.Count(character => character == '\n')),
        });
        await csv.ReadHeaderAsync(cancellationToken);
        var columns = Columns.Of(csv.Headers, needsAddresses, Verb.Shown(_path));
        while (await csv.ReadAsync(cancellationToken))
        {
            Lines++;
            if (columns.TryRead(csv, out var row, out var flaw))
                take(row);
            else
                Flaw(csv.LineNumber, flaw);
            if (Lines % 1000 == 0)
                tell();
        }
    }

    private void Flaw(long line, string what) => Flaw(line, what, 1);

    /// <summary>Also from beside, where the lines are prepared, some of them ahead of the others.</summary>
    private void Flaw(long line, string what, long lines)
    {
        lock (_flawed)
        {
            Malformed += lines;
            _flawed.TryAdd(line, what);
            if (_flawed.Count > MaximumNamed)
                _flawed.RemoveAt(MaximumNamed);
        }
    }

    /// <summary>Where in a line what stands; -1 for nowhere.</summary>
    private sealed record Columns(int Time, int User, int Repository, int Namespace, int Pulls, int Checks, int Addresses)
    {
        public static Columns Of(IReadOnlyList<string> headers, bool needsAddresses, string path)
        {
            var keys = headers.Select(Key).ToList();
            var missing = new List<string>();
            var columns = new Columns(Find(Times, true), Find(Users, true), Find(Repositories, true), Find(Namespaces, false), Find(DockerUsageReport.Pulls, true), Find(DockerUsageReport.Checks, false), Find(Ips, needsAddresses));
            return missing.Count == 0 ? columns
                : throw new MisuseException($"{path} has no column {string.Join(", and none ", missing)}; its header is: {Shown(string.Join(", ", headers))}");

            int Find(string[] names, bool isNeeded)
            {
                foreach (var name in names)
                {
                    var index = keys.IndexOf(name);
                    if (index < 0)
                        continue;
                    return keys.LastIndexOf(name) == index ? index : throw new MisuseException($"{path} has the column {name} twice");
                }

                if (isNeeded)
                    missing.Add($"{names[0]} (or {string.Join(", ", names[1..])})");
                return -1;
            }
        }

        public bool TryRead(CsvReader csv, out DockerUsageRow row, out string flaw)
        {
            (row, flaw) = (null!, "");
            var user = csv.GetString(User).Trim().ToLowerInvariant();
            if (!DateTimeOffset.TryParseExact(
                    csv.GetString(Time).Trim(), Moments, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal | DateTimeStyles.AdjustToUniversal, out var time))
                flaw = "has no time";
            else if (user.Length > 0 && !AccountName.IsUser(user))
                flaw = "has no user name of Docker Hub";
            else if (!RepositoryName.TryParse(FullName(csv), out var repository))
                flaw = "has no repository";
            else if (!TryCount(csv, Pulls, out var pulls) || !TryCount(csv, Checks, out var checks))
                flaw = "has no number of pulls";
            else
                row = new DockerUsageRow(time, user, repository, pulls > 0 ? pulls : checks, Addresses < 0 ? "" : csv.GetString(Addresses));
            return flaw.Length == 0;
        }

        private static string Shown(string headers) => headers.Length == 0 ? "empty" : headers.Length <= 500 ? headers : headers[..500] + "…";

        private static bool TryCount(CsvReader csv, int column, out long count)
        {
            count = 0;
            var text = column < 0 ? "" : csv.GetString(column).Trim();
            return text.Length == 0 || (long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out count) && count <= int.MaxValue);
        }

        /// <summary>Official images may stand there without their namespace.</summary>
        private string FullName(CsvReader csv)
        {
            var name = csv.GetString(Repository).Trim();
            var space = Namespace < 0 ? "" : csv.GetString(Namespace).Trim();
            if (name.StartsWith("docker.io/", StringComparison.Ordinal))
                name = name["docker.io/".Length..];
            if (space is "" or "_")
                space = "library";
            return name.Contains('/', StringComparison.Ordinal) ? name : $"{space}/{name}";
        }
    }
}
