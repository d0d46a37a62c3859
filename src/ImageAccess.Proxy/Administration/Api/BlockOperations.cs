using System.Globalization;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Administration.Changes;
using ImageAccess.Proxy.Administration.Roles;
using ImageAccess.Proxy.Foundation.Files;
using ImageAccess.Proxy.Policies.Store;

namespace ImageAccess.Proxy.Administration.Api;

/// <summary><c>blocks</c>: what nobody may have. They are every organization's.</summary>
internal sealed class BlockOperations(ChangeDesk desk, PolicyStore store) : IOperations
{
    public void Map(IEndpointRouteBuilder api)
    {
        api.Get("/blocks", Operation.ReadBlocks, List);
        api.Post<Wanted>("/blocks", Operation.Block, BlockAsync);
        api.Post<Because>("/blocks/{id:long}/lift", Operation.LiftBlock, LiftAsync);
    }

    private Answer<Page<BlockFacts>> List(HttpContext http, int? limit, string? cursor)
    {
        var paging = Paging.Of(limit, cursor);
        var found = store.Current.Blocks.All.Where(block => block.Id < paging.Before).OrderByDescending(block => block.Id).Take(paging.Limit + 1).ToList();
        return Answer.Of(paging.Show(found, BlockFacts.Of, block => block.Id.ToString(CultureInfo.InvariantCulture)));
    }

    private async Task<Answer<BlockFacts>> BlockAsync(HttpContext http)
    {
        var wanted = await JsonBody.ReadAsync<Wanted>(http);
        if (!ImagePattern.TryParse(wanted.Image, out var pattern, out var problem))
            throw ProblemException.Bad([new Mistake("image", $"'{PrintableText.Of(wanted.Image)}' {problem}")]);
        var block = await desk.BlockAsync(pattern, http.Visitor().Request(wanted.Reason, wanted.Ticket), http.RequestAborted);
        store.Refresh(); // in force here when it is answered
        return new Answer<BlockFacts>(BlockFacts.Of(block)) { Status = StatusCodes.Status201Created };
    }

    private async Task<Answer<Changed<BlockFacts>>> LiftAsync(HttpContext http, long id)
    {
        var block = store.Current.Blocks.All.FirstOrDefault(block => block.Id == id)
            ?? throw ProblemException.NotFound(string.Create(CultureInfo.InvariantCulture, $"block {id}"));
        var because = await JsonBody.ReadAsync<Because>(http);
        var outcome = await desk.LiftBlockAsync(block.Pattern, http.Visitor().Request(because.Reason, because.Ticket), http.RequestAborted);
        store.Refresh();
        return outcome.Waiting is { } waiting
            ? Answer.Waiting(new Changed<BlockFacts> { Waiting = ChangeFacts.Of(waiting) }, waiting.Id)
            : Answer.Of(new Changed<BlockFacts> { Done = BlockFacts.Of(outcome.Done!.Block) });
    }

    /// <summary>What <c>POST blocks</c> takes.</summary>
    internal sealed record Wanted(string Image, string Reason)
    {
        public string? Ticket { get; init; }
    }
}

/// <summary>What is told of a block.</summary>
internal sealed record BlockFacts(long Id, string Image, string Reason, string By, DateTime At)
{
    public string? Ticket { get; init; }

    /// <summary>True where every proxy forgets what it keeps of it.</summary>
    public bool? Forgets { get; init; }

    public static BlockFacts Of(Block block) =>
        new(block.Id, block.Pattern.ToString(), block.Reason, block.By, block.At.UtcDateTime) { Ticket = block.Ticket, Forgets = block.Forgets ? true : null };
}
