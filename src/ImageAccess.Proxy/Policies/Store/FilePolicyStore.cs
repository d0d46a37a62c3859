using System.Threading.Channels;
using ImageAccess.Core.Policies;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Policies.Store;

/// <summary>
/// The policy of a file. A document that cannot be used is refused and the last accepted one stays, also over a restart;
/// only an installation that never had a policy starts with image access off.
/// </summary>
public sealed class FilePolicyStore(IOptions<PolicyStoreOptions> options, TimeProvider time, ILogger<FilePolicyStore> logger) : IPolicyStore
{
    private readonly Lock _gate = new();

    // Without a bound: a person writes policies, and none of what they opened may be lost.
    private readonly Channel<PolicyChange> _changes = Channel.CreateUnbounded<PolicyChange>(new UnboundedChannelOptions { SingleReader = true });

    private volatile PolicyState? _state;
    private PolicyFile? _file;
    private KeptPolicy? _copy;
    private byte[]? _accepted;
    private byte[]? _refused;
    private bool _keepAgain;
    private string? _documentConcern;
    private string? _copyConcern;

    public Policy Current => _state?.Policy ?? throw new InvalidOperationException("No policy is in force yet.");

    public PolicyState? State => _state;

    public ChannelReader<PolicyChange> Changes => _changes.Reader;

    /// <summary>Puts the first policy in force.</summary>
    /// <exception cref="OptionsValidationException">There is none to start with, and there should be.</exception>
    public void Open()
    {
        lock (_gate)
        {
            _file = new PolicyFile(options.Value.DocumentPath, options.Value.MaximumSize);
            _copy = new KeptPolicy(options.Value.CopyPath, options.Value.MaximumSize);
            var kept = new Attempt(_copy.Path, _copy.Read());
            var document = new Attempt(_file.Path, _file.Read());

            if (kept.Policy is null && !kept.Reading.IsMissing)
                logger.CopyUnusable(kept.Path, kept.Cause);

            if (kept.Policy is not null)
            {
                _accepted = kept.Reading.Bytes!.Value.ToArray();
                Enforce(kept.Policy);
            }

            if (document.Policy is not null)
                Accept(document);
            else if (kept.Policy is not null)
                Refuse(document);
            else if (document.Reading.IsMissing && kept.Reading.IsMissing && !options.Value.IsExplicit)
                Enforce(Policy.Off);
            else
                throw NoPolicy(document, kept);

            if (!Current.IsEnabled)
                logger.ImageAccessOff(_file.Path);
        }
    }

    /// <summary>Reads the document again; what it says is in force when this returns, unless it was refused.</summary>
    public void Refresh()
    {
        lock (_gate)
        {
            if (_file is null)
                throw new InvalidOperationException("The store is not open.");

            var reading = _file.Read();
            var isAccepted = reading.Bytes is { } bytes && Same(bytes, _accepted);
            var isRefused = reading.Bytes is { } again && Same(again, _refused);
            var isStillOff = reading.IsMissing && _accepted is null;

            if (isAccepted || isStillOff)
                Recover();
            else if (!isRefused)
                Reload(new Attempt(_file.Path, reading));

            if (_keepAgain)
                Keep();
        }
    }

    /// <summary>No change follows.</summary>
    public void Close() => _changes.Writer.TryComplete();

    private void Reload(Attempt document)
    {
        if (document.Policy is not null)
            Accept(document);
        else
            Refuse(document);
    }

    private void Accept(Attempt document)
    {
        var before = _state?.Policy ?? Policy.Off;
        var after = document.Policy!;
        var isChange = _state is null || !Same(document.Reading.Bytes!.Value, _accepted);
        _refused = null;
        _documentConcern = null;
        if (!isChange)
        {
            Enforce(before);
            return;
        }

        _accepted = document.Reading.Bytes!.Value.ToArray();
        Enforce(after);
        Keep();

        var change = new PolicyChange(before.Version, after.Version, PolicyChanges.Opens(before, after, Today));
        logger.Accepted(change.Version, document.Path, change.PreviousVersion);
        foreach (var opened in change.Opens)
            logger.Opened(change.Version, opened);
        _changes.Writer.TryWrite(change);
    }

    /// <summary>The last accepted policy stays; said once for each document and each cause.</summary>
    private void Refuse(Attempt document)
    {
        var stays = _accepted is null ? "image access stays off" : $"policy {Current.Version}, accepted earlier, stays in force";
        var concern = $"{document.Path} {document.Cause}; {stays}";
        var isNew = concern != _documentConcern || document.Reading.Bytes is not null;
        _refused = document.Reading.Bytes?.ToArray();
        _documentConcern = concern;
        Enforce(Current);
        if (!isNew)
            return;

        logger.Refused(document.Path, document.Problems.Count == 0 ? document.Cause : "is refused", stays);
        foreach (var problem in document.ProblemLines())
            logger.Problem(document.Path, problem);
    }

    private void Recover()
    {
        if (_documentConcern is null)
            return;
        _refused = null;
        _documentConcern = null;
        Enforce(Current);
        logger.Recovered(_file!.Path, Current.Version);
    }

    private void Keep()
    {
        try
        {
            _copy!.Write(_accepted);
            _keepAgain = false;
            _copyConcern = null;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            if (!_keepAgain)
                logger.NotKept(exception, _copy!.Path);
            _keepAgain = true;
            _copyConcern = $"policy {Current.Version} could not be kept for a restart: {exception.Message}";
        }

        Enforce(Current);
    }

    private void Enforce(Policy policy)
    {
        var concern = _documentConcern is null ? _copyConcern
            : _copyConcern is null ? _documentConcern
            : $"{_documentConcern}; {_copyConcern}";
        var since = _state is { } state && ReferenceEquals(state.Policy, policy) ? state.Since : time.GetUtcNow();
        _state = new PolicyState(policy, since, concern);
    }

    private DateOnly Today => DateOnly.FromDateTime(time.GetUtcNow().UtcDateTime);

    private static bool Same(ReadOnlyMemory<byte> bytes, byte[]? others) => others is not null && bytes.Span.SequenceEqual(others);

    private OptionsValidationException NoPolicy(Attempt document, Attempt kept)
    {
        List<string> failures = document.Problems.Count > 0
            ? [.. document.ProblemLines().Select(problem => $"Policy:File: {document.Path}: {problem}")]
            : [$"Policy:File: {document.Path} {document.Cause}"];
        failures.Add((document.Reading.IsMissing, kept.Reading.IsMissing) switch
        {
            (_, false) => $"Policy:File: the copy of the last accepted policy cannot be used either: {kept.Path} {kept.Cause}; restore the document",
            (true, true) => "Policy:File: create the document, or leave the key out to start with image access off",
            (false, true) => "Policy:File: no policy was accepted before that could stay in force; correct the document",
        });
        return new OptionsValidationException(nameof(PolicyStoreOptions), typeof(PolicyStoreOptions), failures);
    }
}
