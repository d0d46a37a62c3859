using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Foundation.Audit;
using ImageAccess.Proxy.Foundation.Files;
using ImageAccess.Proxy.Policies.Exceptions;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Policies.Store;

/// <summary>
/// The policy of a file, and the blocks and exceptions beside it. A document that cannot be used is refused and the last accepted one stays, also over a restart;
/// only an installation that never had a policy starts with image access off.
/// </summary>
public sealed class FilePolicyStore : IPolicyStore, IReloadable
{
    /// <summary>How much of what a change opens is logged one by one; the audit trail has all.</summary>
    private const int MaximumTold = 20;

    private readonly PolicyStoreOptions _options;
    private readonly AuditTrail _trail;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly WatchedFile<ParsedFile<Policy>> _document;
    private readonly KeptCopy _copy;
    private readonly BlocksFile _blocks;
    private readonly ExceptionStore _exceptions;
    private readonly Lock _gate = new();

    private volatile PolicyState? _state;
    private Action<Policy>? _whenChanged;

    public FilePolicyStore(
        IOptions<PolicyStoreOptions> options, ExceptionStore exceptions, AuditTrail trail, TimeProvider time, ILogger<FilePolicyStore> logger)
    {
        _options = options.Value;
        _exceptions = exceptions;
        _trail = trail;
        _time = time;
        _logger = logger;
        var file = new WholeFile(_options.DocumentPath, _options.MaximumSize);
        _document = new WatchedFile<ParsedFile<Policy>>(file, PolicyOnDisk.Parse) { IsOptional = !_options.IsExplicit };
        _copy = new KeptCopy(_options.CopyPath, logger.NotKept);
        _blocks = new BlocksFile(_options, trail, logger);
    }

    public Policy Current => _state?.Policy ?? throw new InvalidOperationException("No policy is in force yet.");

    public PolicyState? State => _state;

    /// <summary>The bytes of the policy in force; none while there has been no document.</summary>
    internal byte[] Document => _document.Current?.Bytes ?? [];

    private DateOnly Today => DateOnly.FromDateTime(_time.GetUtcNow().UtcDateTime);

    public void WhenChanged(Action<Policy> act)
    {
        lock (_gate)
            _whenChanged += act;
    }

    /// <summary>Puts the first policy into force.</summary>
    /// <exception cref="OptionsValidationException">There is no usable policy, and there must be one.</exception>
    public void Open()
    {
        _exceptions.Open();
        lock (_gate)
        {
            _blocks.Open();
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

        _exceptions.WhenChanged(TakeExceptions);
    }

    /// <summary>Reads the document again; what it says is in force when this returns, unless it was refused.</summary>
    public void Refresh()
    {
        lock (_gate)
        {
            if (_state is null)
                throw new InvalidOperationException("The store is not open.");

            _blocks.Look();
            Enforce(Current);
            Take(_document.Look());
            if (_copy.Failure is not null)
                Keep();
        }
    }

    string IReloadable.Reload()
    {
        Refresh();
        var blocks = Current.Blocks.Count == 0 ? "" : $"; blocks in force: {Current.Blocks.Count}";
        var exceptions = Current.Exceptions.Count == 0 ? "" : $"; exceptions: {Current.Exceptions.Count}";
        return $"the policy document {_options.DocumentPath}; {(Current.IsEnabled ? $"policy {Current.Version} is in force" : "image access is off")}{blocks}{exceptions}";
    }

    private void TakeExceptions()
    {
        lock (_gate)
            Enforce(Current);
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
        foreach (var opened in opens.Take(MaximumTold))
            _logger.Opened(after.Version, opened);
        if (opens.Count > MaximumTold)
            _logger.OpenedMore(after.Version, opens.Count - MaximumTold);
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
        _copy.Keep(_document.Current!.Bytes!);
        Enforce(Current);
    }

    private void Enforce(Policy policy)
    {
        var isSame = ReferenceEquals(_state?.Policy.Document, policy.Document);
        var since = isSame ? _state!.Since : _time.GetUtcNow();
        var refused = _document.Refusal is { } refusal ? $"{_options.DocumentPath} {refusal.Flaw}; {StaysInForce(policy)}" : null;
        var notKept = _copy.Failure is { } cause ? $"policy {policy.Version} could not be kept for a restart: {cause}" : null;
        var concerns = string.Join("; ", new[] { refused, notKept, _blocks.Concern }.OfType<string>());
        _state = new PolicyState(policy.With(_blocks.Current).With(_exceptions.Current), since, concerns.Length == 0 ? null : concerns);
        if (!isSame)
            _whenChanged?.Invoke(policy);
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
