using System.Buffers;
using System.Globalization;
using System.IO.Pipelines;
using System.Text.Json;
using ImageAccess.Core.Classification;
using ImageAccess.Core.Oci;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Foundation.Audit;

namespace ImageAccess.Proxy.Policies.Decisions;

/// <summary>One kind of pull, which is counted: who pulled what, with which outcome.</summary>
/// <param name="Caller">As the trail names the caller.</param>
/// <param name="Memberships">What a token or a directory said of the caller, in the trail's words.</param>
/// <param name="Repository">The repository.</param>
/// <param name="Outcome"><c>allow</c>, <c>observe</c> or <c>deny</c>.</param>
/// <param name="Block">The number of the block that denied it; null where none did.</param>
/// <param name="IsOfException">An exception decided it, or that it is no approved image of one.</param>
internal sealed record Pull(string Caller, string Memberships, string Repository, string Outcome, long? Block = null, bool IsOfException = false)
{
    private const string Absent = "absent from ";

    /// <exception cref="FormatException">The text is no membership as the trail has it.</exception>
    public static Membership MembershipOf(string text) => text.Split(" of ") switch
    {
        ["owner", var organization] => new Membership(organization, OrganizationRole.Owner),
        ["member", var organization] => new Membership(organization, OrganizationRole.Member),
        [var absent] when absent.StartsWith(Absent, StringComparison.Ordinal) => new Membership(absent[Absent.Length..], OrganizationRole.None),
        _ => throw new FormatException($"'{text}' is none of: member of X, owner of X, absent from X"),
    };

    /// <summary>Of a line of the trail.</summary>
    /// <exception cref="FormatException">One of them is none.</exception>
    public static string MembershipsOf(JsonElement audit)
    {
        if (!audit.TryGetProperty("memberships", out var list))
            return "";
        // What is no organization's name is in no policy.
        var memberships = list.EnumerateArray().Select(membership => membership.GetString() ?? "").ToList();
        return string.Join(", ", memberships.Where(text => RepositoryName.IsComponent(MembershipOf(text).Organization)).Order(StringComparer.Ordinal));
    }

    public Caller ToCaller() => Caller == "anonymous"
        ? Core.Policies.Caller.Anonymous
        : Core.Policies.Caller.SignedIn(
            Caller, Caller, [.. Memberships.Split(", ", StringSplitOptions.RemoveEmptyEntries).Select(MembershipOf)]);

    public RepositoryName ToRepository() =>
        RepositoryName.TryParse(Repository, out var name) ? name : throw new InvalidOperationException(Repository);
}

/// <summary>
/// The pulls of an audit trail and of its rotated predecessors, or of a database that has taken them in, each kind once with its count. Lines that are no events are counted; the
/// last line may be incomplete, because the proxy may be writing it.
/// </summary>
internal sealed class AuditPulls : IPulls
{
    /// <summary>The largest line in bytes; an event has a tenth of it.</summary>
    private const int MaximumLine = 64 * 1024;

    /// <summary>The length in bytes from which the progress of reading is shown.</summary>
    private const long Long = 32 * 1024 * 1024;

    private readonly Dictionary<Pull, long> _requests = [];
    private readonly Dictionary<string, NamespaceBadge> _badges = new(StringComparer.Ordinal);
    private readonly Dictionary<string, string> _texts = new(StringComparer.Ordinal);
    private readonly DateTimeOffset? _since;
    private readonly int _maximum;

    /// <param name="since">Earlier events do not count; null for all.</param>
    /// <param name="maximum">How many kinds of pulls are kept in memory.</param>
    public AuditPulls(DateTimeOffset? since, int maximum) => (_since, _maximum) = (since, maximum);

    /// <summary>Where they were read.</summary>
    public PullSource Source { get; init; } = PullSource.AuditFiles;

    public string? NotInDatabase { get; set; }

    public IReadOnlyDictionary<Pull, long> Requests => _requests;

    public long Malformed { get; private set; }

    /// <summary>Denials beyond a client's share of the trail: they are counted there, without a repository.</summary>
    public long Unnamed { get; private set; }

    /// <summary>Requests of further kinds than were to be kept.</summary>
    public long Beyond { get; private set; }

    public DateTimeOffset? First { get; private set; }

    public DateTimeOffset? Last { get; private set; }

    /// <param name="path">The trail.</param>
    /// <param name="since">Earlier events do not count; null for all.</param>
    /// <param name="progress">Told now and then how far a long trail is read.</param>
    /// <param name="maximum">How many kinds of pulls are kept in memory.</param>
    /// <exception cref="IOException">The trail cannot be read.</exception>
    /// <exception cref="UnauthorizedAccessException">It may not be read.</exception>
    public static async Task<AuditPulls> ReadAsync(
        string path, DateTimeOffset? since, TextWriter progress, CancellationToken cancellationToken, int maximum = int.MaxValue)
    {
        var pulls = new AuditPulls(since, maximum);
        var files = new List<FileStream>();
        var (total, read, told) = (0L, 0L, 0L);
        try
        {
            OpenAll(path, since, files);
            total = files.Sum(file => file.Length);
            foreach (var file in Enumerable.Reverse(files))
                await pulls.ReadAsync(file, TellAsync, cancellationToken);
        }
        finally
        {
            foreach (var file in files)
                await file.DisposeAsync();
        }

        return pulls;

        async ValueTask TellAsync(long bytes)
        {
            read += bytes;
            if (total < Long || read * 10 / total <= told)
                return;
            told = read * 10 / total;
            await progress.WriteLineAsync(
                string.Create(CultureInfo.InvariantCulture, $"read {Math.Min(100, told * 10)} % of {total / 1024 / 1024} MiB"));
        }
    }

    /// <summary>What the trail knows about the publisher: the category of the namespace's last event.</summary>
    public PublisherFacts PublisherOf(RepositoryName repository) => _badges.TryGetValue(repository.Namespace, out var badge)
        ? PublisherFacts.Known(new NamespaceRecord(repository.Namespace, badge, "audit", DateTimeOffset.UnixEpoch))
        : PublisherFacts.NotAsked;

    private static FileStream Open(string path) => new(path, new FileStreamOptions
    {
        Mode = FileMode.Open,
        Access = FileAccess.Read,
        Share = FileShare.ReadWrite | FileShare.Delete,
        Options = FileOptions.SequentialScan | FileOptions.Asynchronous,
        BufferSize = 0,
    });

    /// <summary>
    /// The trail and its predecessors, the youngest first. They are opened in this order, so that none is missed when they are rotated
    /// meanwhile; one that was opened under two names is read once. A predecessor has the time of its last event: one that has none since then is left out.
    /// </summary>
    private static void OpenAll(string path, DateTimeOffset? since, List<FileStream> files)
    {
        files.Add(Open(path));
        var beginnings = new HashSet<string>(StringComparer.Ordinal);
        beginnings.Add(BeginningOf(files[0]));
        var numbers = RotatedFiles.PredecessorsOf(path).Select(file => file.Number).ToList();
        foreach (var number in numbers.Append(numbers.LastOrDefault() + 1))
        {
            var predecessor = string.Create(CultureInfo.InvariantCulture, $"{path}.{number}");
            if (!File.Exists(predecessor) || File.GetLastWriteTimeUtc(predecessor) < since?.UtcDateTime)
                continue;
            var file = Open(predecessor);
            if (beginnings.Add(BeginningOf(file)))
                files.Add(file);
            else
                file.Dispose();
        }
    }

    /// <summary>It has an event's id, so no two files have the same.</summary>
    private static string BeginningOf(FileStream file)
    {
        var bytes = new byte[512];
        return Convert.ToHexString(bytes, 0, RandomAccess.Read(file.SafeFileHandle, bytes, 0));
    }

    private async Task ReadAsync(FileStream file, Func<long, ValueTask> tell, CancellationToken cancellationToken)
    {
        var reader = PipeReader.Create(file, new StreamPipeReaderOptions(bufferSize: MaximumLine, leaveOpen: true));
        var tooLong = false;
        while (true)
        {
            var result = await reader.ReadAsync(cancellationToken);
            var rest = result.Buffer;
            while (rest.PositionOf((byte)'\n') is { } end)
            {
                if (tooLong)
                    Malformed++;
                else
                    Take(rest.Slice(0, end));
                tooLong = false;
                rest = rest.Slice(rest.GetPosition(1, end));
            }

            if (result.IsCompleted)
            {
                if (tooLong)
                    Malformed++;
                else
                    Take(rest);
                await reader.CompleteAsync();
                return;
            }

            if (rest.Length > MaximumLine)
            {
                tooLong = true;
                rest = rest.Slice(rest.End);
            }

            var consumed = result.Buffer.Length - rest.Length;
            reader.AdvanceTo(rest.Start, rest.End);
            await tell(consumed);
        }
    }

    private void Take(in ReadOnlySequence<byte> line)
    {
        if (line.IsEmpty)
            return;
        if (line.Length > MaximumLine)
        {
            Malformed++;
            return;
        }

        try
        {
            using var json = JsonDocument.Parse(line);
            Take(json.RootElement);
        }
        catch (Exception exception) when (exception is JsonException or FormatException or InvalidOperationException or KeyNotFoundException)
        {
            Malformed++;
        }
    }

    /// <exception cref="FormatException">It is no event; so say the others that reading JSON throws.</exception>
    private void Take(JsonElement audit)
    {
        var time = audit.GetProperty("time").GetDateTimeOffset();
        if (_since is { } since && time < since)
            return;
        var count = audit.TryGetProperty("count", out var merged) ? merged.GetInt32() : 1;
        if (count < 1)
            throw new FormatException("no count");
        if (audit.TryGetProperty("event", out var kind))
        {
            if (kind.GetString() == "denials")
                Unnamed += count;
            return;
        }

        var outcome = audit.GetProperty("outcome").GetString();
        if (outcome is not ("allow" or "observe" or "deny"))
            throw new FormatException("no outcome");
        if (audit.GetProperty("repository").GetString() is not { } name || !IsPull(audit))
            return;
        if (!RepositoryName.TryParse(name, out var repository))
            throw new FormatException("no repository");

        var pull = new Pull(
            audit.GetProperty("caller").GetString() is { Length: > 0 } caller ? caller : "anonymous",
            Pull.MembershipsOf(audit),
            repository.Value,
            outcome,
            audit.TryGetProperty("block", out var block) ? block.GetInt64() : null,
            audit.TryGetProperty("rule", out var rule) && rule.ValueEquals(PolicyRule.Exception));
        if (Add(pull, BegunBy(audit, count), time, time))
            SetType(repository, audit.GetProperty("category").GetString());
    }

    /// <summary>Pulls of one kind.</summary>
    /// <returns>Whether it is kept.</returns>
    public bool Add(Pull pull, long begun, DateTimeOffset first, DateTimeOffset last)
    {
        if (!Add(pull, begun))
            return false;
        First = First is { } earlier && earlier < first ? earlier : first;
        Last = Last is { } later && later > last ? later : last;
        return true;
    }

    /// <summary>What the last event of a namespace says of its publisher, in the trail's word.</summary>
    public void SetType(RepositoryName repository, string? type)
    {
        switch (type)
        {
            case "verified-publisher":
                _badges[Shared(repository.Namespace)] = NamespaceBadge.VerifiedPublisher;
                break;
            case "community":
                _badges[Shared(repository.Namespace)] = NamespaceBadge.None;
                break;
        }
    }

    private bool Add(Pull pull, long begun)
    {
        if (_requests.TryGetValue(pull, out var requests))
        {
            _requests[pull] = requests + begun;
            return true;
        }

        if (_requests.Count >= _maximum)
        {
            Beyond += begun;
            return false;
        }

        if (begun > 0)
            _requests.Add(new Pull(Shared(pull.Caller), Shared(pull.Memberships), Shared(pull.Repository), Shared(pull.Outcome), pull.Block, pull.IsOfException), begun);
        return true;
    }

    /// <summary>A request that reads, or one that was denied its token before it could ask the registry.</summary>
    private static bool IsPull(JsonElement audit) =>
        audit.GetProperty("method").GetString() is "GET" or "HEAD" || audit.GetProperty("reference").ValueKind == JsonValueKind.Null;

    /// <summary>Of the requests of one pull only the first counts; what is no part of a pull counts for itself.</summary>
    private static int BegunBy(JsonElement audit, int count)
    {
        if (audit.TryGetProperty("count", out _))
            return audit.TryGetProperty("pulls", out var pulls) ? pulls.GetInt32() : count;
        return !audit.TryGetProperty("pull", out var pull) || pull.GetString() == audit.GetProperty("id").GetString() ? 1 : 0;
    }

    /// <summary>The same text once, however many events have it.</summary>
    private string Shared(string text)
    {
        if (_texts.TryGetValue(text, out var shared))
            return shared;
        _texts.Add(text, text);
        return text;
    }
}

/// <summary>Where pulls were read.</summary>
internal enum PullSource
{
    AuditFiles,
    Database,

    /// <summary>Docker Hub's own.</summary>
    UsageReport,
}

internal static class PullSources
{
    public static string ToWireName(this PullSource source) => source switch
    {
        PullSource.Database => "database",
        PullSource.UsageReport => "usage report",
        _ => "audit files",
    };
}
