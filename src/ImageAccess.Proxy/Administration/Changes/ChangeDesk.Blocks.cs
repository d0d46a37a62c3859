using System.Globalization;
using System.Text.Json;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Administration.Roles;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Policies.Exceptions;
using ImageAccess.Proxy.Policies.Store;

namespace ImageAccess.Proxy.Administration.Changes;

internal sealed partial class ChangeDesk
{
    private const string UnblockKind = "unblock";

    private readonly BlocksOnDisk _blocks = new(files);

    /// <summary>Blocks an image to everybody: an administrator of any organization may. It needs no database.</summary>
    /// <returns>The new block, or the one that is there already.</returns>
    /// <exception cref="FaultyChangeException">Something of it is wrong.</exception>
    /// <exception cref="ForbiddenChangeException">The actor may not.</exception>
    /// <exception cref="RefusedChangeException">There are too many.</exception>
    public async Task<Block> BlockAsync(ImagePattern pattern, ChangeRequest request, CancellationToken cancellationToken) =>
        (await BlockAsync([pattern], forgets: false, request, cancellationToken))[0];

    /// <summary>The same of several: all of them or none.</summary>
    /// <param name="patterns">Each once.</param>
    /// <param name="forgets">Whether every process forgets what it keeps of them; so it does where they are blocked already without that.</param>
    /// <param name="request">Who, and why.</param>
    /// <param name="cancellationToken">Nobody waits any longer.</param>
    public async Task<IReadOnlyList<Block>> BlockAsync(IReadOnlyList<ImagePattern> patterns, bool forgets, ChangeRequest request, CancellationToken cancellationToken)
    {
        if (request.Actor.IsServer || !policy().Organizations.Any(organization => Rights.Allow(RolesOf(request.Actor, organization.Name), Operation.Block)))
            Demand(request.Actor, organization: null, Operation.Block);
        Demand(request.Faults(BlockDocument.MaximumReason, needsReason: true, needsTicket: false));
        var after = await _blocks.ChangeAsync(
            before =>
            {
                var missing = patterns.Where(pattern => Find(before, pattern, forgets) is null).ToList();
                if (missing.Count > 0 && before.Blocks.Count + missing.Count > Blocks.Maximum)
                {
                    var more = before.Blocks.Count == Blocks.Maximum ? "no more" : string.Create(CultureInfo.InvariantCulture, $"no more than {Blocks.Maximum:N0}");
                    throw new RefusedChangeException(string.Create(
                        CultureInfo.InvariantCulture, $"{before.Blocks.Count:N0} blocks are in force, and there can be {more}: block a namespace, or lift some"));
                }

                return missing.Aggregate(before, (document, pattern) => document.Add(pattern, request.Reason, request.Actor.Name, time.GetUtcNow(), request.Ticket, forgets));
            },
            cancellationToken);
        return [.. patterns.Select(pattern => Find(after, pattern, forgets)!)];
    }

    private static Block? Find(BlockDocument document, ImagePattern pattern, bool forgets) =>
        document.Blocks.Where(block => (block.Forgets || !forgets) && block.Pattern.ToString() == pattern.ToString()).MinBy(block => block.At);

    /// <summary>Lifts a block. It opens: where a second person is demanded it needs the database, and else it does not.</summary>
    /// <exception cref="FaultyChangeException">Something of it is wrong.</exception>
    /// <exception cref="ForbiddenChangeException">The actor may not.</exception>
    /// <exception cref="RefusedChangeException">It is not blocked.</exception>
    public async Task<ChangeOutcome<LiftedBlock>> LiftBlockAsync(ImagePattern pattern, ChangeRequest request, CancellationToken cancellationToken)
    {
        Demand(request.Actor, organization: null, Operation.LiftBlock);
        Demand(request.Faults(BlockDocument.MaximumReason, needsReason: true, policy().Document.Changes.DemandsTicket));
        if (!Waits)
            return new(await LiftAsync(pattern, asked: null, request.Reason, request.Actor.Name, request.Ticket, cancellationToken), null);

        if (BlocksOf(pattern, _blocks.Find()) is not { Count: > 0 } keys)
            throw NotBlocked(pattern);
        return new(null, await AskAsync(
            UnblockKind, organization: null, new Unblock(pattern.ToString()) { Blocks = keys }, [$"{pattern} is blocked no longer"], request, check: null, cancellationToken));
    }

    private async Task LiftAsync(PendingChangeRow change, Actor approver, CancellationToken cancellationToken)
    {
        var asked = JsonSerializer.Deserialize<Unblock>(change.Payload, Json)!;
        if (!ImagePattern.TryParse(asked.Image, out var pattern, out var problem))
            throw new RefusedChangeException($"the image {problem}");
        await LiftAsync(pattern, asked.Blocks, change.Reason, Both(change, approver, BlockDocument.MaximumName), change.Ticket, cancellationToken);
    }

    /// <param name="asked">The blocks that were there when it was asked for; null for whatever is there.</param>
    private async Task<LiftedBlock> LiftAsync(
        ImagePattern pattern, IReadOnlyList<string>? asked, string reason, string by, string? ticket, CancellationToken cancellationToken)
    {
        var after = await _blocks.ChangeAsync(
            before =>
            {
                var block = before.ToBlocks().Find(pattern) ?? throw NotBlocked(pattern);
                if (asked is not null && BlocksOf(pattern, before).Except(asked).Any())
                    throw new RefusedChangeException($"{pattern} was blocked again after this was asked for: look why, and ask again");
                return before.Lift(block, reason, by, time.GetUtcNow(), ticket);
            },
            cancellationToken);
        return after.Lifted[^1];
    }

    private static List<string> BlocksOf(ImagePattern pattern, BlockDocument document) =>
        [.. document.Blocks.Where(block => block.Pattern.ToString() == pattern.ToString()).Select(BlockDocument.KeyOf)];

    private static RefusedChangeException NotBlocked(ImagePattern pattern) => new($"{pattern} is not blocked; imageaccess block list names what is");

    /// <summary>What is to be lifted.</summary>
    private sealed record Unblock(string Image)
    {
        /// <summary>The keys of the blocks that it is about.</summary>
        public IReadOnlyList<string>? Blocks { get; init; }
    }
}
