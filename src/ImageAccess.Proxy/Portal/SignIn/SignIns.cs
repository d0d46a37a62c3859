using System.Buffers.Text;
using System.Security.Cryptography;
using ImageAccess.Proxy.Administration.Tokens;
using ImageAccess.Proxy.Foundation.Database;
using Microsoft.EntityFrameworkCore;

namespace ImageAccess.Proxy.Portal.SignIn;

/// <summary>
/// Who is signed in by a browser: rows of the database, so that they survive a restart, hold on every replica, and end at once when somebody
/// signs out. The browser has a secret, and the database its hash.
/// </summary>
internal sealed class SignIns(SqlDatabase database, TimeProvider time)
{
    public static readonly TimeSpan Lifetime = TimeSpan.FromHours(8);

    public static readonly TimeSpan IdleTimeout = TimeSpan.FromHours(1);

    /// <summary>Of one person; the oldest ends for one more.</summary>
    public const int MaximumOfOne = 20;

    private const int Bytes = 32;

    /// <summary>A use is written when the last one that was written is older.</summary>
    private static readonly TimeSpan UsePeriod = TimeSpan.FromMinutes(5);

    /// <returns>The secret.</returns>
    public async Task<string> StartAsync(Session session, CancellationToken cancellationToken)
    {
        var (secret, now) = (Base64Url.EncodeToString(RandomNumberGenerator.GetBytes(Bytes)), time.GetUtcNow().ToUnixTimeMilliseconds());
        await database.WriteAsync(
            async context =>
            {
                await Over(context).ExecuteDeleteAsync(cancellationToken);
                var beyond = context.SignIns.Where(row => row.Person == session.Name).OrderByDescending(row => row.Id).Skip(MaximumOfOne - 1).Select(row => row.Id);
                await context.SignIns.Where(row => beyond.Contains(row.Id)).ExecuteDeleteAsync(cancellationToken);
                context.SignIns.Add(new SignInRow { Hash = TokenSecret.Hash(secret), Person = session.Name, Account = session.Account!, StartedMilliseconds = now, UsedMilliseconds = now });
                await context.SaveChangesAsync(cancellationToken);
            },
            cancellationToken);
        return secret;
    }

    /// <returns>Null where it has ended, or never was.</returns>
    public async Task<SignInRow?> FindAsync(string secret, CancellationToken cancellationToken)
    {
        if (!Base64Url.IsValid(secret, out var length) || length != Bytes)
            return null;
        var hash = TokenSecret.Hash(secret);
        var row = await database.ReadAsync(context => context.SignIns.AsNoTracking().FirstOrDefaultAsync(row => row.Hash == hash, cancellationToken), cancellationToken);
        var now = time.GetUtcNow();
        if (row is null || now >= row.Started + Lifetime || now >= row.Used + IdleTimeout)
            return null;
        if (now - row.Used >= UsePeriod)
        {
            var used = now.ToUnixTimeMilliseconds();
            await database.WriteAsync(
                context => context.SignIns.Where(one => one.Id == row.Id).ExecuteUpdateAsync(set => set.SetProperty(one => one.UsedMilliseconds, used), cancellationToken), cancellationToken);
        }

        return row;
    }

    public Task EndAsync(SignInRow row, CancellationToken cancellationToken) =>
        database.WriteAsync(context => context.SignIns.Where(one => one.Id == row.Id).ExecuteDeleteAsync(cancellationToken), cancellationToken);

    /// <summary>On every browser that the person has signed in with.</summary>
    public Task EndEverywhereAsync(string person, CancellationToken cancellationToken) =>
        database.WriteAsync(context => context.SignIns.Where(one => one.Person == person).ExecuteDeleteAsync(cancellationToken), cancellationToken);

    private IQueryable<SignInRow> Over(DatabaseContext context)
    {
        var now = time.GetUtcNow();
        var (started, used) = ((now - Lifetime).ToUnixTimeMilliseconds(), (now - IdleTimeout).ToUnixTimeMilliseconds());
        return context.SignIns.Where(row => row.StartedMilliseconds <= started || row.UsedMilliseconds <= used);
    }
}
