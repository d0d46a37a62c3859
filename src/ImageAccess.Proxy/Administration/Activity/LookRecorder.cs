using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using ImageAccess.Proxy.Foundation.Audit;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Foundation.Files;
using Microsoft.EntityFrameworkCore;

namespace ImageAccess.Proxy.Administration.Activity;

/// <summary>
/// Records in the activity log and in the trail that somebody looked at named pulls of others, before they are told. The same question within an hour
/// is recorded once, on whichever replica it is asked.
/// </summary>
internal sealed class LookRecorder(SqlDatabase database, AuditTrail trail, TimeProvider time)
{
    public const string Action = "decisions.read";

    /// <summary>How many questions of one actor are told apart within an hour; what is beyond is one more entry.</summary>
    public const int MaximumQuestions = 60;

    public async Task RecordAsync(Look look, CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        var hour = now.Ticks / TimeSpan.TicksPerHour;
        var (key, beyond) = (KeyOf(hour, look), KeyOf(hour, look with { What = "", Question = "", Organization = null }));
        if (await database.ReadAsync(context => context.Activity.AnyAsync(row => row.Key == key || row.Key == beyond, cancellationToken), cancellationToken))
            return;

        Look? entered = null;
        await database.WriteAsync(
            async context =>
            {
                if (await context.Activity.AnyAsync(row => row.Key == key || row.Key == beyond, cancellationToken))
                    return;
                var since = hour * TimeSpan.TicksPerHour / TimeSpan.TicksPerMillisecond - (DateTimeOffset.UnixEpoch.Ticks / TimeSpan.TicksPerMillisecond);
                var before = await context.Activity.CountAsync(row => row.Action == Action && row.Actor == look.By && row.TimeMilliseconds >= since, cancellationToken);
                entered = before < MaximumQuestions ? look : look with { Organization = null, Question = "many questions" };
                var told = await ActivitySources.CursorAsync(context, ActivityLog.Told, cancellationToken);
                context.Activity.Add(RowOf(before < MaximumQuestions ? key : beyond, Math.Max(now.ToUnixTimeMilliseconds(), told.Value), entered));
                await context.SaveChangesAsync(cancellationToken);
            },
            cancellationToken);
        if (entered is not null)
            trail.RecordLook(entered);
    }

    private static string KeyOf(long hour, Look look) => string.Create(
        CultureInfo.InvariantCulture,
        $"look {hour} {Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(JsonSerializer.Serialize(new[] { look.By, look.Organization, look.What, look.Question }))))}");

    /// <summary>What is about all organizations is in each one's log; so it does not tell about whom it was.</summary>
    private static ActivityRow RowOf(string key, long milliseconds, Look look) => new()
    {
        Key = key,
        TimeMilliseconds = milliseconds,
        Organization = look.Organization,
        Action = Action,
        Actor = look.By,
        Name = look.What,
        Facts = look.Organization is null ? "{}" : JsonSerializer.Serialize(new Dictionary<string, string> { ["question"] = look.Question }, ReadableJson.Web),
    };
}
