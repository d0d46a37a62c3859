using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Administration.Changes;
using ImageAccess.Proxy.Administration.Notifications;
using ImageAccess.Proxy.Administration.Usage;
using ImageAccess.Proxy.Content.Serving;
using ImageAccess.Proxy.Policies.Exceptions;
using ImageAccess.Proxy.Policies.Store;

namespace ImageAccess.Proxy.Administration.Incidents;

/// <summary>Blocks the images of an incident and makes every proxy forget them; tells who pulled them, where that is wanted.</summary>
internal sealed class IncidentDesk(ChangeDesk desk, PolicyStore policies, BlockedContent content, UsageStore store, NoticeQueue notices, TimeProvider time)
{
    /// <summary>Of how many days the pulls are counted.</summary>
    public const int Days = 30;

    /// <summary>The blocks are in force; nobody waits longer for what else is told.</summary>
    private static readonly TimeSpan LongestCount = TimeSpan.FromSeconds(10);

    /// <param name="images">Which.</param>
    /// <param name="request">Who wants it, and why.</param>
    /// <param name="scope">Whose pulls are counted, and who is told.</param>
    /// <param name="tells">Whether those who pulled are told.</param>
    /// <param name="cancellationToken">Nobody waits any longer.</param>
    /// <exception cref="RefusedChangeException">There are too many blocks; none of these was made.</exception>
    public async Task<IncidentBlocked> BlockAsync(IReadOnlyList<ImagePattern> images, ChangeRequest request, UsageScope scope, bool tells, CancellationToken cancellationToken)
    {
        var blocks = await desk.BlockAsync(images, forgets: true, request, cancellationToken);
        policies.Refresh(); // in force here when it is answered
        var (forgotten, problems) = (await ForgetAsync(cancellationToken), new List<string>());
        if (forgotten.Problem is not null)
            problems.Add(forgotten.Problem);
        var answer = new IncidentBlocked([.. blocks.Select(block => BlockedImage.Of(block, forgotten.Purged?.GetValueOrDefault(BlockDocument.KeyOf(block))))], problems);
        try
        {
            using var limit = new CancellationTokenSource(LongestCount, time);
            using var both = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
            return await CountAsync(answer, images, blocks, request, scope, tells, both.Token);
        }
        catch (Exception exception) when (!cancellationToken.IsCancellationRequested)
        {
            problems.Add(exception switch
            {
                TooManyPullsException => $"who pulled is not counted: {exception.Message}",
                OperationCanceledException => "who pulled is not counted: it took too long",
                _ => $"who pulled is not counted: {store.Name} {store.Explain(exception)}",
            } + (tells ? "; nobody was told" : ""));
            return answer;
        }
    }

    private async Task<(IReadOnlyDictionary<string, Purged>? Purged, string? Problem)> ForgetAsync(CancellationToken cancellationToken)
    {
        try
        {
            return (await content.LookAsync(cancellationToken), null);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return (null, $"what is kept here could not be removed, and nobody is served it: {exception.Message}");
        }
    }

    private async Task<IncidentBlocked> CountAsync(
        IncidentBlocked answer, IReadOnlyList<ImagePattern> images, IReadOnlyList<Block> blocks, ChangeRequest request, UsageScope scope, bool tells, CancellationToken cancellationToken)
    {
        var (now, groups) = (time.GetUtcNow(), new PullGroups());
        var since = now.AddDays(-Days);
        foreach (var image in images)
            await store.GroupPullsAsync(image, new UsageFilter(since.ToUnixTimeMilliseconds()) { Scope = scope }, groups, cancellationToken);
        var pulls = groups.Counts.Select(group => IncidentPull.Of(group.Key, group.Value)).Where(pull => !pull.IsDenied).Order(IncidentPull.NewestFirst).ToList();
        answer = answer with { Images = [.. answer.Images.Select(image => image.With(pulls.FindAll(pull => pull.Image == image.Image)))] };
        return tells ? answer with { Told = Tell(pulls, blocks, request, scope, since, now) } : answer;
    }

    private ToldPullers Tell(List<IncidentPull> pulls, IReadOnlyList<Block> blocks, ChangeRequest request, UsageScope scope, DateTimeOffset since, DateTimeOffset now)
    {
        var fact = string.Join(' ', blocks.Select(BlockDocument.KeyOf).Order(StringComparer.Ordinal).Append(scope.IsEverything ? "*" : string.Join('/', scope.Whole)));
        var all = IncidentNotices.Of(fact, pulls, [.. blocks.Select(block => block.Pattern.ToString())], request, scope, since, now);
        foreach (var notice in all.Where(notices.IsWanted))
            notices.Add(notice);
        var persons = all.Count(notice => notice.Requester is not null && notices.IsWanted(notice));
        return new ToldPullers(all.Exists(notice => notice.Requester is null && notices.IsWanted(notice)), persons, pulls.Select(pull => pull.Caller).Distinct().Count() - persons);
    }
}

/// <summary>What became of the images of an incident.</summary>
/// <param name="Images">Each; nobody may have it from now on.</param>
/// <param name="Problems">What could not be done beside that, and why.</param>
internal sealed record IncidentBlocked(IReadOnlyList<BlockedImage> Images, IReadOnlyList<string> Problems)
{
    /// <summary>Who was told; null where nobody was to be.</summary>
    public ToldPullers? Told { get; init; }
}

/// <summary>Who is told of an incident.</summary>
/// <param name="Receivers">Whether those of the configuration are: webhooks, mail.</param>
/// <param name="Pullers">To how many who pulled a mail of their own goes, where a member list has their address.</param>
/// <param name="NotTold">How many callers get none: nobody signed in, a machine, no such mail is configured, or there are too many.</param>
internal sealed record ToldPullers(bool Receivers, int Pullers, int NotTold);

/// <param name="Block">The number of the block.</param>
/// <param name="Image">As it is blocked.</param>
/// <param name="Contents">Of how many digests the content was removed here.</param>
/// <param name="Bytes">How long it was together.</param>
internal sealed record BlockedImage(long Block, string Image, string Reason, string By, DateTime At, int Contents, long Bytes)
{
    /// <summary>How many pulls were allowed in the last 30 days; null where that is not known.</summary>
    public long? Pulls { get; init; }

    public int? Callers { get; init; }

    public int? Machines { get; init; }

    public DateTime? Last { get; init; }

    public static BlockedImage Of(Block block, Purged? purged) =>
        new(block.Id, block.Pattern.ToString(), block.Reason, block.By, block.At.UtcDateTime, purged?.Contents ?? 0, purged?.Bytes ?? 0);

    public BlockedImage With(List<IncidentPull> pulls)
    {
        var counted = IncidentImage.Of(Image, isBlocked: true, kept: null, pulls);
        return this with { Pulls = counted.Pulls, Callers = counted.Callers, Machines = counted.Machines, Last = counted.Last };
    }
}
