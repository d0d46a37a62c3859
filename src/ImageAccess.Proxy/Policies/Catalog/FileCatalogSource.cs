using ImageAccess.Core.Classification;
using ImageAccess.Proxy.Foundation.Files;
using ImageAccess.Proxy.Foundation.Limits;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Policies.Catalog;

/// <summary>
/// Categories pinned by hand, which nobody contradicts. A file that cannot be used, or that vanished, is refused and what
/// was accepted last stays, also over a restart.
/// </summary>
public sealed class FileCatalogSource : ICatalogSource, IReloadable
{
    private readonly CatalogOptions _options;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly WatchedFile<ParsedFile<CatalogPins>> _file;
    private readonly KeptCopy _copy;
    private readonly Lock _gate = new();
    private volatile Snapshot _current = new(CatalogPins.None, DateTimeOffset.MinValue);

    public FileCatalogSource(IOptions<CatalogOptions> options, TimeProvider time, ILogger<FileCatalogSource> logger)
    {
        _options = options.Value;
        _time = time;
        _logger = logger;
        var file = new WholeFile(_options.PinsPath, CatalogPins.MaximumSize);
        _file = new WatchedFile<ParsedFile<CatalogPins>>(file, CatalogPins.Parse) { IsOptional = _options.File is null };
        _copy = new KeptCopy(_options.PinsCopyPath, logger.PinsNotKept);
    }

    public CatalogPins Current => _current.Pins;

    /// <summary>Why this is not what was written last; null when all is well.</summary>
    public string? Concern => _file.Refusal is { } refusal ? $"{_options.PinsPath} {refusal.Flaw}"
        : _copy.Failure is { } cause ? $"the pinned namespaces could not be kept for a restart: {cause}"
        : null;

    public NamespaceRecord? Find(string @namespace)
    {
        var current = _current;
        return current.Pins.Find(@namespace) is { } pin ? new NamespaceRecord(@namespace, pin.Badge, "file", current.Since) : null;
    }

    public Task<CatalogAnswer?> AskAsync(string @namespace, ClientShare caller, CancellationToken cancellationToken) => Task.FromResult<CatalogAnswer?>(null);

    /// <summary>Puts the first pins in force.</summary>
    /// <exception cref="OptionsValidationException">There are none that can be used, and there should be.</exception>
    public void Open()
    {
        if (_file.Restore(new WholeFile(_options.PinsCopyPath, CatalogPins.MaximumSize).Read()).Value is { } kept)
            _current = new Snapshot(kept, _time.GetUtcNow());

        var change = _file.Look();
        if (_file.Current is null && _file.Refusal is { } refusal)
        {
            var failures = refusal.Problems.Select(problem => $"Catalog:File: {_options.PinsPath}: {problem}").DefaultIfEmpty($"Catalog:File: {Concern}");
            throw new OptionsValidationException(nameof(CatalogOptions), typeof(CatalogOptions), failures);
        }

        Take(change);
    }

    /// <summary>Reads the file again; what it says is in force when this returns, unless it was refused.</summary>
    public void Refresh()
    {
        lock (_gate)
        {
            Take(_file.Look());
            if (_copy.Failure is not null)
                Keep();
        }
    }

    string? IReloadable.Reload()
    {
        Refresh();
        return _file.Current is null && _file.Refusal is null ? null : $"the catalog file {_options.PinsPath}; {Current.Count} namespaces are pinned";
    }

    private void Take(FileChange change)
    {
        switch (change)
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

    private void Keep() => _copy.Keep(_file.Current!.Bytes!);

    private sealed record Snapshot(CatalogPins Pins, DateTimeOffset Since);
}
