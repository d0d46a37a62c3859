using System.Globalization;
using ImageAccess.Proxy.Foundation.Audit;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Policies.Store;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Administration.Activity;

/// <summary>Brings the steps of emergencies into the activity log. They stand in a file of each server, because they need no database.</summary>
internal sealed class EmergencyRecorder : IDatabaseWriter
{
    private const string Prefix = "break-glass ";

    private readonly PolicyStoreOptions _options;
    private readonly TimeProvider _time;
    private volatile bool _isWaiting = true;

    public EmergencyRecorder(AuditTrail trail, IOptions<PolicyStoreOptions> options, DatabaseState database, TimeProvider time)
    {
        (_options, _time) = (options.Value, time);
        trail.WhenChanged(audit =>
        {
            if (audit is not BreakGlassEvent)
                return;
            _isWaiting = true;
            database.Wake();
        });
    }

    /// <summary>Also once after the start: a step may have been recorded, and the database been away.</summary>
    public bool IsWaiting => _isWaiting;

    public async Task WriteAsync(SqlDatabase database, CancellationToken cancellationToken)
    {
        _isWaiting = false; // before the file is read: what comes meanwhile is read once more
        try
        {
            var now = _time.GetUtcNow();
            var steps = BreakGlassFile.StepsOf(BreakGlassFile.Read(_options), now).Where(step => step.At >= now - ActivityLog.Keep).ToList();
            if (steps.Count > 0)
                await database.WriteAsync(context => AddAsync(context, steps, cancellationToken), cancellationToken);
        }
        catch (IOException)
        {
            // The store of the policy says what is wrong with the file, and records its steps once it can be read.
        }
        catch
        {
            _isWaiting = true;
            throw;
        }
    }

    private static async Task AddAsync(DatabaseContext context, List<BreakGlassEvent.Step> steps, CancellationToken cancellationToken)
    {
        var known = (await context.Activity.Where(row => row.Key.StartsWith(Prefix)).Select(row => row.Key).ToListAsync(cancellationToken)).ToHashSet();
        var missing = steps.FindAll(step => !known.Contains(Prefix + step.Key));
        if (missing.Count == 0)
            return;
        var told = await ActivitySources.CursorAsync(context, ActivityLog.Told, cancellationToken);
        context.Activity.AddRange(missing.Select(step => RowOf(step, told.Value)));
        await context.SaveChangesAsync(cancellationToken);
    }

    private static ActivityRow RowOf(BreakGlassEvent.Step step, long told)
    {
        var row = ActivitySources.Step(
            Prefix + step.Key, step.At, step.Organization, $"break-glass.{step.What}", step.By, step.Words,
            ("emergency", step.Id.ToString(CultureInfo.InvariantCulture)), ("reason", step.Reason), ("ticket", step.Ticket), ("until", ActivitySources.Text(step.Until)));
        return row with { TimeMilliseconds = Math.Max(row.TimeMilliseconds, told) };
    }
}
