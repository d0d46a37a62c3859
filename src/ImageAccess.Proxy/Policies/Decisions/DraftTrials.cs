using System.Globalization;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Foundation.Audit;
using ImageAccess.Proxy.Foundation.Files;
using ImageAccess.Proxy.Foundation.Limits;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Policies.Decisions;

/// <summary>
/// Judges pulls by a draft of the policy, as <c>policy replay</c> does: those that the database has, or else of this proxy's own trail. It reads all of that time: so there is one at
/// a time, a few wait a moment for their turn, and none goes on for ever.
/// </summary>
internal sealed class DraftTrials(IOptions<AuditOptions> audit, TimeProvider time)
{
    public const int MaximumDays = 90;

    /// <summary>How many kinds of pulls are judged; what is beyond is counted.</summary>
    public const int MaximumKinds = 200_000;

    /// <summary>How many wait for their turn, and how many of one who asks.</summary>
    public const int MaximumWaiting = 4;

    public static readonly TimeSpan LongestWait = TimeSpan.FromSeconds(5);

    public static readonly TimeSpan LongestTrial = TimeSpan.FromSeconds(20);

    internal FairSlots Turns { get; } = new(1, MaximumWaiting, MaximumWaiting / 2);

    /// <summary>The beginning of the last days.</summary>
    public DateTimeOffset Since(int days) => time.GetUtcNow() - TimeSpan.FromDays(days);

    /// <param name="draft">The draft, with the blocks and the exceptions beside it.</param>
    /// <param name="days">The pulls of the last days.</param>
    /// <param name="concerns">Of these callers alone; null for all.</param>
    /// <param name="asker">Whose turn it is.</param>
    /// <param name="kept">Reads them in the database, or says why not; without it, and where it does not, the trail's files are read.</param>
    /// <exception cref="NoVerdictException">Others are before it, it takes too long, or the trail cannot be read.</exception>
    public async Task<DraftEffect> JudgeAsync(
        Policy draft,
        int days,
        Func<Caller, bool>? concerns,
        ClientShare asker,
        CancellationToken cancellationToken,
        Func<DateTimeOffset, CancellationToken, Task<(AuditPulls? Pulls, string? Why)>>? kept = null)
    {
        using var turn = await Turns.TryEnterAsync(asker, LongestWait, time, cancellationToken)
            ?? throw new NoVerdictException("other drafts are being judged, try again", isTemporary: true);
        using var limit = new CancellationTokenSource(LongestTrial, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        try
        {
            var (pulls, why) = kept is null ? default : await kept(Since(days), either.Token);
            pulls ??= await AuditPulls.ReadAsync(audit.Value.FilePath, Since(days), TextWriter.Null, either.Token, MaximumKinds);
            pulls.NotInDatabase = why;
            return new DraftEffect(draft, pulls, DateOnly.FromDateTime(time.GetUtcNow().UtcDateTime), concerns, either.Token);
        }
        catch (OperationCanceledException) when (limit.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            throw new NoVerdictException(
                string.Create(CultureInfo.InvariantCulture, $"to judge the pulls of {days} days takes longer than {LongestTrial.TotalSeconds} s: ask for fewer days"), isTemporary: true);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new NoVerdictException(
                exception is FileNotFoundException or DirectoryNotFoundException ? "the audit trail is not there" : $"the audit trail cannot be read: {PrintableText.Of(exception.Message)}", isTemporary: false);
        }
    }
}
