using ImageAccess.Proxy.Administration.Roles;
using static ImageAccess.Core.Policies.Roles;

namespace ImageAccess.Proxy.Tests.Administration.Roles;

/// <summary>Who may what: every role, every operation.</summary>
public sealed class RightsTests
{
    private const Core.Policies.Roles Changing = Administrator | Owner | CompanyOwner;

    public static TheoryData<string, Core.Policies.Roles> Rows => new()
    {
        { nameof(Operation.None), None },
        { nameof(Operation.ReadPolicy), Member | Auditor | OnCall | Approver | Changing },
        { nameof(Operation.ReadExceptions), Member | Auditor | OnCall | Approver | Changing },
        { nameof(Operation.ReadBlocks), Member | Auditor | OnCall | Approver | Changing },
        { nameof(Operation.ReadDenials), Auditor | OnCall | Approver | Changing },
        { nameof(Operation.ReadOwnDenials), Member | Auditor | OnCall | Approver | Changing },
        { nameof(Operation.ReadMembers), Auditor | OnCall | Approver | Changing },
        { nameof(Operation.ReadStatus), Auditor | OnCall | Approver | Changing },
        { nameof(Operation.ReadTokens), Auditor | Changing },
        { nameof(Operation.ReadChanges), Auditor | OnCall | Approver | Changing },
        { nameof(Operation.TryPolicy), Auditor | Changing },
        { nameof(Operation.ChangePolicy), Changing },
        { nameof(Operation.ChangeCompany), CompanyOwner },
        { nameof(Operation.GrantException), Approver | Changing },
        { nameof(Operation.EndException), Approver | Changing },
        { nameof(Operation.Block), Changing },
        { nameof(Operation.LiftBlock), Changing },
        { nameof(Operation.BreakGlass), OnCall | Changing },
        { nameof(Operation.ReviewBreakGlass), Auditor | Approver | Changing },
        { nameof(Operation.ManageTokens), Changing },
        { nameof(Operation.ConfirmAccount), Changing },
        { nameof(Operation.Approve), Approver | Changing },
        { nameof(Operation.AskForAccess), Member | Auditor | OnCall | Approver | Changing },
        { nameof(Operation.ReadRequests), Auditor | OnCall | Approver | Changing },
        { nameof(Operation.ReadActivity), Auditor | Changing },
        { nameof(Operation.ReadDecisions), Auditor | Changing },
        { nameof(Operation.ReadOwnDecisions), Member | Auditor | OnCall | Approver | Changing },
        { nameof(Operation.ReportMachine), Reporter | Changing },
        { nameof(Operation.OpenCaller), Auditor | Changing },
    };

    [Theory]
    [MemberData(nameof(Rows))]
    public void Each_role_may_what_the_table_says(string operation, Core.Policies.Roles roles) => Assert.All(
        Enum.GetValues<Core.Policies.Roles>(), role => Assert.Equal((roles & role) != None, Rights.Allow(role, Enum.Parse<Operation>(operation))));

    [Fact]
    public void Each_operation_has_a_row() => Assert.Equal(Enum.GetNames<Operation>(), Rows.Select(row => (string)row[0]));
}
