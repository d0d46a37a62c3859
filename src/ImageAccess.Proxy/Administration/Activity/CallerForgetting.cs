using System.Globalization;
using System.Text.Json;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Foundation.Files;
using Microsoft.EntityFrameworkCore;

namespace ImageAccess.Proxy.Administration.Activity;

/// <summary>Enters in the activity log that a caller is forgotten, and takes the name out of the denials. The log does not say who it was: that would undo it.</summary>
internal sealed class CallerForgetting(SqlDatabase database, TimeProvider time)
{
    public const string Action = "caller.forget";

    /// <summary>How many denials are changed in one transaction.</summary>
    private const int Together = 500;

    /// <summary>Before anything is forgotten: who, why, and that it was somebody.</summary>
    public Task EnterAsync(string by, string reason, string replacement, CancellationToken cancellationToken) => database.WriteAsync(
        async context =>
        {
            var told = await ActivitySources.CursorAsync(context, ActivityLog.Told, cancellationToken);
            var milliseconds = Math.Max(time.GetUtcNow().ToUnixTimeMilliseconds(), told.Value);
            context.Activity.Add(new ActivityRow
            {
                Key = string.Create(CultureInfo.InvariantCulture, $"forget {milliseconds} {Guid.NewGuid():N}"),
                TimeMilliseconds = milliseconds,
                Action = Action,
                Actor = by,
                Name = replacement,
                Facts = JsonSerializer.Serialize(new Dictionary<string, string> { ["reason"] = reason }, ReadableJson.Web),
            });
            await context.SaveChangesAsync(cancellationToken);
        },
        cancellationToken);

    /// <returns>How many denials had the name.</returns>
    public async Task<int> ForgetDenialsAsync(string caller, string replacement, Action<int> progress, CancellationToken cancellationToken)
    {
        var (all, changed) = (0, 0);
        do
        {
            changed = 0;
            await database.WriteAsync(
                async context =>
                {
                    var rows = await context.Denials.AsNoTracking().Where(row => row.Caller == caller).OrderBy(row => row.Number).Take(Together).ToListAsync(cancellationToken);
                    foreach (var row in rows)
                        context.Update(row with { Caller = replacement, Client = null, Message = row.Message.Replace($": {caller} is ", $": {replacement} is ", StringComparison.Ordinal) });
                    changed = await context.SaveChangesAsync(cancellationToken);
                },
                cancellationToken);
            progress(all += changed);
        }
        while (changed > 0);
        return all;
    }
}
