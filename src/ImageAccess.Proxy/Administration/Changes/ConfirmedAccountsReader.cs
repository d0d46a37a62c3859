using ImageAccess.Proxy.Callers.Members;
using ImageAccess.Proxy.Foundation.Database;

namespace ImageAccess.Proxy.Administration.Changes;

/// <summary>Reads the confirmed accounts whenever they have changed.</summary>
internal sealed class ConfirmedAccountsReader(SqlDatabase database, DatabaseState state, ConfirmedAccounts confirmed, TimeProvider time)
    : DatabaseReader(database, state, ConfirmedAccountTable.Sequence, time)
{
    protected override SequencePoint? LastRead => confirmed.Read;

    protected override async Task ReadAsync(SequencePoint point, CancellationToken cancellationToken)
    {
        var (read, rows) = await Database.ReadAsync(context => new ConfirmedAccountTable(context).ReadAsync(confirmed.Told, cancellationToken), cancellationToken);
        confirmed.Accept(Database.Name, read, rows);
    }

    protected override void Confirm() => confirmed.Confirm(Database.Name);

    protected override void Fail(string cause) => confirmed.Fail(Database.Name, cause);
}
