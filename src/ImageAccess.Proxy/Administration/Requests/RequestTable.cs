using System.Globalization;
using ImageAccess.Proxy.Administration.Changes;
using ImageAccess.Proxy.Foundation.Database;
using Microsoft.EntityFrameworkCore;

namespace ImageAccess.Proxy.Administration.Requests;

/// <summary>The tables of the requests. Each step that is taken has a row of its own, by which it comes into the audit trail.</summary>
internal sealed class RequestTable(DatabaseContext context)
{
    /// <summary>The name of its sequence.</summary>
    public const string Sequence = "requests";

    /// <summary>How many may be open, in all.</summary>
    public const int MaximumOpen = 5000;

    /// <summary>How many are kept that are over.</summary>
    public const int MaximumHistory = 10_000;

    private const string NobodyAnswered = "nobody answered it within 30 days";

    public async Task<AccessRequest?> FindAsync(long id, CancellationToken cancellationToken) =>
        await context.AccessRequests.FirstOrDefaultAsync(row => row.Id == id, cancellationToken) is { } row ? await WithPartsAsync(row, cancellationToken) : null;

    /// <summary>The open one for the same image, which the same organizations deny: whoever asks for it belongs to all of them.</summary>
    public async Task<AccessRequest?> FindOpenAsync(string image, IReadOnlyList<string> organizations, DateTimeOffset now, CancellationToken cancellationToken)
    {
        var rows = await Open(now).Where(row => row.Image == image).ToListAsync(cancellationToken);
        return rows.Find(row => row.Organizations.SequenceEqual(organizations)) is { } same ? await WithPartsAsync(same, cancellationToken) : null;
    }

    /// <summary>The request that an approval of waits for a second person.</summary>
    public async Task<AccessRequest?> FindByChangeAsync(long change, CancellationToken cancellationToken) =>
        await context.RequestAnswers.FirstOrDefaultAsync(answer => answer.Change == change && answer.State == RequestAnswerRow.Waiting, cancellationToken) is { } answer
            ? await FindAsync(answer.Request, cancellationToken)
            : null;

    /// <summary>By falling numbers.</summary>
    /// <param name="filter">Which.</param>
    /// <param name="now">What has run out by then is over.</param>
    public async Task<IReadOnlyList<AccessRequest>> PageAsync(RequestFilter filter, DateTimeOffset now, CancellationToken cancellationToken)
    {
        var rows = await Filtered(filter, now.ToUnixTimeMilliseconds())
            .AsNoTracking()
            .OrderByDescending(row => row.Id)
            .Take(filter.Count)
            .ToListAsync(cancellationToken);
        var ids = rows.ConvertAll(row => row.Id);
        var voices = (await context.RequestVoices.AsNoTracking().Where(voice => ids.Contains(voice.Request)).OrderBy(voice => voice.Id).ToListAsync(cancellationToken)).ToLookup(voice => voice.Request);
        var answers = (await context.RequestAnswers.AsNoTracking().Where(answer => ids.Contains(answer.Request)).OrderBy(answer => answer.Id).ToListAsync(cancellationToken)).ToLookup(answer => answer.Request);
        return rows.ConvertAll(row => new AccessRequest(row, [.. voices[row.Id]], [.. answers[row.Id]]));
    }

    public Task<int> CountOpenAsync(DateTimeOffset now, CancellationToken cancellationToken) => Open(now).CountAsync(cancellationToken);

    /// <summary>Of how many open requests the person is a voice.</summary>
    public Task<int> CountOpenAsync(string person, DateTimeOffset now, CancellationToken cancellationToken) =>
        Open(now).CountAsync(row => context.RequestVoices.Any(voice => voice.Request == row.Id && voice.Person == person && voice.Withdrawn == null), cancellationToken);

    /// <summary>How often the person has asked since, whatever became of it.</summary>
    public Task<int> CountVoicesAsync(string person, DateTimeOffset since, CancellationToken cancellationToken)
    {
        var milliseconds = since.ToUnixTimeMilliseconds();
        return context.RequestVoices.CountAsync(voice => voice.Person == person && voice.AtMilliseconds > milliseconds, cancellationToken);
    }

    public async Task<AccessRequest> AddAsync(AccessRequestRow row, CancellationToken cancellationToken)
    {
        context.AccessRequests.Add(row);
        await context.SaveChangesAsync(cancellationToken); // it has a number now
        var answers = row.Organizations.ConvertAll(organization => new RequestAnswerRow { Request = row.Id, Organization = organization, State = RequestAnswerRow.Open });
        context.RequestAnswers.AddRange(answers);
        return new AccessRequest(row, [], answers);
    }

    public void AddVoice(AccessRequest request, RequestVoiceRow voice)
    {
        context.RequestVoices.Add(voice);
        request.Voices.Add(voice);
    }

    /// <summary>Writes a step, with everything that was changed for it. One that closes the request ends what waits for it.</summary>
    public async Task StepAsync(AccessRequest request, RequestStepRow step, CancellationToken cancellationToken)
    {
        var sequence = await SequenceRow.RaiseAsync(context, Sequence, cancellationToken);
        var closes = request.Row is { ClosedVersion: null, State: not AccessRequestRow.Open };
        if (closes)
            (request.Row.ClosedVersion, request.Row.Closed) = (sequence.Value, step.At);
        context.RequestSteps.Add(step with
        {
            Version = sequence.Value,
            Request = request.Id,
            State = request.Row.State,
            Image = request.Row.Image,
            Organizations = [.. request.Row.Organizations],
            AskedBy = step.AskedBy.Count > 0 ? step.AskedBy : [.. request.Asking.Select(voice => voice.Person)],
        });
        await context.SaveChangesAsync(cancellationToken);
        if (!closes)
            return;
        await EndChangesAsync(request, step.At, cancellationToken);
        await ForgetAsync(cancellationToken);
    }

    /// <summary>The steps that came after one change of the table, up to another one; with the denial that who asks has named, and the exception that was granted.</summary>
    public async Task<List<(RequestStepRow Step, string? Denial, ExceptionRow? Exception)>> ReadStepsAsync(long known, long last, CancellationToken cancellationToken)
    {
        var steps = await context.RequestSteps.AsNoTracking().Where(step => step.Version > known && step.Version <= last).OrderBy(step => step.Version).ToListAsync(cancellationToken);
        var found = new List<(RequestStepRow, string?, ExceptionRow?)>();
        foreach (var step in steps)
        {
            var (at, person) = (step.At.ToUnixTimeMilliseconds(), step.AskedBy.FirstOrDefault());
            var denial = step.Step is not (RequestStepRow.Asked or RequestStepRow.Joined) ? null : await context.RequestVoices.AsNoTracking()
                .Where(voice => voice.Request == step.Request && voice.Person == person && voice.AtMilliseconds == at).Select(voice => voice.Denial).FirstOrDefaultAsync(cancellationToken);
            var exception = step.Exception is not { } id ? null : await context.Exceptions.AsNoTracking().FirstOrDefaultAsync(row => row.Id == id, cancellationToken);
            found.Add((step, denial, exception));
        }

        return found;
    }

    /// <summary>Whether some have run out that are written as open.</summary>
    public Task<bool> HasOverdueAsync(DateTimeOffset now, CancellationToken cancellationToken) => Overdue(now).AnyAsync(cancellationToken);

    /// <summary>Ends those that were not answered in time.</summary>
    public async Task EndOverdueAsync(DateTimeOffset now, CancellationToken cancellationToken)
    {
        foreach (var row in await Overdue(now).OrderBy(row => row.Id).ToListAsync(cancellationToken))
        {
            var request = await WithPartsAsync(row, cancellationToken);
            row.State = AccessRequestRow.Ended;
            await StepAsync(request, NewStep(RequestStepRow.Ended, row.Until) with { Reason = NobodyAnswered }, cancellationToken);
        }
    }

    /// <summary>The rest of it is the request's.</summary>
    public static RequestStepRow NewStep(string step, DateTimeOffset at) => new() { Step = step, At = at, State = "", Image = "" };

    private async Task<AccessRequest> WithPartsAsync(AccessRequestRow row, CancellationToken cancellationToken) => new(
        row,
        await context.RequestVoices.Where(voice => voice.Request == row.Id).OrderBy(voice => voice.Id).ToListAsync(cancellationToken),
        await context.RequestAnswers.Where(answer => answer.Request == row.Id).OrderBy(answer => answer.Id).ToListAsync(cancellationToken));

    private IQueryable<AccessRequestRow> Open(DateTimeOffset now)
    {
        var milliseconds = now.ToUnixTimeMilliseconds();
        return context.AccessRequests.Where(row => row.State == AccessRequestRow.Open && row.UntilMilliseconds > milliseconds);
    }

    private IQueryable<AccessRequestRow> Overdue(DateTimeOffset now)
    {
        var milliseconds = now.ToUnixTimeMilliseconds();
        return context.AccessRequests.Where(row => row.State == AccessRequestRow.Open && row.UntilMilliseconds <= milliseconds);
    }

    private IQueryable<AccessRequestRow> Filtered(RequestFilter filter, long now)
    {
        var (before, organization, person, own, all) = (filter.Before, filter.Organization, filter.Person, filter.PersonIn, filter.Organizations);
        var rows = context.AccessRequests.Where(row => row.Id < before);
        rows = filter.State switch
        {
            null => rows,
            AccessRequestRow.Open => rows.Where(row => row.State == AccessRequestRow.Open && row.UntilMilliseconds > now),
            AccessRequestRow.Ended => rows.Where(row => row.State == AccessRequestRow.Ended || (row.State == AccessRequestRow.Open && row.UntilMilliseconds <= now)),
            var state => rows.Where(row => row.State == state),
        };
        if (organization is not null)
            rows = rows.Where(row => context.RequestAnswers.Any(answer => answer.Request == row.Id && answer.Organization == organization));
        if (all is null)
            return rows;
        return rows.Where(row => context.RequestAnswers.Any(answer => answer.Request == row.Id && all.Contains(answer.Organization))
            || (context.RequestVoices.Any(voice => voice.Request == row.Id && voice.Person == person)
                && (own == null || context.RequestAnswers.Any(answer => answer.Request == row.Id && answer.Organization == own))));
    }

    /// <summary>What waits for a second person for a request that is over is wanted by nobody.</summary>
    private async Task EndChangesAsync(AccessRequest request, DateTimeOffset now, CancellationToken cancellationToken)
    {
        var table = new PendingChanges(context);
        foreach (var answer in request.Answers.Where(answer => answer is { Change: not null, State: not RequestAnswerRow.Approved }))
        {
            if (answer.State == RequestAnswerRow.Waiting)
                answer.State = RequestAnswerRow.Open;
            if (await table.FindAsync(answer.Change!.Value, cancellationToken) is { State: PendingChangeRow.Waiting } change)
            {
                var reason = string.Create(CultureInfo.InvariantCulture, $"the request {request.Id} is over ({request.Row.State})");
                await table.DecideAsync(change, PendingChangeRow.Ended, by: null, reason, now, cancellationToken);
            }
        }

        await context.SaveChangesAsync(cancellationToken);
    }

    /// <summary>Of those that are over, the ones that were closed longest ago.</summary>
    private async Task ForgetAsync(CancellationToken cancellationToken)
    {
        var beyond = await context.AccessRequests
            .Where(row => row.ClosedVersion != null)
            .OrderByDescending(row => row.ClosedVersion)
            .Skip(MaximumHistory)
            .Select(row => row.Id)
            .Take(100)
            .ToListAsync(cancellationToken);
        if (beyond.Count == 0)
            return;
        await context.RequestSteps.Where(step => beyond.Contains(step.Request)).ExecuteDeleteAsync(cancellationToken);
        await context.RequestVoices.Where(voice => beyond.Contains(voice.Request)).ExecuteDeleteAsync(cancellationToken);
        await context.RequestAnswers.Where(answer => beyond.Contains(answer.Request)).ExecuteDeleteAsync(cancellationToken);
        await context.AccessRequests.Where(row => beyond.Contains(row.Id)).ExecuteDeleteAsync(cancellationToken);
    }
}

/// <summary>Which requests are listed.</summary>
internal sealed record RequestFilter
{
    /// <summary>The state; null for any.</summary>
    public string? State { get; init; }

    /// <summary>Those that this organization has to answer; null for all.</summary>
    public string? Organization { get; init; }

    /// <summary>Those with a lower number.</summary>
    public long Before { get; init; } = long.MaxValue;

    public int Count { get; init; }

    /// <summary>Of these organizations all are seen; null where everything is.</summary>
    public IReadOnlyList<string>? Organizations { get; init; }

    /// <summary>Beside them, what this person has asked for.</summary>
    public string? Person { get; init; }

    /// <summary>Where those must be of one organization as well.</summary>
    public string? PersonIn { get; init; }
}
