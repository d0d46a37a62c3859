using static ImageAccess.Core.Policies.Roles;

namespace ImageAccess.Proxy.Administration.Roles;

/// <summary>What somebody may want to do.</summary>
internal enum Operation
{
    None,
    ReadPolicy,
    ReadExceptions,
    ReadBlocks,
    ReadDenials,
    ReadOwnDenials,
    ReadMembers,
    ReadStatus,
    ReadTokens,
    ReadChanges,
    TryPolicy,
    ChangePolicy,
    ChangeCompany,
    GrantException,
    EndException,
    Block,
    LiftBlock,
    BreakGlass,
    ReviewBreakGlass,
    ManageTokens,
    ConfirmAccount,
    Approve,
    AskForAccess,
    ReadRequests,
    ReadActivity,
    ReadDecisions,
    ReadOwnDecisions,
    ReportMachine,
    OpenCaller,
}

/// <summary>Who may do what: one row for each operation, with the roles of which one is enough.</summary>
internal static class Rights
{
    private const Core.Policies.Roles Changing = Administrator | Owner | CompanyOwner;

    private const Core.Policies.Roles Answering = Approver | Changing;

    private const Core.Policies.Roles Reading = Auditor | OnCall | Answering;

    private static readonly Dictionary<Operation, Core.Policies.Roles> Table = new()
    {
        [Operation.ReadPolicy] = Member | Reading,
        [Operation.ReadExceptions] = Member | Reading,
        [Operation.ReadBlocks] = Member | Reading,
        [Operation.ReadDenials] = Reading,
        [Operation.ReadOwnDenials] = Member | Reading, // and of what nobody signed in for all but the address
        [Operation.ReadMembers] = Reading,
        [Operation.ReadStatus] = Reading,
        [Operation.ReadTokens] = Auditor | Changing,
        [Operation.ReadChanges] = Reading,
        [Operation.TryPolicy] = Auditor | Changing, // what a draft would do; it changes nothing
        [Operation.ChangePolicy] = Changing,
        [Operation.ChangeCompany] = CompanyOwner,
        [Operation.GrantException] = Answering,
        [Operation.EndException] = Answering,
        [Operation.Block] = Changing,
        [Operation.LiftBlock] = Changing,
        [Operation.BreakGlass] = OnCall | Changing,
        [Operation.ReviewBreakGlass] = Auditor | Answering,
        [Operation.ManageTokens] = Changing,
        [Operation.ConfirmAccount] = Changing, // as whoever may write it into the policy
        [Operation.Approve] = Answering, // and the right to the change itself
        [Operation.AskForAccess] = Member | Reading,
        [Operation.ReadRequests] = Reading, // whoever asked reads their own
        [Operation.ReadActivity] = Auditor | Changing,
        [Operation.ReadDecisions] = Auditor | Changing,
        [Operation.ReadOwnDecisions] = Member | Reading,
        [Operation.ReportMachine] = Reporter | Changing, // what may be told lies on every machine: it may nothing else
        [Operation.OpenCaller] = Auditor | Changing, // who a pseudonym is; another person has to approve it
    };

    /// <summary>Whether one of the roles is enough; of an operation that has no row, none is.</summary>
    public static bool Allow(Core.Policies.Roles roles, Operation operation) => (Table.GetValueOrDefault(operation) & roles) != None;
}
