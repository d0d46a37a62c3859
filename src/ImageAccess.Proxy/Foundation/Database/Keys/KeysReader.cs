using Microsoft.AspNetCore.DataProtection.KeyManagement.Internal;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Foundation.Database.Keys;

/// <summary>Opens the key file at the start, and reads the key ring whenever it has changed.</summary>
/// <param name="ring">What data protection makes of it.</param>
internal sealed class KeysReader(SqlDatabase database, DatabaseState state, KeyFile file, KeyStore store, Lazy<IKeyRingProvider> ring, TimeProvider time, ILogger<KeysReader> logger)
    : DatabaseReader(database, state, KeyStore.Sequence, time)
{
    private string? _trouble;

    protected override SequencePoint? LastRead => store.Point;

    public override Task StartAsync(CancellationToken cancellationToken)
    {
        Tell(file.Open());
        return base.StartAsync(cancellationToken);
    }

    protected override async Task ReadAsync(SequencePoint point, CancellationToken cancellationToken)
    {
        if (!IsOpen())
            return;
        var (read, rows) = await Database.ReadAsync(
            async context => (await SequenceRow.ReadAsync(context, KeyStore.Sequence, cancellationToken), await KeyStore.ListAsync(context, cancellationToken)), cancellationToken);
        store.Accept(Database.Name, read, rows);
        if (store.IsUsed)
            ring.Value.GetCurrentKeyRing(); // here, so that no request has to
    }

    protected override void Confirm()
    {
        if (IsOpen())
            store.Confirm();
    }

    protected override void Fail(string cause)
    {
        // The keys that are known go on, and /readyz tells of the database.
    }

    private bool IsOpen()
    {
        if (file.IsOpen)
            return true;
        try
        {
            Tell(file.Open());
        }
        catch (OptionsValidationException unusable)
        {
            Tell(unusable.Failures.First());
        }

        return file.IsOpen;
    }

    private void Tell(string? trouble)
    {
        if (trouble is not null && _trouble is null)
            logger.KeyFileNotMade(file.Path, trouble);
        _trouble = trouble;
    }
}
