using ImageAccess.Core.Oci;

namespace ImageAccess.Proxy.Policies.Decisions;

/// <summary>What the policy in force says about an image to a caller whom a person names. Nothing of it is audited or counted as a decision.</summary>
internal sealed class Checks(Judges judges, TimeProvider time)
{
    /// <summary>How long a check waits for the catalog.</summary>
    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(10);

    /// <exception cref="NoVerdictException">There is no verdict, and why.</exception>
    public async Task<CheckAnswer> AnswerAsync(ImageName image, JudgedCaller caller, CancellationToken cancellationToken)
    {
        var judge = judges.For(caller);
        var verdict = image.Repository is { } repository
            ? await JudgeAsync(judge, image, repository, cancellationToken)
            : ImageVerdict.OutsideOf(image);
        return new CheckAnswer(caller.ToString(), judge.Policy.IsEnabled, judge.Policy.Version, verdict);
    }

    private async Task<ImageVerdict> JudgeAsync(Judge judge, ImageName image, RepositoryName repository, CancellationToken cancellationToken)
    {
        using var timeout = new CancellationTokenSource(Timeout, time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(timeout.Token, cancellationToken);
        try
        {
            var (decision, classification) = await judge.ExplainAsync(Asked.PullOf(repository, image.Tag, image.Digest), both.Token);
            return ImageVerdict.Of(image, decision, classification, time.GetUtcNow());
        }
        catch (OperationCanceledException) when (timeout.IsCancellationRequested)
        {
            throw new NoVerdictException($"the publisher of {repository.Namespace} could not be found in time, try again", isTemporary: true);
        }
    }
}

/// <summary>A verdict, as whom and by which policy.</summary>
internal sealed record CheckAnswer(string Caller, bool ImageAccess, string PolicyVersion, ImageVerdict Image)
{
    /// <summary>Where the admin listener gives one.</summary>
    public const string Path = "/check";
}

/// <summary>Why a check has no answer.</summary>
internal sealed record CheckRefusal(string Error);

/// <summary>The policy in force gives no verdict.</summary>
internal sealed class NoVerdictException(string message, bool isTemporary) : Exception(message)
{
    /// <summary>The same question may have an answer later; otherwise the question is wrong.</summary>
    public bool IsTemporary => isTemporary;
}
