using ImageAccess.Core.Classification;
using ImageAccess.Core.Oci;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Administration.Changes;
using ImageAccess.Proxy.Administration.Requests;
using ImageAccess.Proxy.Administration.Roles;
using ImageAccess.Proxy.Foundation.Audit;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Policies.Decisions;
using ImageAccess.Proxy.Policies.Exceptions;
using ImageAccess.Proxy.Tests.Administration.Changes;
using ImageAccess.Proxy.Tests.Policies.Store;
using Microsoft.EntityFrameworkCore;

namespace ImageAccess.Proxy.Tests.Administration.Requests;

/// <summary>A desk of requests. bob, cleo and fay are members of acme; dora of acme, beta and gamma, which only observes; hank of beta.</summary>
internal sealed class RequestRoom : IDisposable
{
    public RequestRoom(SqlDatabase? database = null)
    {
        Changes = new ChangeRoom(database);
        Use();
        Desk = new RequestDesk(Database, Changes.Desk, () => Changes.Policy, JudgeAsync, Time);
    }

    public ChangeRoom Changes { get; }

    public RequestDesk Desk { get; }

    public SqlDatabase Database => Changes.Database;

    public ManualTime Time => Changes.Time;

    /// <summary>How often the policy was asked.</summary>
    public int Judged { get; private set; }

    public void Use(int approvals = 1, bool ticket = false, string exceptions = """{ "maximumDays": 90 }""", string members = """ "bob", "cleo", "dora", "fay" """) => Changes.Policy = PolicyFixture.Compile(
        $$"""
        {
          "exceptions": {{exceptions}},
          "changes": { "approvals": {{approvals}}, "ticket": {{(ticket ? "true" : "false")}} },
          "companyOwners": [ "zoe" ],
          "organizations": [
            { "name": "acme", "enabled": true, "allow": { "official": true, "verifiedPublisher": true }, "owners": [ "alice" ], "members": [ {{members}} ],
              "allowlist": [ { "repository": "listed/tool" } ],
              "roles": { "administrators": [ "dan" ], "approvers": [ "fay", "kim" ], "auditors": [ "gus" ] } },
            { "name": "beta", "enabled": true, "allow": { "official": true }, "owners": [ "nina" ], "members": [ "dora", "hank" ], "roles": { "approvers": [ "ned" ] } },
            { "name": "gamma", "enabled": true, "mode": "observe", "owners": [ "gail" ], "members": [ "dora" ] }
          ]
        }
        """);

    public static Actor Person(string name) => new() { Name = name };

    /// <summary>A token of the API.</summary>
    public static Actor Token(Core.Policies.Roles role, string? organization = "acme", string? person = null) =>
        new() { Name = person ?? "token 7", Person = person, Fixed = role, Organization = organization };

    public Task<RequestOutcome> AskAsync(string person, string? image = "bitnami/redis", int days = 30, string reason = "for the build", string? ticket = null, string? denial = null) =>
        AskAsync(Person(person), image, days, reason, ticket, denial);

    public Task<RequestOutcome> AskAsync(Actor actor, string? image = "bitnami/redis", int days = 30, string reason = "for the build", string? ticket = null, string? denial = null) =>
        Desk.AskAsync(new AccessAsk { Image = image, Denial = denial, Days = days }, new ChangeRequest(actor, reason) { Ticket = ticket }, default);

    public Task<RequestOutcome> ApproveAsync(long id, string by, RequestApproval? approval = null, string comment = "", string? ticket = null) =>
        ApproveAsync(id, Person(by), approval, comment, ticket);

    public Task<RequestOutcome> ApproveAsync(long id, Actor by, RequestApproval? approval = null, string comment = "", string? ticket = null) =>
        Desk.ApproveAsync(id, approval ?? new RequestApproval(), new ChangeRequest(by, comment) { Ticket = ticket }, default);

    public Task<RequestOutcome> DeclineAsync(long id, string by, string comment = "use valkey", string? organization = null) =>
        Desk.DeclineAsync(id, organization, new ChangeRequest(Person(by), comment), default);

    public Task<RequestOutcome> WithdrawAsync(long id, string by, string reason = "") => Desk.WithdrawAsync(id, new ChangeRequest(Person(by), reason), default);

    public async Task<AccessRequest> FindAsync(long id) => (await Database.ReadAsync(context => new RequestTable(context).FindAsync(id, default), default))!;

    /// <summary>The request and its answers, in short.</summary>
    public async Task<string> StateAsync(long id)
    {
        var found = await FindAsync(id);
        return $"{found.StateAt(Time.GetUtcNow())}: {string.Join(", ", found.Answers.Select(answer => $"{answer.Organization} {answer.State}"))}";
    }

    /// <summary>Each step, as it comes into the audit trail.</summary>
    public async Task<List<string>> StepsAsync() =>
        [.. (await Database.ReadAsync(context => context.RequestSteps.OrderBy(step => step.Version).ToListAsync(), default))
            .Select(step => $"{step.Request} {step.Step} {step.Organization ?? "-"} by {step.By ?? "nobody"} for {string.Join("+", step.AskedBy)}: {step.State}")];

    /// <summary>What the trail was told since the last question, about requests.</summary>
    public List<string> Told()
    {
        var told = new List<string>();
        while (Changes.Audit.Pending.TryTake(out var audit))
        {
            if (audit is RequestEvent { Step: var step })
                told.Add($"{step.Request} {step.Step} {step.Image} {step.Organization ?? "-"} by {step.By ?? "nobody"} for {string.Join("+", step.AskedBy)}: {step.State}: {step.Reason}");
        }

        return told;
    }

    /// <summary>Whether a user may have it, by the exceptions that are in the database.</summary>
    public async Task<string> VerdictAsync(string person, string image)
    {
        Assert.True(ImageName.TryParse(image, out var name, out var problem), problem);
        return (await JudgeAsync(name, person, default)).Verdict;
    }

    public Task WriteAsync(Func<DatabaseContext, Task> write) => Database.WriteAsync(
        async context =>
        {
            await write(context);
            await context.SaveChangesAsync();
        },
        default);

    public void Dispose() => Changes.Dispose();

    /// <summary>As the running program does it; the namespace <c>vendor</c> is a verified publisher's, and of <c>ghost</c> nothing can be found out.</summary>
    private async Task<ImageVerdict> JudgeAsync(ImageName image, string person, CancellationToken cancellationToken)
    {
        Judged++;
        if (image.Repository is not { } repository)
            return ImageVerdict.OutsideOf(image);
        var now = Time.GetUtcNow();
        var reading = await Database.ReadAsync(context => new ExceptionTable(context).ReadAsync(null, now, cancellationToken), cancellationToken);
        var policy = Changes.Policy.With(new Exceptions([.. reading.Open.Select(row => ExceptionTable.Parse(row, out _)!)], 1)).With(Changes.Blocks().ToBlocks());
        var publisher = repository.Namespace == "ghost"
            ? PublisherFacts.Unavailable
            : PublisherFacts.Known(new NamespaceRecord(repository.Namespace, repository.Namespace == "vendor" ? NamespaceBadge.VerifiedPublisher : NamespaceBadge.None, "test", now));
        var decision = new PolicyView(policy, Caller.SignedIn(person, person), now).Decide(Asked.PullOf(repository, image.Tag, image.Digest), publisher);
        return ImageVerdict.Of(image, decision, decision.Classification, now);
    }
}
