using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Foundation.Files;

namespace ImageAccess.Proxy.Policies.Store;

/// <summary>The policy document of the database as it was read last: for the store a file like another.</summary>
/// <param name="name">What a sentence calls the database.</param>
internal sealed class DatabaseDocument(string name) : IReadable
{
    private volatile Reading _last = new(null, null, null, FileReading.Failed("has not been read yet"));
    private volatile string? _failure;

    public string Name => name;

    /// <summary>Where the sequence was when it was read last; null until it has been read.</summary>
    public SequencePoint? Point => _last.Point;

    /// <summary>Who put the document there that was read last; null where there is none.</summary>
    public PolicyAuthor? Author => _last.Author;

    /// <summary>The version that was read last; null where there is none.</summary>
    public WrittenVersion? Version => _last.Version;

    public FileReading Read() => _failure is { } cause ? FileReading.Failed(cause) : _last.Document;

    public void Take(DocumentReading reading) =>
        (_last, _failure) = (new Reading(reading.Point, reading.Version, reading.Author, reading.Document), null);

    public void Confirm() => _failure = null;

    public void Fail(string cause) => _failure = cause;

    private sealed record Reading(SequencePoint? Point, WrittenVersion? Version, PolicyAuthor? Author, FileReading Document);
}

/// <summary>What a reading of the database found.</summary>
/// <param name="Point">Where the sequence of the policy was.</param>
/// <param name="Version">The version that is the document; null where none is.</param>
/// <param name="Document">Its bytes, or why there are none.</param>
internal sealed record DocumentReading(SequencePoint Point, WrittenVersion? Version, FileReading Document)
{
    /// <summary>Who put it there; null where none is.</summary>
    public PolicyAuthor? Author { get; init; }
}
