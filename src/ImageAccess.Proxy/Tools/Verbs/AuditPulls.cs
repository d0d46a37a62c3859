using System.Buffers;
using System.Globalization;
using System.IO.Pipelines;
using System.Text.Json;
using ImageAccess.Core.Classification;
using ImageAccess.Core.Oci;
using ImageAccess.Core.Policies;

namespace ImageAccess.Proxy.Tools.Verbs;

/// <summary>One kind of pull, which is counted: who pulled what, with which outcome.</summary>
/// <param name="Caller">As the trail names the caller.</param>
/// <param name="Memberships">What a token or a directory said of the caller, in the trail's words.</param>
/// <param name="Repository">The repository.</param>
/// <param name="Outcome"><c>allow</c>, <c>observe</c> or <c>deny</c>.</param>
internal sealed record Pull(string Caller, string Memberships, string Repository, string Outcome)
{
    public Caller ToCaller() => Caller == "anonymous"
        ? Core.Policies.Caller.Anonymous
        : Core.Policies.Caller.SignedIn(
            Caller, Caller, [.. Memberships.Split(", ", StringSplitOptions.RemoveEmptyEntries).Select(PolicyCase.MembershipOf)]);

    public RepositoryName ToRepository() =>
        RepositoryName.TryParse(Repository, out var name) ? name : throw new InvalidOperationException(Repository);
}

/// <summary>
/// The pulls of an audit trail and of its rotated predecessor, each kind once with its count. Lines that are no events are counted; the
/// last line may be incomplete, because the proxy may be writing it.
/// </summary>
internal sealed class AuditPulls
{
    /// <summary>The largest line in bytes; an event has a tenth of it.</summary>
    private const int MaximumLine = 64 * 1024;

    /// <summary>The length in bytes from which the progress of reading is shown.</summary>
    private const long Long = 32 * 1024 * 1024;

    private readonly Dictionary<Pull, long> _requests = [];
    private readonly Dictionary<string, NamespaceBadge> _badges = new(StringComparer.Ordinal);
    private readonly Dictionary<string, string> _texts = new(StringComparer.Ordinal);
    private readonly DateTimeOffset? _since;

    private AuditPulls(DateTimeOffset? since) => _since = since;

    public IReadOnlyDictionary<Pull, long> Requests => _requests;

    public long Malformed { get; private set; }

    public DateTimeOffset? First { get; private set; }

    public DateTimeOffset? Last { get; private set; }

    /// <param name="path">The trail.</param>
    /// <param name="since">Earlier events do not count; null for all.</param>
    /// <param name="progress">Told now and then how far a long trail is read.</param>
    /// <exception cref="MisuseException">The trail cannot be read.</exception>
    public static async Task<AuditPulls> ReadAsync(
        string path, DateTimeOffset? since, TextWriter progress, CancellationToken cancellationToken)
    {
        var pulls = new AuditPulls(since);
        try
        {
            // The trail is opened first, so that it is read once even when it is rotated now.
            await using var trail = Open(path);
            await using var predecessor = File.Exists(path + ".1") ? Open(path + ".1") : null;
            var total = trail.Length + (predecessor?.Length ?? 0);
            var read = 0L;
            var told = 0L;
            foreach (var file in new[] { IsSame(predecessor, trail) ? null : predecessor, trail })
            {
                if (file is not null)
                    await pulls.ReadAsync(file, TellAsync, cancellationToken);
            }

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
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new MisuseException(File.Exists(path)
                ? $"{path} cannot be read: {exception.Message}"
                : $"{path} does not exist; name an audit trail with --audit");
        }

        return pulls;
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

    private static bool IsSame(FileStream? one, FileStream other)
    {
        if (one is null)
            return false;
        var (first, second) = (new byte[512], new byte[512]);
        var (count, otherCount) = (RandomAccess.Read(one.SafeFileHandle, first, 0), RandomAccess.Read(other.SafeFileHandle, second, 0));
        return count > 0 && first.AsSpan(0, count).SequenceEqual(second.AsSpan(0, otherCount));
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
        if (audit.TryGetProperty("event", out _) || (_since is { } since && time < since))
            return;

        var outcome = audit.GetProperty("outcome").GetString();
        if (outcome is not ("allow" or "observe" or "deny"))
            throw new FormatException("no outcome");
        if (audit.GetProperty("repository").GetString() is not { } name || !IsPull(audit))
            return;
        if (!RepositoryName.TryParse(name, out var repository))
            throw new FormatException("no repository");

        var pull = new Pull(
            Shared(audit.GetProperty("caller").GetString() is { Length: > 0 } caller ? caller : "anonymous"),
            Shared(MembershipsOf(audit)),
            Shared(repository.Value),
            Shared(outcome));
        _requests[pull] = _requests.GetValueOrDefault(pull) + 1;
        First = First is { } first && first < time ? first : time;
        Last = Last is { } last && last > time ? last : time;
        switch (audit.GetProperty("category").GetString())
        {
            case "verified-publisher":
                _badges[Shared(repository.Namespace)] = NamespaceBadge.VerifiedPublisher;
                break;
            case "community":
                _badges[Shared(repository.Namespace)] = NamespaceBadge.None;
                break;
        }
    }

    /// <summary>A request that reads, or one that was denied its token before it could ask the registry.</summary>
    private static bool IsPull(JsonElement audit) =>
        audit.GetProperty("method").GetString() is "GET" or "HEAD" || audit.GetProperty("reference").ValueKind == JsonValueKind.Null;

    private static string MembershipsOf(JsonElement audit)
    {
        if (!audit.TryGetProperty("memberships", out var list))
            return "";
        // What is no organization's name is in no policy.
        var memberships = list.EnumerateArray().Select(membership => membership.GetString() ?? "").ToList();
        return string.Join(
            ", ", memberships.Where(text => RepositoryName.IsComponent(PolicyCase.MembershipOf(text).Organization)).Order(StringComparer.Ordinal));
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
