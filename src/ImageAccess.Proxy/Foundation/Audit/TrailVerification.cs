using System.Runtime.ExceptionServices;
using System.Text.Json;

namespace ImageAccess.Proxy.Foundation.Audit;

/// <summary>What verifying the files of one trail has shown.</summary>
internal sealed class VerifiedTrail
{
    /// <summary>Faults that are named; the others are counted.</summary>
    public const int MaximumFaults = 100;

    private readonly List<string> _faults = [];
    private readonly List<string> _notes = [];

    public int Files { get; set; }

    /// <summary>Lines that have their place in the chain.</summary>
    public long Lines { get; set; }

    /// <summary>Lines from before there was a chain.</summary>
    public long Older { get; set; }

    public long? First { get; set; }

    public long? Last { get; set; }

    /// <summary>The last checkpoint: up to which line somebody vouches, and when.</summary>
    public long? SignedUpTo { get; set; }

    public string? SignedAt { get; set; }

    /// <summary>What is not as usual, and may have good reasons.</summary>
    public IReadOnlyList<string> Notes => _notes;

    public IReadOnlyList<string> Faults => _faults;

    public long FaultsInAll { get; private set; }

    public void Note(string text)
    {
        if (_notes.Count < MaximumFaults)
            _notes.Add(text);
    }

    public void Fault(string text)
    {
        FaultsInAll++;
        if (_faults.Count < MaximumFaults)
            _faults.Add(text);
    }
}

/// <summary>Reads the files of one trail in the order of its chain, and finds what was changed, removed or inserted since it was written.</summary>
/// <param name="keys">By which checkpoints may be signed.</param>
/// <param name="isComplete">No file may be missing between others.</param>
internal sealed class TrailVerification(IReadOnlyList<PublicAuditKey> keys, bool isComplete)
{
    private readonly VerifiedTrail _verified = new();
    private ChainLink? _last;
    private (ChainLink Link, string At)? _torn;
    private ChainLink? _head;
    private bool _isClosed;
    private string _file = "";

    /// <param name="paths">The files, in any order; those of one trail; with <paramref name="trail"/> they are those that there are of it.</param>
    /// <param name="trail">The file that is written at the moment, whose end must be there; null where these are only some of its files.</param>
    /// <exception cref="IOException">One cannot be read.</exception>
    /// <exception cref="UnauthorizedAccessException">One may not be read.</exception>
    public async Task<VerifiedTrail> RunAsync(IReadOnlyList<string> paths, string? trail, CancellationToken cancellationToken)
    {
        _head = trail is null ? null : AuditHead.Read(trail); // before the files: they are ahead of it
        var files = trail is null ? await OpenAsync(paths, cancellationToken) : await TrailFiles.OpenAllAsync(trail, Damaged, cancellationToken);
        try
        {
            var parts = await OrderAsync(files, isOrdered: trail is not null, cancellationToken);
            foreach (var part in parts)
                await VerifyAsync(part, parts, cancellationToken);
            _verified.Files = files.Count;
        }
        finally
        {
            await TrailFiles.CloseAsync(files);
        }

        if (_torn is { } torn)
            _verified.Note($"{torn.At} was torn by a crash");
        if (trail is not null && _verified.Lines > 0)
            CompareEnd(trail);
        _verified.Last = _last?.Sequence;
        return _verified;
    }

    private async Task<List<(string Path, TrailFile File)>> OpenAsync(IReadOnlyList<string> paths, CancellationToken cancellationToken)
    {
        var files = new List<(string Path, TrailFile File)>();
        foreach (var path in paths)
        {
            try
            {
                files.Add((path, await TrailFile.OpenAsync(path, cancellationToken)));
            }
            catch (InvalidDataException exception)
            {
                Damaged(path, exception);
            }
        }

        return files;
    }

    /// <summary>What is packed and damaged is a fault; what cannot be read at all is no answer.</summary>
    private void Damaged(string path, Exception exception)
    {
        if (exception is not InvalidDataException)
            ExceptionDispatchInfo.Throw(exception);
        _verified.Fault($"{path} is damaged: {exception.Message}");
    }

    /// <summary>In the order of the chain.</summary>
    private async Task<IReadOnlyList<Part>> OrderAsync(List<(string Path, TrailFile File)> files, bool isOrdered, CancellationToken cancellationToken)
    {
        var parts = new List<Part>();
        foreach (var (path, file) in files)
        {
            try
            {
                parts.Add(await Part.ReadAsync(path, file, cancellationToken));
                if (isOrdered && parts is [.., { First: { } before } older, { First: { } first }] && first < before)
                    _verified.Fault($"{older.Path} and {path} stand in each other's place: the second has the older lines");
            }
            catch (InvalidDataException exception)
            {
                Damaged(path, exception);
            }
        }

        return [.. parts.OrderBy(part => part.First ?? 0).ThenBy(part => part.FirstTime, StringComparer.Ordinal)];
    }

    private async Task VerifyAsync(Part part, IReadOnlyList<Part> all, CancellationToken cancellationToken)
    {
        _file = part.Path;
        if (part.First is { } first)
            Enter(first);
        else if (all.FirstOrDefault(other => other.First is not null) is { FirstTime: { } begun } && string.CompareOrdinal(part.FirstTime, begun) > 0)
            _verified.Fault($"{_file} has lost its chain: it is younger than the chain's beginning");

        var lines = await part.File.LinesFromAsync(0, cancellationToken);
        var number = 0L;
        var isChained = false;
        try
        {
            while (await lines.ReadAsync(cancellationToken) is { } line)
            {
                number++;
                if (line.IsTooLong)
                    _verified.Fault($"{_file}:{number} is longer than any event: it was inserted");
                else if (ChainedLine.TryParse(line.Bytes.Span, out var link, out var hashed))
                {
                    Verify(link, hashed, line.Bytes.Span, number, isFirst: !isChained);
                    isChained = true;
                }
                else if (isChained)
                    VerifyOther(line.Bytes, number);
                else
                    _verified.Older++;
            }
        }
        catch (InvalidDataException exception)
        {
            _verified.Fault($"{_file} is damaged after line {number}: {exception.Message}");
        }

        if (lines.Rest > 0)
            _verified.Note($"{_file} ends with a line that has no end: a crash, or it is being written");
    }

    /// <summary>The file begins with this line: does it follow the one before it?</summary>
    private void Enter(long first)
    {
        if (_last is not { } last)
            return;
        if (first <= last.Sequence)
            _verified.Fault($"{_file} begins with line {first} of the trail, which has been read already: it is a copy, stands in another file's place, or is of another trail");
        else if (first > last.Sequence + 1 && _isClosed && !isComplete)
            _verified.Note($"lines {last.Sequence + 1} to {first - 1} of the trail are not here: whole files are elsewhere, before {_file}");
        else if (first > last.Sequence + 1)
            _verified.Fault($"lines {last.Sequence + 1} to {first - 1} of the trail are missing before {_file}{(_isClosed ? "" : ": the end of the file before it was cut, or files are gone")}");
        if (first != last.Sequence + 1)
            (_last, _torn) = (null, null);
    }

    private void Verify(ChainLink link, byte[] hashed, ReadOnlySpan<byte> line, long number, bool isFirst)
    {
        var checkpoint = Checkpoint.TryRead(line);
        var before = isFirst && checkpoint is null ? null : _last ?? checkpoint?.Link;
        if (_torn is { } torn)
        {
            if (torn.Link.Follow(hashed) == link.Hash)
            {
                before = torn.Link;
                _verified.Note($"{torn.At} was torn by a crash");
            }
            else
            {
                _verified.Fault($"{torn.At} is no event, and no line vouches for it: it was inserted or damaged");
            }
        }

        if (before is not { } last)
            _verified.Fault($"{_file}:{number} is line {link.Sequence} of the trail and stands behind no checkpoint: lines before it were removed");
        else if (last.Follow(hashed) != link.Hash || link.Sequence != last.Sequence + 1)
        {
            _verified.Fault($"{_file}:{number} {Explain(link.Sequence, last.Sequence)}");
            before = null;
        }

        if (Checkpoint.Is(line))
            VerifySignature(checkpoint, before, link, number);
        if (link.Sequence == _head?.Sequence && link != _head)
            _verified.Fault($"{_file}:{number} is another line {link.Sequence} than the one that was written");

        _verified.First ??= link.Sequence;
        _verified.Lines++;
        (_last, _torn, _isClosed) = (link, null, checkpoint is not null);
    }

    private static string Explain(long sequence, long before) => sequence switch
    {
        _ when sequence == before + 1 => $"does not follow from the line before it: one of the two was changed (line {sequence} of the trail)",
        _ when sequence == before + 2 => $"does not follow from the line before it: line {before + 1} of the trail is missing",
        _ when sequence > before => $"does not follow from the line before it: lines {before + 1} to {sequence - 1} of the trail are missing",
        _ => $"is line {sequence} of the trail and comes after line {before}: it was inserted, or stands in the wrong place",
    };

    private void VerifySignature(SignedLink? checkpoint, ChainLink? before, ChainLink link, long number)
    {
        if (checkpoint is null)
            _verified.Fault($"{_file}:{number} is no whole checkpoint");
        else if (keys.FirstOrDefault(key => key.Id == checkpoint.Key) is not { } key)
            _verified.Fault($"{_file}:{number} is signed with the key {checkpoint.Key}, which is none of the given");
        else if (!key.Verifies(checkpoint.Content, checkpoint.Signature))
            _verified.Fault($"{_file}:{number} is a checkpoint whose signature is wrong");
        else if (before is not null && checkpoint.Link != before)
            _verified.Fault($"{_file}:{number} vouches for other lines before it than those that are here");
        else if (before is not null)
            (_verified.SignedUpTo, _verified.SignedAt) = (link.Sequence, checkpoint.Time);
    }

    private void VerifyOther(ReadOnlyMemory<byte> line, long number)
    {
        if (line.Length == 0 || IsObject(line))
            _verified.Fault($"{_file}:{number} has no place in the chain: it was inserted, or has lost it");
        else if ((_torn?.Link ?? _last) is { } last)
            _torn = (last.Over(line.Span), $"{_file}:{number}");
    }

    private static bool IsObject(ReadOnlyMemory<byte> line)
    {
        try
        {
            using var json = JsonDocument.Parse(line);
            return json.RootElement.ValueKind == JsonValueKind.Object;
        }
        catch (JsonException)
        {
            return false;
        }
    }

    private void CompareEnd(string trail)
    {
        if (_head is not { } head)
            _verified.Fault($"{AuditHead.PathOf(trail)} is missing or damaged: whether the end of the trail was cut is not known");
        else if (_last is { } last && last.Sequence < head.Sequence)
            _verified.Fault($"the end of the trail was cut: lines {last.Sequence + 1} to {head.Sequence} are missing");
    }

    /// <summary>A file that is open, and where it stands in the chain.</summary>
    /// <param name="First">The place of its first line that has one.</param>
    /// <param name="FirstTime">The time of that line, or else of its first event.</param>
    private sealed record Part(string Path, TrailFile File, long? First, string? FirstTime)
    {
        public static async Task<Part> ReadAsync(string path, TrailFile file, CancellationToken cancellationToken)
        {
            var lines = await file.LinesFromAsync(0, cancellationToken);
            string? time = null;
            while (await lines.ReadAsync(cancellationToken) is { } line)
            {
                if (ChainedLine.TryParse(line.Bytes.Span, out var link, out _))
                    return new Part(path, file, link.Sequence, TimeOf(line.Bytes) ?? time);
                time ??= TimeOf(line.Bytes);
            }

            return new Part(path, file, null, time);
        }

        private static string? TimeOf(ReadOnlyMemory<byte> line)
        {
            try
            {
                using var json = JsonDocument.Parse(line);
                return json.RootElement.ValueKind == JsonValueKind.Object && json.RootElement.TryGetProperty("time", out var time) ? time.GetString() : null;
            }
            catch (Exception exception) when (exception is JsonException or InvalidOperationException)
            {
                return null;
            }
        }
    }
}
