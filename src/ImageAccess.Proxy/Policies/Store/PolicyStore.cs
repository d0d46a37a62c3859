using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Foundation.Audit;
using ImageAccess.Proxy.Foundation.Configuration;
using ImageAccess.Proxy.Foundation.Files;
using ImageAccess.Proxy.Policies.Exceptions;
using ImageAccess.Proxy.Policies.Following;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Policies.Store;

/// <summary>
/// The policy of a document, and the blocks and exceptions beside it. The document is a file, or one of the database. What cannot be used or read is refused and the
/// last accepted one stays, also over a restart; only an installation that never had a policy starts with image access off.
/// </summary>
public sealed class PolicyStore : IPolicyStore, IReloadable
{
    /// <summary>How much of what a change opens is logged one by one; the audit trail has all.</summary>
    private const int MaximumTold = 20;

    private readonly PolicyStoreOptions _options;
    private readonly AuditTrail _trail;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly DatabaseDocument _ofDatabase;
    private readonly KeptCopy _copy;
    private readonly KeptCopy _memory;
    private readonly BlocksFile _blocks;
    private readonly BreakGlassFile _breakGlass;
    private readonly ExceptionStore _exceptions;
    private readonly FollowedStore _followed;
    private readonly FollowedEvents _followedEvents;
    private readonly Lock _gate = new();

    private PolicyHome? _home;
    private WatchedFile<ParsedFile<Policy>> _document;
    private volatile PolicyState? _state;
    private Action<Policy>? _whenChanged;

    internal PolicyStore(
        PolicyStoreOptions options,
        DatabaseDocument ofDatabase,
        ExceptionStore exceptions,
        FollowedStore followed,
        AuditTrail trail,
        TimeProvider time,
        ILogger<PolicyStore> logger)
    {
        _options = options;
        _ofDatabase = ofDatabase;
        _exceptions = exceptions;
        _followed = followed;
        _followedEvents = new FollowedEvents(trail, time);
        _trail = trail;
        _time = time;
        _logger = logger;
        _document = Watch(PolicySource.File);
        _copy = new KeptCopy(_options.CopyPath, logger.NotKept);
        _memory = new KeptCopy(_options.SourcePath, logger.HomeNotKept);
        _blocks = new BlocksFile(_options, trail, logger);
        _breakGlass = new BreakGlassFile(_options, trail, time, logger);
    }

    public Policy Current => _state?.Policy ?? throw new InvalidOperationException("No policy is in force yet.");

    public PolicyState? State => _state;

    /// <summary>The bytes of the policy in force; none while there has been no document.</summary>
    internal byte[] Document => _document.Current?.Bytes ?? [];

    /// <summary>What the file of the blocks said when it was read last.</summary>
    internal BlockDocument Blocks => _blocks.Document;

    /// <summary>Where the document lives.</summary>
    /// <exception cref="OptionsValidationException">That is not known.</exception>
    internal PolicySource Source => (_home ??= PolicyHome.Find(_options)).Source;

    /// <summary>The version that the database had last, where it is the home.</summary>
    internal WrittenVersion? Written => Source == PolicySource.Database ? _ofDatabase.Version : null;

    /// <summary>What the document is of, as a log line or a sentence calls it.</summary>
    private string Name => Source == PolicySource.Database ? _ofDatabase.Name : _options.DocumentPath;

    /// <summary>The same behind "the policy document".</summary>
    private string Place => Source == PolicySource.Database ? $"in {_ofDatabase.Name}" : _options.DocumentPath;

    private DateOnly Today => DateOnly.FromDateTime(_time.GetUtcNow().UtcDateTime);

    public void WhenChanged(Action<Policy> act)
    {
        lock (_gate)
            _whenChanged += act;
    }

    /// <summary>Does something each time that the file of the blocks says something else.</summary>
    internal void WhenBlocksChanged(Action act)
    {
        lock (_gate)
            _blocks.WhenChanged += act;
    }

    /// <summary>Puts the first policy into force.</summary>
    /// <exception cref="OptionsValidationException">There is no usable policy, and there must be one.</exception>
    public void Open()
    {
        _exceptions.Open();
        _followed.Open();
        lock (_gate)
        {
            _blocks.Open();
            _breakGlass.Open();
            _document = Watch(Source);
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

            if (_home!.IsAnother)
                Settle();
            if (!Current.IsEnabled)
                _logger.ImageAccessOff(Name);
        }

        _exceptions.WhenChanged(TakeOthers);
        _followed.WhenChanged(TakeOthers);
    }

    /// <summary>Reads the document again; what it says is in force when this returns, unless it was refused.</summary>
    public void Refresh()
    {
        lock (_gate)
        {
            if (_state is null)
                throw new InvalidOperationException("The store is not open.");

            _blocks.Look();
            _breakGlass.Look();
            if (_home!.Look(_options) is var home && home != _home)
                Move(home);
            if (_memory.Failure is not null)
                _memory.Keep(PolicyHome.ToBytes(Source));
            Enforce(Current);
            Take(_document.Look());
            if (_copy.Failure is not null)
                Keep();
            _followedEvents.Close();
        }
    }

    /// <summary>The program stops: tells what it would have told later.</summary>
    internal void End()
    {
        lock (_gate)
            _followedEvents.Close(all: true);
    }

    string IReloadable.Reload()
    {
        Refresh();
        var blocks = Current.Blocks.Count == 0 ? "" : $"; blocks in force: {Current.Blocks.Count}";
        var exceptions = Current.Exceptions.Count == 0 ? "" : $"; exceptions: {Current.Exceptions.Count}";
        return $"the policy document {Place}; {(Current.IsEnabled ? $"policy {Current.Version} is in force" : "image access is off")}{blocks}{exceptions}";
    }

    private WatchedFile<ParsedFile<Policy>> Watch(PolicySource source) => source == PolicySource.Database
        ? new(_ofDatabase, PolicyOnDisk.Parse)
        : new(new WholeFile(_options.DocumentPath, _options.MaximumSize), PolicyOnDisk.Parse) { IsOptional = !_options.IsExplicit };

    /// <summary>A key says where the document lives, and it was not there before: from now on that is what is remembered.</summary>
    private void Settle()
    {
        _logger.HomeIsAnother(Name, _home!.Key!);
        _memory.Keep(PolicyHome.ToBytes(Source));
        Enforce(Current);
    }

    /// <summary>Somebody has brought the document to another home. What is in force stays until it has been read from there.</summary>
    private void Move(PolicyHome home)
    {
        _home = home;
        var inForce = _document.Current?.Bytes;
        _document = Watch(home.Source);
        if (inForce is not null)
            _document.Restore(FileReading.Found(inForce));
        _logger.HomeMoved(Name);
    }

    /// <summary>What stands beside the document is another.</summary>
    private void TakeOthers()
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
                _logger.Recovered(Place, Current.Version);
                break;
        }
    }

    private void Accept(Policy after)
    {
        var before = _state?.Policy ?? Policy.Off;
        Enforce(after);
        after = Current;
        var opens = PolicyChanges.Opens(before, after, Today);
        _logger.Accepted(after.Version, Name, before.Version);
        foreach (var opened in opens.Take(MaximumTold))
            _logger.Opened(after.Version, opened);
        if (opens.Count > MaximumTold)
            _logger.OpenedMore(after.Version, opens.Count - MaximumTold);
        var author = Source == PolicySource.Database ? _ofDatabase.Author : null;
        if (opens.Count > 0 || author is not null)
            _trail.RecordPolicyChange(before.Version, after.Version, opens, author?.Name, author?.Reason, author?.Ticket);
        Keep(); // after it was told: a program that ends between the two tells it again, and never not at all
    }

    /// <summary>The last accepted policy stays.</summary>
    private void Refuse(ParsedFile<Policy> refusal)
    {
        Enforce(Current);
        _logger.Refused(Place, refusal.Problems.Count == 0 ? refusal.Flaw! : "is refused", StaysInForce(Current));
        foreach (var problem in refusal.Problems)
            _logger.Problem(Name, problem);
    }

    private void Keep()
    {
        _copy.Keep(_document.Current!.Bytes!);
        Enforce(Current);
    }

    private void Enforce(Policy policy)
    {
        var before = _state?.Policy;
        policy = policy.With(_followed.Of(policy));
        var isSame = ReferenceEquals(before?.Written, policy.Written);
        var since = isSame && before!.Version == policy.Version ? _state!.Since : _time.GetUtcNow();
        var document = Source == PolicySource.Database ? $"the policy document {Place}" : Place;
        var refused = _document.Refusal is { } refusal ? $"{document} {refusal.Flaw}; {StaysInForce(policy)}" : null;
        var notKept = _copy.Failure is { } cause ? $"policy {policy.Version} could not be kept for a restart: {cause}" : null;
        var forgotten = _memory.Failure is { } why ? $"where the policy document lives could not be kept for a restart: {why}" : null;
        var concerns = string.Join("; ", new[] { refused, notKept, forgotten, _blocks.Concern, _breakGlass.Concern }.OfType<string>());
        _state = new PolicyState(policy.With(_blocks.Current).With(_exceptions.Current).With(_breakGlass.Current), since, concerns.Length == 0 ? null : concerns);
        if (!isSame)
            _whenChanged?.Invoke(policy);
        else if (!ReferenceEquals(before!.Followed, policy.Followed))
            TellFollowed(before, policy);
    }

    private void TellFollowed(Policy before, Policy after)
    {
        var changed = after.Organizations.Select(one => one.Name).Where(name => before.Followed.Find(name) != after.Followed.Find(name) && after.Follows(name)).ToList();
        foreach (var organization in changed)
        {
            var (opens, closes) = (Of(organization, PolicyChanges.Opens(before, after, Today)), Of(organization, PolicyChanges.Opens(after, before, Today)));
            if (opens.Count + closes.Count == 0 || after.Followed.Find(organization) is not { } switches
                || !_followedEvents.Record(new FollowedChange(organization, switches, before.Version, after.Version, opens, closes)))
                continue;
            foreach (var opened in opens)
                _logger.Opened(after.Version, opened);
        }

        List<string> Of(string organization, IReadOnlyList<string> lines) => [.. lines.Where(line => !changed.Exists(other => other != organization && PolicyChanges.IsOf(line, other)))];
    }

    private string StaysInForce(Policy policy) =>
        _document.Current is null ? "image access stays off" : $"policy {policy.Version}, accepted earlier, stays in force";

    private OptionsValidationException NoPolicy(ParsedFile<Policy> kept)
    {
        var refusal = _document.Refusal;
        if (Source == PolicySource.Database)
            return NoneInDatabase(refusal!, kept);
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

    /// <summary>A database that cannot be read may be there at the next start.</summary>
    private OptionsValidationException NoneInDatabase(ParsedFile<Policy> refusal, ParsedFile<Policy> kept)
    {
        List<string> failures = refusal.Problems.Count > 0
            ? [.. refusal.Problems.Select(problem => $"Policy:Source: the policy document {Place}: {problem}")]
            : [$"Policy:Source: the policy document is to come from the database, and {Name} {refusal.Flaw}"];
        failures.Add(kept.IsMissing
            ? "Policy:Source: no policy was accepted before that could stay in force: nothing is opened without one"
            : $"Policy:Source: the copy of the last accepted policy cannot be used either: {_options.CopyPath} {kept.Flaw}");
        return refusal.Problems.Count == 0
            ? ConfigurationLoading.FailedForNow(failures)
            : new OptionsValidationException(nameof(PolicyStoreOptions), typeof(PolicyStoreOptions), failures);
    }
}
