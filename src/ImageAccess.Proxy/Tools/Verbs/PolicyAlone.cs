using ImageAccess.Core.Classification;
using ImageAccess.Core.Oci;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Policies.Catalog;
using ImageAccess.Proxy.Policies.Decisions;
using ImageAccess.Proxy.Policies.Exceptions;
using ImageAccess.Proxy.Policies.Store;

namespace ImageAccess.Proxy.Tools.Verbs;

/// <summary>
/// Judges by the policy's file, for when no proxy runs. It knows only those publishers that an administrator has pinned.
/// </summary>
internal sealed class PolicyAlone(PolicyOnDisk found, Blocks blocks, Exceptions exceptions, PinsOnDisk pins, TimeProvider time) : IImageJudge
{
    public string Source => found switch
    {
        { Path: null } => "no file: image access is off, offline",
        { Concern: { } concern } => $"{Verb.Shown(found.Path)}, the copy of the last accepted one ({concern}), offline",
        _ => $"{Verb.Shown(found.Path)}, offline",
    };

    public static async Task<PolicyAlone> OpenAsync(IConfiguration configuration, CancellationToken cancellationToken)
    {
        var options = PolicyStoreOptions.Of(configuration);
        var catalog = new CatalogOptions { File = configuration["Catalog:File"], DataDirectory = options.DataDirectory };
        return new PolicyAlone(
            await PolicyOnDisk.FindAsync(configuration, cancellationToken), new BlocksOnDisk(options).Find().ToBlocks(), ExceptionsCopy.Find(options.DataDirectory), new PinsOnDisk(catalog), TimeProvider.System);
    }

    public Task<CheckAnswer> CheckAsync(ImageName image, JudgedCaller caller, CancellationToken cancellationToken)
    {
        if (!caller.TryResolve(found.Policy, out var judged, out var problem))
            throw new MisuseException($"{caller}: {problem}");
        var verdict = image.Repository is { } repository ? Judge(image, repository, judged) : ImageVerdict.OutsideOf(image);
        return Task.FromResult(new CheckAnswer(caller.ToString(), found.Policy.IsEnabled, found.Policy.Version, verdict));
    }

    public void Dispose()
    {
        // Nothing is held open.
    }

    private ImageVerdict Judge(ImageName image, RepositoryName repository, Caller caller)
    {
        var now = time.GetUtcNow();
        var pinned = pins.Find(repository.Namespace) is { } pin ? PublisherFacts.Known(pin) : PublisherFacts.NotAsked;
        var forecast = new PolicyView(found.Policy.With(blocks).With(exceptions), caller, now)
            .Foresee(Asked.PullOf(repository, image.Tag, image.Digest), pinned);
        var verdict = ImageVerdict.Of(image, forecast.Decision, forecast.Decision.Classification, now);
        return forecast is not { IfVerified: { } verified, IfCommunity: { } community } ? verdict : verdict with
        {
            Verdict = Either(verified.Outcome, community.Outcome),
            Text = verified.Outcome == community.Outcome
                ? $"{Words(verified)} whoever publishes {repository.Namespace}, which is not known here"
                : $"not known here who publishes {repository.Namespace}: {Words(verified)} if a verified publisher, {Words(community)} if not",
        };
    }

    /// <summary>The verdict where either outcome may come true.</summary>
    private static string Either(AccessOutcome one, AccessOutcome other) => (one, other) switch
    {
        (AccessOutcome.Deny, AccessOutcome.Deny) => AccessOutcome.Deny.ToWireName(),
        (AccessOutcome.Deny, _) or (_, AccessOutcome.Deny) => ImageVerdict.Unknown,
        (AccessOutcome.Allow, AccessOutcome.Allow) => AccessOutcome.Allow.ToWireName(),
        _ => AccessOutcome.Observe.ToWireName(),
    };

    private static string Words(AccessDecision decision) => decision.Outcome switch
    {
        AccessOutcome.Allow => "allowed",
        AccessOutcome.Observe => "only observed",
        _ => "denied",
    };
}
