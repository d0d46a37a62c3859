using ImageAccess.Core.Classification;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Catalog;

/// <summary>
/// Categories pinned by hand, which nobody contradicts. A file that cannot be used, or that vanished, is refused and what
/// was accepted last stays, also over a restart.
/// </summary>
public sealed class FileCatalogSource(IOptions<CatalogOptions> options, TimeProvider time, ILogger<FileCatalogSource> logger) : ICatalogSource
{
    /// <summary>What the file may measure, in bytes.</summary>
    private const int MaximumSize = 4 * 1024 * 1024;

    private const int MaximumProblems = 100;

    private volatile Snapshot _current = new(CatalogPins.None, DateTimeOffset.MinValue);
    private byte[]? _accepted;
    private byte[]? _refused;
    private bool _keepAgain;
    private volatile string? _refusal;
    private volatile string? _notKept;

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
            _accepted = kept;
            _current = new Snapshot(pins, time.GetUtcNow());
        }

        var isNeeded = options.Value.File is not null || File.Exists(Document);
        Refresh();
        if (_accepted is null && isNeeded)
            throw new OptionsValidationException(nameof(CatalogOptions), typeof(CatalogOptions), [$"Catalog:File: {_refusal}"]);
    }

    /// <summary>Reads the file again; what it says is in force when this returns, unless it was refused.</summary>
    public void Refresh()
    {
        var (bytes, failure) = Read(Document);
        if (bytes is null)
        {
            if (_accepted is not null || options.Value.File is not null || failure != Missing)
                Refuse(failure, []);
        }
        else if (Same(bytes, _accepted))
        {
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

    private void Accept(byte[] bytes, CatalogPins pins)
    {
        (_accepted, _refused, _refusal) = (bytes, null, null);
        _current = new Snapshot(pins, time.GetUtcNow());
        logger.PinsAccepted(pins.Count, Document);
        Keep();
    }

    private void Refuse(byte[] bytes, IReadOnlyList<string> problems)
    {
        _refused = bytes;
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
        logger.PinsRefused(Document, cause);
        foreach (var problem in problems.Take(MaximumProblems))
            logger.PinProblem(Document, PrintableText.Of(problem));
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

    private const string Missing = "does not exist";

    private static (byte[]? Bytes, string Failure) Read(string path)
    {
        try
        {
            using var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
            if (file.Length > MaximumSize)
                return (null, $"is larger than {MaximumSize} bytes");
            var bytes = new byte[file.Length];
            return (bytes[..file.ReadAtLeast(bytes, bytes.Length, throwOnEndOfStream: false)], "");
        }
        catch (Exception exception) when (exception is FileNotFoundException or DirectoryNotFoundException)
        {
            return (null, Missing);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return (null, $"cannot be read: {exception.Message}");
        }
    }

    private static bool Same(byte[] bytes, byte[]? others) => others is not null && bytes.AsSpan().SequenceEqual(others);

    private sealed record Snapshot(CatalogPins Pins, DateTimeOffset Since);
}
