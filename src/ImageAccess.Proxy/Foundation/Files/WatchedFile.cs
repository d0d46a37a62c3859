using System.Security.Cryptography;

namespace ImageAccess.Proxy.Foundation.Files;

/// <summary>What somebody made of a file's content.</summary>
internal interface IFileContent
{
    /// <summary>Why it cannot be used, as what follows the path in a sentence; null when it can.</summary>
    string? Flaw { get; }
}

/// <summary>What a look at a file brought.</summary>
internal enum FileChange
{
    /// <summary>Nothing that was not known before.</summary>
    None,

    /// <summary>Another content is in use.</summary>
    Accepted,

    /// <summary>The content, or the cause why there is none, is refused for the first time.</summary>
    Refused,

    /// <summary>What was refused is gone: the file holds again what is in use.</summary>
    Recovered,
}

/// <summary>
/// A file, or several that count together, looked at again and again. The content alone tells a change, never the time or the length:
/// so it is seen whichever way the file was changed. What cannot be used is refused, and the last good content stays in use.
/// Its owner looks at fixed times, never twice at once, and logs what the look brought. After the first look, what is wrong is refused when
/// two looks have found it the same: a file may be looked at while somebody writes it, and several files are not exchanged at once.
/// </summary>
/// <param name="files">The files.</param>
/// <param name="parse">Makes the content of what was read of each file; it keeps no bytes of a reading.</param>
internal sealed class WatchedFile<T>(IReadOnlyList<IReadable> files, Func<IReadOnlyList<FileReading>, T> parse)
    where T : class, IFileContent
{
    private volatile T? _current;
    private volatile T? _refusal;
    private string? _accepted;
    private string? _refused;
    private string? _suspect;
    private bool _hasLooked;

    public WatchedFile(IReadable file, Func<FileReading, T> parse)
        : this([file], readings => parse(readings[0]))
    {
    }

    /// <summary>Where nothing has been in use yet, files that are not there are no fault.</summary>
    public bool IsOptional { get; init; }

    /// <summary>The same content may be refused now and good later, or for another cause: it is parsed at each look.</summary>
    public bool ChangesWithTime { get; init; }

    /// <summary>What is in use; null where nothing good was found yet.</summary>
    public T? Current => _current;

    /// <summary>What the files hold now, where that is refused; null when all is well.</summary>
    public T? Refusal => _refusal;

    /// <summary>The last look found none of the files.</summary>
    public bool IsMissing { get; private set; }

    public FileChange Look()
    {
        var readings = files.Select(file => file.Read()).ToArray();
        var stamp = StampOf(readings);
        var isFirst = !_hasLooked;
        _hasLooked = true;
        IsMissing = Array.TrueForAll(readings, reading => reading.IsMissing);
        if (stamp == _accepted || (IsMissing && IsOptional && _current is null))
            return Recover();
        if (stamp == _refused && !ChangesWithTime)
            return FileChange.None;

        var content = parse(readings);
        if (content.Flaw is null)
        {
            Use(content, stamp);
            return FileChange.Accepted;
        }

        if (!isFirst && stamp != _suspect)
        {
            _suspect = stamp;
            return FileChange.None;
        }

        return Refuse(content, stamp);
    }

    /// <summary>Puts the content of another reading in use, as if the files had held it: that of a copy, kept for a restart.</summary>
    /// <returns>What was made of it; it is in use unless it has a flaw.</returns>
    public T Restore(FileReading copy)
    {
        var content = parse([copy]);
        if (content.Flaw is null)
            Use(content, StampOf(copy));
        return content;
    }

    private void Use(T content, string stamp)
    {
        (_accepted, _refused, _suspect) = (stamp, null, null);
        (_current, _refusal) = (content, null);
    }

    private FileChange Refuse(T content, string stamp)
    {
        var isKnown = stamp == _refused && content.Flaw == _refusal?.Flaw;
        (_refused, _suspect) = (stamp, stamp);
        _refusal = content;
        return isKnown ? FileChange.None : FileChange.Refused;
    }

    private FileChange Recover()
    {
        (_refused, _suspect) = (null, null);
        if (_refusal is null)
            return FileChange.None;
        _refusal = null;
        return FileChange.Recovered;
    }

    private static string StampOf(params ReadOnlySpan<FileReading> readings)
    {
        var stamps = new string[readings.Length];
        for (var i = 0; i < stamps.Length; i++)
            stamps[i] = readings[i].Bytes is { } bytes ? Convert.ToHexString(SHA256.HashData(bytes.Span)) : readings[i].Failure;
        return string.Join('\n', stamps);
    }
}
