using System.Text.Json;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Foundation.Files;

namespace ImageAccess.Proxy.Administration.Changes;

/// <summary>
/// Records what was done in a table, whoever did it and by whichever process: read in the background. How far it has come is in a file, so that what was
/// done while the program did not run is recorded too.
/// </summary>
internal abstract class StepRecorder : DatabaseReader
{
    private const int MaximumSize = 4096;

    private readonly string _path;
    private readonly KeptCopy _copy;
    private SequencePoint? _told;
    private bool _isRead = true;

    /// <param name="database">Where the table is.</param>
    /// <param name="state">How the database is.</param>
    /// <param name="sequence">The table's sequence.</param>
    /// <param name="path">The file.</param>
    /// <param name="tellNotKept">Told the file and the cause, once until it can be written again.</param>
    /// <param name="time">The clock.</param>
    protected StepRecorder(SqlDatabase database, DatabaseState state, string sequence, string path, Action<string, string> tellNotKept, TimeProvider time)
        : base(database, state, sequence, time)
    {
        _path = path;
        _copy = new KeptCopy(path, tellNotKept);
        _told = ReadTold();
    }

    protected override SequencePoint? LastRead => _told;

    /// <summary>Records what came after one change of the table, up to another one: what comes while it reads is for the next time.</summary>
    protected abstract Task RecordAsync(long known, long last, CancellationToken cancellationToken);

    /// <summary>The table cannot be read; told once until it can.</summary>
    protected abstract void TellNotRead(string cause);

    /// <summary>Who is new to the database begins with what comes from now on; after a restore, whose numbers mean something else, it begins anew.</summary>
    protected override async Task ReadAsync(SequencePoint point, CancellationToken cancellationToken)
    {
        if (_told is { Value: var known } && known < point.Value)
            await RecordAsync(known, point.Value, cancellationToken);
        _told = point;
        _copy.Keep(JsonSerializer.SerializeToUtf8Bytes(new Recorded(point.Value, point.Change))); // after it was recorded: a kill between the two records it again
        Confirm();
    }

    protected override void Confirm() => _isRead = true;

    protected override void Fail(string cause)
    {
        if (_isRead)
            TellNotRead(cause);
        _isRead = false;
    }

    private SequencePoint? ReadTold()
    {
        try
        {
            return new WholeFile(_path, MaximumSize).Read().Bytes is { } bytes && JsonSerializer.Deserialize<Recorded>(bytes.Span) is { Change: { } change } kept
                ? new SequencePoint(kept.Value, change)
                : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }

    private sealed record Recorded(long Value, string Change);
}
