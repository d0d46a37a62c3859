using ImageAccess.Proxy.Foundation.Database;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Policies.Store;

/// <summary>Reads the policy document of the database whenever it has changed, and has the store look at it.</summary>
internal sealed class PolicyReader(
    SqlDatabase database, DatabaseState state, PolicyStore store, DatabaseDocument document, IOptions<PolicyStoreOptions> options, TimeProvider time)
    : DatabaseReader(database, state, PolicyVersions.Sequence, time)
{
    /// <summary>By the machine's own clock: how long the start waits for a database that does not answer.</summary>
    private static readonly TimeSpan StartLimit = TimeSpan.FromSeconds(10);

    protected override SequencePoint? LastRead => document.Point;

    /// <summary>Before the store opens: what is in force from the first request on is what the database has, where it can be read.</summary>
    public async Task ReadFirstAsync(CancellationToken cancellationToken)
    {
        try
        {
            await Task.Run(() => FirstAsync(cancellationToken), cancellationToken).WaitAsync(StartLimit, TimeProvider.System, cancellationToken);
        }
        catch (Exception exception) when (!cancellationToken.IsCancellationRequested)
        {
            document.Fail(Database.Explain(exception));
        }
    }

    protected override async Task ReadAsync(SequencePoint point, CancellationToken cancellationToken)
    {
        document.Take(await PolicyVersions.ReadDocumentAsync(Database, point, options.Value.MaximumSize, cancellationToken));
        store.Refresh();
    }

    protected override void Confirm() => document.Confirm();

    protected override void Fail(string cause) => document.Fail(cause);

    private async Task FirstAsync(CancellationToken cancellationToken)
    {
        if (!Database.Exists)
            throw new DatabaseException("is not there");
        if (await Database.ReadMigrationAsync(cancellationToken) is null)
            throw new DatabaseException("has no tables yet: imageaccess database migrate makes them");
        var point = await Database.ReadSequenceAsync(PolicyVersions.Sequence, cancellationToken);
        document.Take(await PolicyVersions.ReadDocumentAsync(Database, point, options.Value.MaximumSize, cancellationToken));
    }
}
