using ImageAccess.Core.Classification;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Policies.Catalog;

/// <summary>
/// Categories pinned by hand, which nobody contradicts. A file that cannot be used, or that vanished, is refused and what
/// was accepted last stays, also over a restart.
/// </summary>
public sealed class FileCatalogSource(IOptions<CatalogOptions> options, TimeProvider time, ILogger<FileCatalogSource> logger) : ICatalogSource
{
    /// <summary>What the file may measure, in bytes.</summary>
    private const int MaximumSize = 4 * 1024 * 1024;

    private const int MaximumProblems = 100;
    private const string Missing = "does not exist";

    private volatile Snapshot _current = new(CatalogPins.None, DateTimeOffset.MinValue);
    private byte[]? _accepted;
    private byte[]? _refused;
    private bool _keepAgain;
    private volatile string? _refusal;
    private volatile string? _notKept;
    private IReadOnlyList<string> _problems = [];
    private byte[] _buffer = new byte[8 * 1024];

    public CatalogPins Current => _current.Pins;

    /// <summary>Why this is not what was written last; null when all is well.</summary>
    public string? Concern => _refusal ?? _notKept;

    private string Document => options.Value.PinsPath;

    private string Copy => options.Value.PinsCopyPath;

    public NamespaceRecord? Find(string @namespace)
    {
        var current = _current;
        return current.Pins.Find(@namespace) is { } pin ? new NamespaceRecord(@namespace, pin.Badge, "file", current.Since) : null;
    }

    public Task<CatalogAnswer?> AskAsync(string @namespace, string caller, CancellationToken cancellationToken) => Task.FromResult<CatalogAnswer?>(null);

    /// <summary>Puts the first pins in force.</summary>
    /// <exception cref="OptionsValidationException">There are none that can be used, and there should be.</exception>
    public void Open()
    {
        if (Read(Copy) is { Bytes: { } kept } && CatalogPins.Read(kept, out _) is { } pins)
        {
            _accepted = kept.ToArray();
            _current = new Snapshot(pins, time.GetUtcNow());
        }

        Refresh();
        if (_accepted is null && _refusal is not null)
        {
            var failures = _problems.Select(problem => $"Catalog:File: {Document}: {problem}").DefaultIfEmpty($"Catalog:File: {_refusal}");
            throw new OptionsValidationException(nameof(CatalogOptions), typeof(CatalogOptions), failures);
        }
    }

    /// <summary>Reads the file again; what it says is in force when this returns, unless it was refused.</summary>
    public void Refresh()
    {
        var reading = Read(Document);
        if (reading.Bytes is not { } bytes)
        {
            _refused = null;
            if (_accepted is not null || options.Value.File is not null || reading.Failure != Missing)
                Refuse(reading.Failure, []);
        }
        else if (Same(bytes, _accepted))
        {
            if (_refusal is not null)
                logger.PinsRecovered(Document);
            (_refused, _refusal) = (null, null);
        }
        else if (!Same(bytes, _refused))
        {
            if (CatalogPins.Read(bytes, out var problems) is { } pins)
                Accept(bytes, pins);
            else
                Refuse(bytes, problems);
        }

        if (_keepAgain)
            Keep();
    }

    private void Accept(ReadOnlyMemory<byte> bytes, CatalogPins pins)
    {
        (_accepted, _refused, _refusal) = (bytes.ToArray(), null, null);
        _current = new Snapshot(pins, time.GetUtcNow());
        logger.PinsAccepted(pins.Count, Document);
        Keep();
    }

    private void Refuse(ReadOnlyMemory<byte> bytes, IReadOnlyList<string> problems)
    {
        _refused = bytes.ToArray();
        var more = problems.Count == 1 ? "" : $" (and {problems.Count - 1} more)";
        Refuse($"is refused: {PrintableText.Of(problems[0])}{more}", problems);
    }

    /// <summary>Said once for each cause.</summary>
    private void Refuse(string cause, IReadOnlyList<string> problems)
    {
        var refusal = $"{Document} {cause}";
        if (refusal == _refusal && problems.Count == 0)
            return;
        _refusal = refusal;
        _problems = [.. problems.Take(MaximumProblems).Select(PrintableText.Of)];
        logger.PinsRefused(Document, cause);
        foreach (var problem in _problems)
            logger.PinProblem(Document, problem);
    }

    /// <summary>Old or new, never a part: written aside, brought to disk, renamed.</summary>
    private void Keep()
    {
        try
        {
            Directory.CreateDirectory(options.Value.DataDirectory);
            var aside = Copy + ".new";
            using (var file = new FileStream(aside, FileMode.Create, FileAccess.Write))
            {
                file.Write(_accepted);
                file.Flush(flushToDisk: true);
            }

            File.Move(aside, Copy, overwrite: true);
            (_keepAgain, _notKept) = (false, null);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            if (!_keepAgain)
                logger.PinsNotKept(exception, Copy);
            (_keepAgain, _notKept) = (true, $"the pinned namespaces could not be kept for a restart: {exception.Message}");
        }
    }

    /// <summary>The bytes are good until the next reading.</summary>
    private Reading Read(string path)
    {
        try
        {
            using var file = File.OpenHandle(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
            var length = 0;
            while (true)
            {
                var read = RandomAccess.Read(file, _buffer.AsSpan(length), length);
                length += read;
                if (length > MaximumSize)
                    return new Reading(null, $"is larger than {MaximumSize} bytes");
                if (read == 0)
                    return new Reading(_buffer.AsMemory(0, length), "");
                if (length == _buffer.Length)
                    Array.Resize(ref _buffer, _buffer.Length * 2);
            }
        }
        catch (Exception exception) when (exception is FileNotFoundException or DirectoryNotFoundException)
        {
            return new Reading(null, new FileInfo(path).LinkTarget is null ? Missing : "is a link to nothing");
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return new Reading(null, $"cannot be read: {exception.Message}");
        }
    }

    private static bool Same(ReadOnlyMemory<byte> bytes, byte[]? others) => others is not null && bytes.Span.SequenceEqual(others);

    private sealed record Snapshot(CatalogPins Pins, DateTimeOffset Since);

    private readonly record struct Reading(ReadOnlyMemory<byte>? Bytes, string Failure);
}
