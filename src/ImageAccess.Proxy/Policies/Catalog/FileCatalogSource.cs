using ImageAccess.Core.Classification;
using ImageAccess.Proxy.Foundation.Files;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Policies.Catalog;

/// <summary>
/// Categories pinned by hand, which nobody contradicts. A file that cannot be used, or that vanished, is refused and what
/// was accepted last stays, also over a restart.
/// </summary>
public sealed class FileCatalogSource : ICatalogSource
{
    private readonly CatalogOptions _options;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly WatchedFile<ParsedFile<CatalogPins>> _file;
    private volatile Snapshot _current = new(CatalogPins.None, DateTimeOffset.MinValue);
    private bool _keepAgain;
    private volatile string? _notKept;

    public FileCatalogSource(IOptions<CatalogOptions> options, TimeProvider time, ILogger<FileCatalogSource> logger)
    {
        _options = options.Value;
        _time = time;
        _logger = logger;
        var file = new WholeFile(_options.PinsPath, CatalogPins.MaximumSize);
        _file = new WatchedFile<ParsedFile<CatalogPins>>(file, CatalogPins.Parse) { IsOptional = _options.File is null };
    }

    public CatalogPins Current => _current.Pins;

    /// <summary>Why this is not what was written last; null when all is well.</summary>
    public string? Concern => _file.Refusal is { } refusal ? $"{_options.PinsPath} {refusal.Flaw}" : _notKept;

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
        if (_file.Restore(new WholeFile(_options.PinsCopyPath, CatalogPins.MaximumSize).Read()).Value is { } kept)
            _current = new Snapshot(kept, _time.GetUtcNow());

        Refresh();
        if (_file.Current is null && _file.Refusal is { } refusal)
        {
            var failures = refusal.Problems.Select(problem => $"Catalog:File: {_options.PinsPath}: {problem}").DefaultIfEmpty($"Catalog:File: {Concern}");
            throw new OptionsValidationException(nameof(CatalogOptions), typeof(CatalogOptions), failures);
        }
    }

    /// <summary>Reads the file again; what it says is in force when this returns, unless it was refused.</summary>
    public void Refresh()
    {
        switch (_file.Look())
        {
            case FileChange.Accepted:
                Accept(_file.Current!.Value!);
                break;
            case FileChange.Refused:
                Refuse(_file.Refusal!);
                break;
            case FileChange.Recovered:
                _logger.PinsRecovered(_options.PinsPath);
                break;
        }

        if (_keepAgain)
            Keep();
    }

    private void Accept(CatalogPins pins)
    {
        _current = new Snapshot(pins, _time.GetUtcNow());
        _logger.PinsAccepted(pins.Count, _options.PinsPath);
        Keep();
    }

    private void Refuse(ParsedFile<CatalogPins> refusal)
    {
        _logger.PinsRefused(_options.PinsPath, refusal.Flaw!);
        foreach (var problem in refusal.Problems)
            _logger.PinProblem(_options.PinsPath, problem);
    }

    private void Keep()
    {
        try
        {
            AtomicFile.Write(_options.PinsCopyPath, _file.Current!.Bytes!);
            (_keepAgain, _notKept) = (false, null);
        }
        catch (IOException exception)
        {
            if (!_keepAgain)
                _logger.PinsNotKept(exception, _options.PinsCopyPath);
            (_keepAgain, _notKept) = (true, $"the pinned namespaces could not be kept for a restart: {exception.Message}");
        }
    }

    private sealed record Snapshot(CatalogPins Pins, DateTimeOffset Since);
}
