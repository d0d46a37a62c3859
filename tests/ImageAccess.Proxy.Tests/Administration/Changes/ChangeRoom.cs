using System.Text;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Administration.Changes;
using ImageAccess.Proxy.Administration.Requests;
using ImageAccess.Proxy.Administration.Roles;
using ImageAccess.Proxy.Callers.Members;
using ImageAccess.Proxy.Foundation.Audit;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Policies.Exceptions;
using ImageAccess.Proxy.Policies.Store;
using ImageAccess.Proxy.Tests.Callers.Members;
using ImageAccess.Proxy.Tests.Policies.Store;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Tests.Administration.Changes;

/// <summary>A desk over a database, a data directory and a policy that a test puts in force: alice owns acme, and each role has somebody.</summary>
internal sealed class ChangeRoom : IDisposable
{
    public const string Digest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    private readonly SettablePolicy _policies;
    private readonly PolicyFixture _fixture = new();

    public ChangeRoom(SqlDatabase? database = null)
    {
        _policies = new SettablePolicy { Current = PolicyWith() };
        Database = database ?? new SqliteDatabase(DatabasePath);
        var options = Options.Create(new DirectoryOptions());
        var accounts = new NamedAccounts(options, new ConfirmedAccounts(options, Audit.Trail, NullLogger<ConfirmedAccounts>.Instance));
        var directory = new MembershipDirectory(options, accounts, Audit.Trail, Time, NullLogger<MembershipDirectory>.Instance);
        var roles = new RoleBook(_policies, directory, accounts);
        Desk = new ChangeDesk(
            Database, new PolicyStoreOptions { Source = "database", DataDirectory = _fixture.Data }, () => Policy, Time, roles, Audit.Trail, [new RequestAnswers(roles)]);
    }

    public ManualTime Time => _fixture.Time;

    public Foundation.Audit.AuditFixture Audit => _fixture.Audit;

    public SqlDatabase Database { get; }

    public string DatabasePath => Path.Combine(_fixture.Data, "imageaccess.db");

    public string Data => _fixture.Data;

    public ChangeDesk Desk { get; }

    public Policy Policy
    {
        get => _policies.Current;
        set => _policies.Current = value;
    }

    public static Actor Person(string name) => new() { Name = name };

    public static Policy PolicyWith(int approvals = 2, bool ticket = false, string exceptions = "{}") => PolicyFixture.Compile(DocumentWith(approvals, ticket, exceptions));

    public static string DocumentWith(int approvals = 2, bool ticket = false, string exceptions = "{}") => $$"""
        {
          "exceptions": {{exceptions}},
          "changes": { "approvals": {{approvals}}, "ticket": {{(ticket ? "true" : "false")}} },
          "companyOwners": [ "zoe" ],
          "organizations": [
            { "name": "acme", "enabled": true, "owners": [ "alice" ], "members": [ "bob" ],
              "roles": { "administrators": [ "dan", "eve" ], "approvers": [ "fay", "kim" ], "auditors": [ "gus" ], "onCall": [ "hal" ] } },
            { "name": "beta", "enabled": true, "owners": [ "nina", "olga" ] }
          ]
        }
        """;

    /// <summary>The document is in the database, and in force.</summary>
    public async Task ImportAsync(string document)
    {
        Policy = PolicyFixture.Compile(document);
        var edits = new PolicyEdits(Database, new PolicyStoreOptions { Source = "database", DataDirectory = _fixture.Data }, Time);
        await edits.ImportAsync(Encoding.UTF8.GetBytes(document), Core.Policies.Policy.Off, new PolicyAuthor("root", "the first"), default);
    }

    public Task<ChangeOutcome<PolicyVersionRow>> ApplyAsync(string by, string document, string? organization = null, string? ticket = null) => ApplyAsync(
        Person(by), new PolicyEdit { Content = Encoding.UTF8.GetBytes(document), Organization = organization }, ticket);

    public Task<ChangeOutcome<PolicyVersionRow>> ApplyAsync(Actor by, PolicyEdit edit, string? ticket = null) =>
        Desk.ChangePolicyAsync(edit, new ChangeRequest(by, "because") { Ticket = ticket }, default);

    /// <summary>The versions of the document, the newest first.</summary>
    public Task<List<PolicyVersionRow>> VersionsAsync() => Database.ReadAsync(context => context.PolicyVersions.OrderByDescending(row => row.Sequence).ToListAsync(), default);

    public Task<ChangeOutcome<ExceptionRow>> GrantAsync(string by, string image = "bitnami/redis", string? ticket = null, TimeSpan? length = null) => Desk.GrantExceptionAsync(
        new ExceptionGrant
        {
            Organization = "acme",
            Image = image,
            Digest = image.Contains(':', StringComparison.Ordinal) && !image.Contains('@', StringComparison.Ordinal) ? Digest : null,
            Reason = "",
            ApprovedBy = "",
            Until = Time.GetUtcNow() + length,
        },
        new ChangeRequest(Person(by), "for the build") { Ticket = ticket },
        default);

    public Task<List<ExceptionRow>> ExceptionsAsync() => Database.ReadAsync(context => context.Exceptions.OrderBy(row => row.Id).ToListAsync(), default);

    public Task<PendingChangeRow> ChangeAsync(long id) => Database.ReadAsync(context => context.PendingChanges.SingleAsync(row => row.Id == id), default);

    public BlockDocument Blocks() => new BlocksOnDisk(new PolicyStoreOptions { DataDirectory = _fixture.Data }).Find();

    /// <summary>What the trail was told since the last question, about changes.</summary>
    public List<string> Told()
    {
        var told = new List<string>();
        while (Audit.Pending.TryTake(out var audit))
        {
            if (audit is ChangeEvent { Step: var step })
                told.Add($"{step.State} {step.Id} {step.Kind} of {step.Organization ?? "all"} by {step.By ?? "nobody"} for {step.AskedBy} ({step.Ticket}): {string.Join("; ", step.Opens)}: {step.Reason}");
            if (audit is ForbiddenChangeEvent forbidden)
                told.Add($"forbidden {forbidden.Operation} of {forbidden.Organization ?? "all"} by {forbidden.User}");
        }

        return told;
    }

    public void Dispose() => _fixture.Dispose();
}
