using System.Globalization;
using System.Text.Json;
using ImageAccess.Proxy.Administration.Changes;
using ImageAccess.Proxy.Administration.Roles;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Foundation.Files;
using ImageAccess.Proxy.Policies.Store;

namespace ImageAccess.Proxy.Administration.Api;

/// <summary><c>policy</c>: the document, each organization's section, and the history.</summary>
internal sealed class PolicyOperations(SqlDatabase database, ChangeDesk desk, PolicyStore store, PolicyReader reader) : IOperations
{
    public void Map(IEndpointRouteBuilder api)
    {
        api.Get("/policy", Operation.ReadPolicy, Document);
        api.Put<JsonElement>("/policy", Operation.ChangeCompany, ApplyAsync);
        api.Get("/organizations/{organization}/policy", Operation.ReadPolicy, Section);
        api.Put<JsonElement>("/organizations/{organization}/policy", Operation.ChangePolicy, ApplySectionAsync);
        api.Get("/policy/versions", Operation.ReadPolicy, VersionsAsync);
        api.Get("/policy/versions/{version}", Operation.ReadPolicy, VersionAsync);
        api.Post<Because>("/policy/versions/{version}/revert", Operation.ChangeCompany, RevertAsync);
    }

    /// <summary>The document as it was written, byte for byte: its hash is the version.</summary>
    private Answer<ReadOnlyMemory<byte>> Document(HttpContext http)
    {
        http.Visitor().DemandEvery();
        var document = store.Document;
        return document.Length == 0
            ? throw ProblemException.NotFound("policy document yet: image access is off")
            : Answer.Of<ReadOnlyMemory<byte>>(document, store.Current.Version);
    }

    private Answer<ReadOnlyMemory<byte>> Section(HttpContext http, string organization)
    {
        var what = $"organization {PrintableText.Of(organization)}";
        http.Visitor().Demand(Operation.ReadPolicy, organization, what);
        var section = PolicySections.Find(store.Document, organization) ?? throw ProblemException.NotFound(what);
        return Answer.Of<ReadOnlyMemory<byte>>(section, PolicySections.TagOf(store.Document, organization));
    }

    private async Task<Answer<Changed<VersionFacts>>> ApplyAsync(HttpContext http, string? reason, string? ticket)
    {
        http.Visitor().DemandEvery();
        var request = http.Visitor().Request(reason, ticket);
        var version = IfMatch(http.Request);
        var edit = new PolicyEdit { Content = await JsonBody.ReadBytesAsync(http), IfUnchanged = version };
        return await ChangeAsync(edit, request, http);
    }

    private async Task<Answer<Changed<VersionFacts>>> ApplySectionAsync(HttpContext http, string organization, string? reason, string? ticket)
    {
        var what = $"organization {PrintableText.Of(organization)}";
        http.Visitor().Demand(Operation.ChangePolicy, organization, what);
        var request = http.Visitor().Request(reason, ticket);
        var version = IfMatch(http.Request);
        var edit = new PolicyEdit { Content = await JsonBody.ReadBytesAsync(http), Organization = organization, IfUnchanged = version };
        return await ChangeAsync(edit, request, http);
    }

    private async Task<Answer<Page<VersionFacts>>> VersionsAsync(HttpContext http, int? limit, string? cursor)
    {
        http.Visitor().DemandEvery();
        var paging = Paging.Of(limit, cursor);
        var before = paging.Before;
        var rows = await database.ReadAsync(context => new PolicyVersions(context).PageAsync(before, paging.Limit + 1, http.RequestAborted), http.RequestAborted);
        return Answer.Of(paging.Show(rows, VersionFacts.Of, row => row.Sequence.ToString(CultureInfo.InvariantCulture)));
    }

    private async Task<Answer<ReadOnlyMemory<byte>>> VersionAsync(HttpContext http, string version)
    {
        http.Visitor().DemandEvery();
        var row = await FindAsync(http, version);
        return Answer.Of<ReadOnlyMemory<byte>>(row.Document, row.Version);
    }

    private async Task<Answer<Changed<VersionFacts>>> RevertAsync(HttpContext http, string version)
    {
        http.Visitor().DemandEvery();
        var because = await JsonBody.ReadAsync<Because>(http);
        var request = http.Visitor().Request(because.Reason, because.Ticket);
        var row = await FindAsync(http, version);
        return await ChangeAsync(new PolicyEdit { Version = row.Version }, request, http);
    }

    private async Task<PolicyVersionRow> FindAsync(HttpContext http, string version) =>
        await database.ReadAsync(context => new PolicyVersions(context).FindAsync(version, http.RequestAborted), http.RequestAborted)
        ?? throw ProblemException.NotFound($"version {PrintableText.Of(version)} of the policy");

    /// <summary>What is done is in force here when it is answered: a program reads what it has written.</summary>
    private async Task<Answer<Changed<VersionFacts>>> ChangeAsync(PolicyEdit edit, ChangeRequest request, HttpContext http)
    {
        var outcome = await desk.ChangePolicyAsync(edit, request, http.RequestAborted);
        if (outcome.Waiting is { } waiting)
            return Answer.Waiting(new Changed<VersionFacts> { Waiting = ChangeFacts.Of(waiting) }, waiting.Id);
        await reader.CatchUpAsync(http.RequestAborted);
        return Answer.Of(new Changed<VersionFacts> { Done = VersionFacts.Of(outcome.Done!) }, outcome.Done!.Version);
    }

    /// <summary>Which version the change is made from. Without it a change would undo another one that nobody has seen.</summary>
    private static string IfMatch(HttpRequest request)
    {
        var tags = request.GetTypedHeaders().IfMatch;
        if (request.Headers.IfMatch.Count == 0)
            throw new ProblemException(new Problem(428, "say which version you change: If-Match with the ETag of what you read"));
        return tags is [{ IsWeak: false } tag] && tag.Tag.Value is ['"', .. var text, '"']
            ? text
            : throw ProblemException.Bad("If-Match must be one ETag, as it was read");
    }
}

/// <summary>What is told of a version of the policy.</summary>
internal sealed record VersionFacts(string Version, DateTime Since, string Why, IReadOnlyList<string> Opens, IReadOnlyList<string> TakesBack)
{
    public string? PreviousVersion { get; init; }

    public string? Who { get; init; }

    public string? Ticket { get; init; }

    public static VersionFacts Of(PolicyVersionRow row) => new(row.Version, row.Since.UtcDateTime, row.Why, row.Opens, row.TakesBack)
    {
        PreviousVersion = row.PreviousVersion,
        Who = row.Who,
        Ticket = row.Ticket,
    };
}
