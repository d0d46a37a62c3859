using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Foundation.Audit;
using ImageAccess.Proxy.Foundation.Files;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Policies.Store;

/// <summary>
/// The policy of a file. A document that cannot be used is refused and the last accepted one stays, also over a restart;
/// only an installation that never had a policy starts with image access off.
/// </summary>
public sealed class FilePolicyStore : IPolicyStore
{
    private readonly PolicyStoreOptions _options;
    private readonly AuditTrail _trail;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly WatchedFile<ParsedFile<Policy>> _document;
    private readonly Lock _gate = new();

    private volatile PolicyState? _state;
    private bool _keepAgain;
    private string? _copyConcern;

    public FilePolicyStore(IOptions<PolicyStoreOptions> options, AuditTrail trail, TimeProvider time, ILogger<FilePolicyStore> logger)
    {
        _options = options.Value;
        _trail = trail;
        _time = time;
        _logger = logger;
        var file = new WholeFile(_options.DocumentPath, _options.MaximumSize);
        _document = new WatchedFile<ParsedFile<Policy>>(file, PolicyOnDisk.Parse) { IsOptional = !_options.IsExplicit };
    }

    public Policy Current => _state?.Policy ?? throw new InvalidOperationException("No policy is in force yet.");

    public PolicyState? State => _state;

    private DateOnly Today => DateOnly.FromDateTime(_time.GetUtcNow().UtcDateTime);

    /// <summary>Puts the first policy into force.</summary>
    /// <exception cref="OptionsValidationException">There is no usable policy, and there must be one.</exception>
    public void Open()
    {
        lock (_gate)
        {
            var kept = _document.Restore(new WholeFile(_options.CopyPath, _options.MaximumSize).Read());
            if (kept.Value is { } policy)
                Enforce(policy);
            else if (!kept.IsMissing)
                _logger.CopyUnusable(_options.CopyPath, kept.Flaw!);

            var change = _document.Look();
            if (_document.Current is not null)
                Take(change);
            else if (_document.Refusal is null && kept.IsMissing)
                Enforce(Policy.Off);
            else
                throw NoPolicy(kept);

            if (!Current.IsEnabled)
                _logger.ImageAccessOff(_options.DocumentPath);
        }
    }

    /// <summary>Reads the document again; what it says is in force when this returns, unless it was refused.</summary>
    public void Refresh()
    {
        lock (_gate)
        {
            if (_state is null)
                throw new InvalidOperationException("The store is not open.");

            Take(_document.Look());
            if (_keepAgain)
                Keep();
        }
    }

    private void Take(FileChange change)
    {
        switch (change)
        {
            case FileChange.Accepted:
                Accept(_document.Current!.Value!);
                break;
            case FileChange.Refused:
                Refuse(_document.Refusal!);
                break;
            case FileChange.Recovered:
                Enforce(Current);
                _logger.Recovered(_options.DocumentPath, Current.Version);
                break;
        }
    }

    private void Accept(Policy after)
    {
        var before = _state?.Policy ?? Policy.Off;
        Enforce(after);
        Keep();

        var opens = PolicyChanges.Opens(before, after, Today);
        _logger.Accepted(after.Version, _options.DocumentPath, before.Version);
        foreach (var opened in opens)
            _logger.Opened(after.Version, opened);
        if (opens.Count > 0)
            _trail.RecordPolicyChange(before.Version, after.Version, opens);
    }

    /// <summary>The last accepted policy stays.</summary>
    private void Refuse(ParsedFile<Policy> refusal)
    {
        Enforce(Current);
        _logger.Refused(_options.DocumentPath, refusal.Problems.Count == 0 ? refusal.Flaw! : "is refused", StaysInForce(Current));
        foreach (var problem in refusal.Problems)
            _logger.Problem(_options.DocumentPath, problem);
    }

    private void Keep()
    {
        try
        {
            AtomicFile.Write(_options.CopyPath, _document.Current!.Bytes!);
            _keepAgain = false;
            _copyConcern = null;
        }
        catch (IOException exception)
        {
            if (!_keepAgain)
                _logger.NotKept(exception, _options.CopyPath);
            _keepAgain = true;
            _copyConcern = $"policy {Current.Version} could not be kept for a restart: {exception.Message}";
        }

        Enforce(Current);
    }

    private void Enforce(Policy policy)
    {
        var since = _state is { } state && ReferenceEquals(state.Policy, policy) ? state.Since : _time.GetUtcNow();
        var refused = _document.Refusal is { } refusal ? $"{_options.DocumentPath} {refusal.Flaw}; {StaysInForce(policy)}" : null;
        var concern = (refused, _copyConcern) switch
        {
            ({ } document, { } copy) => $"{document}; {copy}",
            _ => refused ?? _copyConcern,
        };
        _state = new PolicyState(policy, since, concern);
    }

    private string StaysInForce(Policy policy) =>
        _document.Current is null ? "image access stays off" : $"policy {policy.Version}, accepted earlier, stays in force";

    private OptionsValidationException NoPolicy(ParsedFile<Policy> kept)
    {
        var refusal = _document.Refusal;
        List<string> failures = [.. (refusal?.Problems ?? []).Select(problem => $"Policy:File: {_options.DocumentPath}: {problem}")];
        if (failures.Count == 0)
            failures.Add($"Policy:File: {_options.DocumentPath} {refusal?.Flaw ?? FileReading.Missing.Failure}");
        failures.Add((_document.IsMissing, kept.IsMissing) switch
        {
            (_, false) => $"Policy:File: the copy of the last accepted policy cannot be used either: {_options.CopyPath} {kept.Flaw}; restore the document",
            (true, true) => "Policy:File: create the document, or leave the key out to start with image access off",
            (false, true) => "Policy:File: no policy was accepted before that could stay in force; correct the document",
        });
        return new OptionsValidationException(nameof(PolicyStoreOptions), typeof(PolicyStoreOptions), failures);
    }
}
