using ImageAccess.Proxy.Foundation.Audit;
using ImageAccess.Proxy.Foundation.Database;

namespace ImageAccess.Proxy.Administration.Tokens;

/// <summary>
/// Brings into the audit trail which tokens were made and revoked, by whichever process; and writes when each was used last, at most once a
/// minute. A program that ends between telling and writing that it has told tells it again, and never not at all.
/// </summary>
internal sealed class TokenUpkeep(SqlDatabase database, DatabaseState state, AuditTrail trail, TimeProvider time)
    : DatabaseReader(database, state, TokenTable.Sequence, time), IDatabaseWriter
{
    private static readonly TimeSpan UsePeriod = TimeSpan.FromMinutes(1);

    private readonly Lock _gate = new();
    private Dictionary<long, DateTimeOffset> _uses = [];
    private DateTimeOffset? _written;
    private SequencePoint? _told;

    /// <summary>What was told, and could not be marked as told: it is not told with every try.</summary>
    private HashSet<(long Id, bool Revoked)> _unmarked = [];

    public bool IsWaiting
    {
        get
        {
            lock (_gate)
                return _uses.Count > 0 && IsDue(Time.GetUtcNow());
        }
    }

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
                _uses[id] = Time.GetUtcNow();
        }
    }

    public async Task WriteAsync(SqlDatabase database, CancellationToken cancellationToken)
    {
        if (TakeUses() is { Count: > 0 } uses)
            await database.WriteAsync(context => new TokenTable(context).AddUsesAsync(uses, cancellationToken), cancellationToken);
    }

    protected override SequencePoint? LastRead => _told;

    protected override async Task ReadAsync(SequencePoint point, CancellationToken cancellationToken)
    {
        while (await TellAsync(cancellationToken))
        {
            // There may be more.
        }

        (_told, _unmarked) = (point, []);
    }

    protected override void Confirm()
    {
        // There is nothing new.
    }

    protected override void Fail(string cause)
    {
        // Whoever asks by a token is told, and so is /readyz.
    }

    private async Task<bool> TellAsync(CancellationToken cancellationToken)
    {
        var count = 0;
        await Database.WriteAsync(
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
        var now = Time.GetUtcNow();
        lock (_gate)
        {
            if (!IsDue(now))
                return [];
            var uses = _uses;
            (_uses, _written) = ([], uses.Count > 0 ? now : _written);
            return uses;
        }
    }

    private bool IsDue(DateTimeOffset now) => _written is not { } written || now < written || now - written >= UsePeriod;
}
