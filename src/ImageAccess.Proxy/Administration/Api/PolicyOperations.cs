using System.Globalization;
using System.Text.Json;
using ImageAccess.Proxy.Administration.Changes;
using ImageAccess.Proxy.Administration.Roles;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Foundation.Files;
using ImageAccess.Proxy.Policies.Exceptions;
using ImageAccess.Proxy.Policies.Following;
using ImageAccess.Proxy.Policies.Store;

namespace ImageAccess.Proxy.Administration.Api;

/// <summary><c>policy</c>: the document, each organization's section, and the history.</summary>
internal sealed class PolicyOperations(SqlDatabase database, ChangeDesk desk, PolicyStore store, PolicyReader reader, FollowedStore followed, TimeProvider time) : IOperations
{
    public void Map(IEndpointRouteBuilder api)
    {
        api.Get("/policy", Operation.ReadPolicy, Document);
        api.Put<JsonElement>("/policy", Operation.ChangeCompany, ApplyAsync);
        api.Get("/organizations/{organization}/policy", Operation.ReadPolicy, Section);
        api.Get("/organizations/{organization}/image-access", Operation.ReadPolicy, ImageAccess);
        api.Put<JsonElement>("/organizations/{organization}/policy", Operation.ChangePolicy, ApplySectionAsync);
        api.Post<AllowlistAdditions>("/organizations/{organization}/policy/allowlist", Operation.ChangePolicy, AllowAsync);
        api.Get("/policy/versions", Operation.ReadPolicy, VersionsAsync);
        api.Get("/policy/versions/{version}", Operation.ReadPolicy, VersionAsync);
        api.Post<Because>("/policy/versions/{version}/revert", Operation.ChangeCompany, RevertAsync);
        api.Get("/organizations/{organization}/policy/versions", Operation.ReadPolicy, SectionVersionsAsync);
        api.Get("/organizations/{organization}/policy/versions/{version}", Operation.ReadPolicy, SectionVersionAsync);
        api.Post<Because>("/organizations/{organization}/policy/versions/{version}/revert", Operation.ChangePolicy, RevertSectionAsync);
    }

    /// <summary>The document as it was written, byte for byte: its hash is the version.</summary>
    private Answer<ReadOnlyMemory<byte>> Document(HttpContext http)
    {
        http.Visitor().DemandEvery();
        var document = store.Document;
        return document.Length == 0
            ? throw ProblemException.NotFound("policy document yet: image access is off")
            : Answer.Of<ReadOnlyMemory<byte>>(document, store.Current.DocumentVersion);
    }

    private Answer<ReadOnlyMemory<byte>> Section(HttpContext http, string organization)
    {
        Demand(http, Operation.ReadPolicy, organization);
        var section = PolicySections.Find(store.Document, organization) ?? throw ProblemException.NotFound(Named(organization));
        return Answer.Of<ReadOnlyMemory<byte>>(section, PolicySections.TagOf(store.Document, organization));
    }

    /// <summary>What holds at this moment, wherever it is switched: the document alone does not tell where Docker Hub's own switches are followed.</summary>
    private Answer<ImageAccessFacts> ImageAccess(HttpContext http, string organization)
    {
        Demand(http, Operation.ReadPolicy, organization);
        var (policy, now) = (store.Current, time.GetUtcNow());
        var one = policy.Organizations.FirstOrDefault(one => one.Name == organization) ?? throw ProblemException.NotFound(Named(organization));
        var state = followed.States.FirstOrDefault(state => state.Name == organization);
        return Answer.Of(new ImageAccessFacts(one.Mode(DateOnly.FromDateTime(now.UtcDateTime)), one.AllowsOfficial, one.AllowsVerifiedPublisher, one.AllowsCommunity)
        {
            Followed = state is null ? null : FollowedFacts.Of(state, now),
        });
    }

    private async Task<Answer<ChangedPolicy>> ApplyAsync(HttpContext http, string? reason, string? ticket)
    {
        http.Visitor().DemandEvery();
        var request = http.Visitor().Request(reason, ticket);
        var version = IfMatch(http.Request) ?? throw NoIfMatch();
        return await ChangeAsync(http, new PolicyEdit { Content = await JsonBody.ReadBytesAsync(http), IfUnchanged = version }, request);
    }

    private async Task<Answer<ChangedPolicy>> ApplySectionAsync(HttpContext http, string organization, string? reason, string? ticket)
    {
        Demand(http, Operation.ChangePolicy, organization);
        var request = http.Visitor().Request(reason, ticket);
        var tag = IfMatch(http.Request) ?? throw NoIfMatch();
        return await ChangeAsync(http, new PolicyEdit { Content = await JsonBody.ReadBytesAsync(http), Organization = organization, IfUnchanged = tag }, request);
    }

    /// <summary>Adds repositories to the allowlist, and leaves all else of the section as it is.</summary>
    private async Task<Answer<ChangedPolicy>> AllowAsync(HttpContext http, string organization)
    {
        Demand(http, Operation.ChangePolicy, organization);
        var additions = await JsonBody.ReadAsync<AllowlistAdditions>(http);
        var request = http.Visitor().Request(additions.Reason, additions.Ticket);
        var names = additions.Named();
        var document = store.Document;
        var section = PolicySections.Edit(document, organization, section => additions.AddTo(section, names)) ?? throw ProblemException.NotFound(Named(organization));
        return await ChangeAsync(http, new PolicyEdit { Content = section, Organization = organization, IfUnchanged = PolicySections.TagOf(document, organization) }, request);
    }

    private Task<Answer<Page<VersionFacts>>> VersionsAsync(HttpContext http, int? limit, string? cursor)
    {
        http.Visitor().DemandEvery();
        return ListAsync(http, limit, cursor, (versions, before, count) => versions.PageAsync(before, count, http.RequestAborted));
    }

    /// <summary>Those that changed the section, and of their words those about it.</summary>
    private Task<Answer<Page<VersionFacts>>> SectionVersionsAsync(HttpContext http, string organization, int? limit, string? cursor)
    {
        Demand(http, Operation.ReadPolicy, organization);
        return ListAsync(http, limit, cursor, (versions, before, count) => versions.PageAsync(organization, before, count, http.RequestAborted));
    }

    private async Task<Answer<Page<VersionFacts>>> ListAsync(HttpContext http, int? limit, string? cursor, Func<PolicyVersions, long, int, Task<List<PolicyVersionRow>>> read)
    {
        var paging = Paging.Of(limit, cursor);
        var before = paging.Before;
        var rows = await database.ReadAsync(context => read(new PolicyVersions(context), before, paging.Limit + 1), http.RequestAborted);
        return Answer.Of(paging.Show(rows, VersionFacts.Of, row => row.Sequence.ToString(CultureInfo.InvariantCulture)));
    }

    private async Task<Answer<ReadOnlyMemory<byte>>> VersionAsync(HttpContext http, string version)
    {
        http.Visitor().DemandEvery();
        var row = await FindAsync(http, version);
        return Answer.Of<ReadOnlyMemory<byte>>(row.Document, row.Version);
    }

    private async Task<Answer<ReadOnlyMemory<byte>>> SectionVersionAsync(HttpContext http, string organization, string version)
    {
        Demand(http, Operation.ReadPolicy, organization);
        var (section, tag) = SectionOf(await FindAsync(http, version), organization);
        return Answer.Of<ReadOnlyMemory<byte>>(section, tag);
    }

    private async Task<Answer<ChangedPolicy>> RevertAsync(HttpContext http, string version)
    {
        http.Visitor().DemandEvery();
        var because = await JsonBody.ReadAsync<Because>(http);
        var request = http.Visitor().Request(because.Reason, because.Ticket);
        var row = await FindAsync(http, version);
        return await ChangeAsync(http, new PolicyEdit { Version = row.Version, IfUnchanged = IfMatch(http.Request) }, request);
    }

    private async Task<Answer<ChangedPolicy>> RevertSectionAsync(HttpContext http, string organization, string version)
    {
        Demand(http, Operation.ChangePolicy, organization);
        var because = await JsonBody.ReadAsync<Because>(http);
        var request = http.Visitor().Request(because.Reason, because.Ticket);
        var row = await FindAsync(http, version);
        _ = SectionOf(row, organization);
        return await ChangeAsync(http, new PolicyEdit { Version = row.Version, Organization = organization, IfUnchanged = IfMatch(http.Request) }, request);
    }

    /// <summary>Whoever wants what is there already gets what they want.</summary>
    private async Task<Answer<ChangedPolicy>> ChangeAsync(HttpContext http, PolicyEdit edit, ChangeRequest request)
    {
        try
        {
            var outcome = await desk.ChangePolicyAsync(edit, request, http.RequestAborted);
            if (outcome.Waiting is { } waiting)
                return Answer.Waiting(new ChangedPolicy { Waiting = ChangeFacts.Of(waiting), TakesBack = outcome.TakesBack }, waiting.Id);
            await reader.CatchUpAsync(http.RequestAborted); // in force here when it is answered: a program reads what it has written
            var row = outcome.Done!;
            return Answer.Of(new ChangedPolicy { Done = VersionFacts.Of(row) }, edit.Organization is { } organization ? PolicySections.TagOf(row.Document, organization) : row.Version);
        }
        catch (SamePolicyException same)
        {
            return Answer.Of(new ChangedPolicy { Unchanged = same.Version }, same.Unchanged);
        }
        catch (MalformedPolicyException malformed) when (edit.Version is null) // one of the history is as it is
        {
            throw Refused(edit.Organization is null ? "document" : "section", malformed);
        }
    }

    /// <summary>Names all problems of what was written.</summary>
    /// <param name="what"><c>document</c> or <c>section</c>.</param>
    public static ProblemException Refused(string what, RefusedChangeException refused) => new(new Problem(400, $"the {what} is refused: {PrintableText.ListOf(refused.Problems, 3)}")
    {
        Errors = [.. refused.Problems.Select(problem => new Mistake(what, problem))],
    });

    private async Task<PolicyVersionRow> FindAsync(HttpContext http, string version) =>
        await database.ReadAsync(context => new PolicyVersions(context).FindAsync(version, http.RequestAborted), http.RequestAborted)
        ?? throw ProblemException.NotFound($"version {PrintableText.Of(version)} of the policy");

    /// <exception cref="ProblemException">The version has no such organization, or is none that this program can read.</exception>
    private static (byte[] Section, string Tag) SectionOf(PolicyVersionRow row, string organization) =>
        PolicySections.TagOf(row.Document, organization) is { } tag
            ? (PolicySections.Find(row.Document, organization)!, tag)
            : throw ProblemException.NotFound($"{Named(organization)} in the version {row.Version}");

    private static void Demand(HttpContext http, Operation operation, string organization) => http.Visitor().Demand(operation, organization, Named(organization));

    private static string Named(string organization) => $"organization {PrintableText.Of(organization)}";

    /// <summary>Which version the change is made from; null where that is not said.</summary>
    private static string? IfMatch(HttpRequest request)
    {
        if (request.Headers.IfMatch.Count == 0)
            return null;
        return request.GetTypedHeaders().IfMatch is [{ IsWeak: false } tag] && tag.Tag.Value is ['"', .. var text, '"']
            ? text
            : throw ProblemException.Bad("If-Match must be one ETag, as it was read");
    }

    /// <summary>Without it a change would undo another one that nobody has seen.</summary>
    private static ProblemException NoIfMatch() => new(new Problem(428, "say which version you change: If-Match with the ETag of what you read"));
}

/// <summary>What an organization's members may use by their types, as it holds.</summary>
/// <param name="Mode"><c>off</c>, <c>observe</c> or <c>enforce</c>.</param>
internal sealed record ImageAccessFacts(string Mode, bool Official, bool VerifiedPublisher, bool Community)
{
    /// <summary>Where the first three follow Docker Hub's own switches; null where they are the document's.</summary>
    public FollowedFacts? Followed { get; init; }
}

/// <summary>What became of a change of the policy: it is done, it waits for a second person, or there was nothing to do.</summary>
internal sealed record ChangedPolicy
{
    public VersionFacts? Done { get; init; }

    public ChangeFacts? Waiting { get; init; }

    /// <summary>What that which waits would take back, in words.</summary>
    public IReadOnlyList<string>? TakesBack { get; init; }

    /// <summary>The version that is in force already.</summary>
    public string? Unchanged { get; init; }
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

    /// <summary>As far as it was told.</summary>
    public PolicyVersionRow ToRow() => new()
    {
        Id = "",
        Version = Version,
        PreviousVersion = PreviousVersion,
        Since = new DateTimeOffset(Since),
        Document = [],
        Who = Who,
        Why = Why,
        Ticket = Ticket,
        Opens = [.. Opens],
        TakesBack = [.. TakesBack],
    };
}
