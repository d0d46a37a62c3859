using ImageAccess.Proxy.Foundation.Audit;
using ImageAccess.Proxy.Foundation.Database;

namespace ImageAccess.Proxy.Administration.Tokens;

/// <summary>
/// Brings into the audit trail which tokens were made and revoked, by whichever process; and writes when each was used last, at most once a
/// minute. A program that ends between telling and writing that it has told tells it again, and never not at all.
/// </summary>
internal sealed class TokenUpkeep(AuditTrail trail, TimeProvider time) : IDatabaseWriter
{
    public static readonly TimeSpan Period = TimeSpan.FromMinutes(1);

    private readonly Lock _gate = new();
    private Dictionary<long, DateTimeOffset> _uses = [];
    private DateTimeOffset? _written;
    private SequencePoint _told = SequencePoint.None;

    /// <summary>What was told, and could not be marked as told: it is not told with every try.</summary>
    private HashSet<(long Id, bool Revoked)> _unmarked = [];

    /// <summary>Another process may have made one; to see that, a number is read.</summary>
    public bool IsWaiting => true;

    public bool LosesAtStop
    {
        get
        {
            lock (_gate)
                return _uses.Count > 0;
        }
    }

    /// <summary>A token was used.</summary>
    public void Note(long id)
    {
        lock (_gate)
        {
            if (_uses.Count < TokenTable.Maximum)
                _uses[id] = time.GetUtcNow();
        }
    }

    public async Task WriteAsync(SqlDatabase database, CancellationToken cancellationToken)
    {
        if (await database.ReadSequenceAsync(TokenTable.Sequence, cancellationToken) is var point && point != _told)
        {
            while (await TellAsync(database, cancellationToken))
            {
                // There may be more.
            }

            (_told, _unmarked) = (point, []);
        }

        if (TakeUses() is { Count: > 0 } uses)
            await database.WriteAsync(context => new TokenTable(context).AddUsesAsync(uses, cancellationToken), cancellationToken);
    }

    private async Task<bool> TellAsync(SqlDatabase database, CancellationToken cancellationToken)
    {
        var count = 0;
        await database.WriteAsync(
            async context =>
            {
                var rows = await new TokenTable(context).ListUntoldAsync(cancellationToken);
                count = rows.Count;
                foreach (var row in rows)
                    Tell(row);
                await context.SaveChangesAsync(cancellationToken);
            },
            cancellationToken);
        return count > 0;
    }

    private void Tell(ApiTokenRow row)
    {
        if (row.Told == 0 && _unmarked.Add((row.Id, false)))
            trail.RecordToken((id, now) => Event(id, now, row, revoked: false));
        if (row.Revoked is not null && _unmarked.Add((row.Id, true)))
            trail.RecordToken((id, now) => Event(id, now, row, revoked: true));
        row.Told = row.Revoked is null ? 1 : 2;
    }

    private static TokenEvent Event(string id, DateTimeOffset now, ApiTokenRow row, bool revoked) =>
        new(id, now, row.Id, revoked, revoked ? row.RevokedBy! : row.CreatedBy, revoked ? row.Revoked!.Value : row.Created)
        {
            Label = row.Label,
            Role = row.Role,
            Organization = row.Organization,
            Person = row.Person,
            Expires = row.Expires,
        };

    /// <summary>What is lost when it cannot be written is the last use of a few tokens: they are used again.</summary>
    private Dictionary<long, DateTimeOffset> TakeUses()
    {
        var now = time.GetUtcNow();
        lock (_gate)
        {
            if (_written is { } written && now >= written && now - written < Period)
                return [];
            var uses = _uses;
            (_uses, _written) = ([], uses.Count > 0 ? now : _written);
            return uses;
        }
    }
}
