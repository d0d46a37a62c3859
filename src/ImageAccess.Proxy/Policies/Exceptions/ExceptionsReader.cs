using ImageAccess.Proxy.Foundation.Database;

namespace ImageAccess.Proxy.Policies.Exceptions;

/// <summary>Reads the exceptions whenever they have changed.</summary>
internal sealed class ExceptionsReader(SqlDatabase database, DatabaseState state, ExceptionStore store, TimeProvider time)
    : DatabaseReader(database, state, ExceptionTable.Sequence, time)
{
    protected override SequencePoint? LastRead => store.Read;

    protected override async Task ReadAsync(SequencePoint point, CancellationToken cancellationToken) => store.Accept(
        Database.Name,
        await Database.ReadAsync(context => new ExceptionTable(context).ReadAsync(store.Told, Time.GetUtcNow(), cancellationToken), cancellationToken));

    protected override void Confirm() => store.Confirm(Database.Name);

    protected override void Fail(string cause) => store.Fail(Database.Name, cause);
}
