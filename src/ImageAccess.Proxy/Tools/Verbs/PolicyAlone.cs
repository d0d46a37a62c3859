using ImageAccess.Core.Classification;
using ImageAccess.Core.Oci;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Policies.Catalog;
using ImageAccess.Proxy.Policies.Decisions;
using ImageAccess.Proxy.Policies.Store;
using ImageAccess.Proxy.Tools.Doctor;

namespace ImageAccess.Proxy.Tools.Verbs;

/// <summary>
/// The policy of the files, for when no proxy runs. Of who publishes a namespace it knows what is pinned by hand.
/// </summary>
internal sealed class PolicyAlone(PolicyOnDisk found, PinsOnDisk pins, TimeProvider time) : IImageJudge
{
    public string Source => found switch
    {
        { Path: null } => "no file: image access is off, offline",
        { Concern: { } concern } => $"{Verb.Shown(found.Path)}, the copy of the last accepted one ({concern}), offline",
        _ => $"{Verb.Shown(found.Path)}, offline",
    };

    public static PolicyAlone Open(IConfiguration configuration)
    {
        var options = new PolicyStoreOptions { DataDirectory = configuration["Data:Directory"]! };
        configuration.GetSection("Policy").Bind(options);
        var catalog = new CatalogOptions { File = configuration["Catalog:File"], DataDirectory = options.DataDirectory };
        return new PolicyAlone(PolicyOnDisk.Find(options), new PinsOnDisk(catalog), TimeProvider.System);
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
        var known = Decide(pins.Find(repository.Namespace) is { } pinned ? PublisherFacts.Known(pinned) : PublisherFacts.NotAsked);
        if (!known.NeedsPublisher)
            return ImageVerdict.Of(image, known, known.Classification, now);

        var verified = Decide(Badge(NamespaceBadge.VerifiedPublisher));
        var community = Decide(Badge(NamespaceBadge.None));
        var denials = new[] { verified, community }.Count(decision => decision.Outcome == AccessOutcome.Deny);
        return ImageVerdict.Of(image, known, known.Classification, now) with
        {
            Verdict = denials switch
            {
                2 => AccessOutcome.Deny.ToWireName(),
                1 => ImageVerdict.Unknown,
                _ when verified.Outcome == AccessOutcome.Allow && community.Outcome == AccessOutcome.Allow => AccessOutcome.Allow.ToWireName(),
                _ => AccessOutcome.Observe.ToWireName(),
            },
            Text = $"who publishes {repository.Namespace} is not known offline: {Words(verified)} if a verified publisher, {Words(community)} if not",
        };

        AccessDecision Decide(PublisherFacts publisher) =>
            PolicyEngine.Decide(found.Policy, caller, repository, publisher, DateOnly.FromDateTime(now.UtcDateTime));

        PublisherFacts Badge(NamespaceBadge badge) => PublisherFacts.Known(new NamespaceRecord(repository.Namespace, badge, "assumed", now));
    }

    private static string Words(AccessDecision decision) => decision.Outcome switch
    {
        AccessOutcome.Allow => "allowed",
        AccessOutcome.Observe => "only observed",
        _ => "denied",
    };
}
