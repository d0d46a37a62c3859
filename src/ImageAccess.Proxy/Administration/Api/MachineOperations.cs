using ImageAccess.Core.Hosts;
using ImageAccess.Proxy.Administration.Activity;
using ImageAccess.Proxy.Administration.Roles;
using ImageAccess.Proxy.Administration.Usage;
using ImageAccess.Proxy.Foundation.Audit;
using ImageAccess.Proxy.Policies.Store;
using Microsoft.AspNetCore.DataProtection;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Mvc;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Administration.Api;

/// <summary><c>machines</c>: who came in from where, and what <c>imageaccess doctor</c> found there. Looking at those of others is recorded as with named pulls.</summary>
internal sealed class MachineOperations(
    UsageStore store, LookRecorder looks, IPolicyStore policies, CallerNames names, IDataProtectionProvider protection, IOptions<UsageOptions> options, TimeProvider time) : IOperations, IDisposable
{
    private const int AtOnce = 2;

    private readonly QuestionPlaces _questions = new(AtOnce, "other questions about machines are being answered");
    private readonly QuestionPlaces _reports = new(AtOnce, "other reports are being kept");

    public void Map(IEndpointRouteBuilder api)
    {
        api.Get("/machines", Operation.ReadOwnDecisions, ListAsync);
        api.Post<DoctorFacts>("/machines/reports", Operation.ReportMachine, ReportAsync);
    }

    public void Dispose()
    {
        _questions.Dispose();
        _reports.Dispose();
    }

    private async Task<Answer<MachinesAnswer>> ListAsync(HttpContext http, [AsParameters] MachineWords words, int? limit, string? cursor)
    {
        var (visitor, now, question) = (http.Visitor(), time.GetUtcNow(), new UsageQuestion());
        UsageOperations.DemandOrganization(visitor, words.Organization);
        var since = words.Since ?? UsageQuestion.DefaultSince;
        question.SinceDays(since, now).About(new UsageFilter { Organization = words.Organization, WayIn = words.WayIn, Family = words.ClientFamily });
        UsageOperations.Demand(question);
        var (paging, isTable) = (Paging.Of(limit, cursor: null), CsvAnswer.IsWanted(http.Request));
        var filter = question.Filter with { Scope = DecisionScopes.Of(visitor, policies, names, words.Organization) };
        var asked = new MachineQuestion(filter, UsageOperations.IsTrue("anonymous", words.Anonymous), UsageOperations.IsTrue("fallsBack", words.FallsBack));
        var cursors = new QuestionCursors<MachineKey>(protection, "machines", new Dictionary<string, string?>(UsageOperations.WordsOf(filter with { From = 0 }))
        {
            ["since"] = since,
            ["anonymous"] = asked.Anonymous ? "true" : null,
            ["falls back"] = asked.FallsBack ? "true" : null,
        });
        var after = cursor is null ? (MachineKey?)null : cursors.Read(cursor);
        await looks.RecordAsync(visitor, names, "machines", filter, http.RequestAborted);
        return await AnswerAsync(asked, after, isTable ? int.MaxValue - 1 : paging.Limit, isTable, UsageDays.At(now, options.Value), cursors, http.RequestAborted);
    }

    private async Task<Answer<MachinesAnswer>> AnswerAsync(
        MachineQuestion asked, MachineKey? after, int limit, bool isTable, UsageDays days, QuestionCursors<MachineKey> cursors, CancellationToken cancellationToken)
    {
        try
        {
            var (found, shown) = await _questions.AskAsync(
                async token =>
                {
                    var all = await asked.AskAsync(store, token);
                    var rest = all.Where(machine => after is not { } key || MachineKey.NewestFirst.Compare(machine.Key, key) > 0).Take(limit + 1).ToList();
                    return (all.Count, isTable ? rest : await MachineQuestion.FillAsync(store, rest, token));
                },
                cancellationToken);
            var answer = new MachinesAnswer(DateTime.UnixEpoch.AddMilliseconds(asked.Filter.From), found, [.. shown.Take(limit)])
            {
                KeptSince = asked.Filter.From < days.First * UsageDays.Milliseconds ? UsageDays.DateOf(days.First) : null,
                Next = shown.Count > limit ? cursors.Write(shown[limit - 1].Key) : null,
            };
            return isTable ? new CsvAnswer<MachinesAnswer>(answer, Machine.ToRows(answer.Items)) : Answer.Of(answer);
        }
        catch (TooManyValuesException exception)
        {
            throw ProblemException.Bad(exception.Message);
        }
    }

    /// <summary>The address is the one that the request comes from: nobody reports for another machine.</summary>
    private async Task<Answer<ReportKept>> ReportAsync(HttpContext http)
    {
        http.Features.GetRequiredFeature<IHttpMaxRequestBodySizeFeature>().MaxRequestBodySize = DoctorFacts.MaximumSize;
        var (visitor, told, now) = (http.Visitor(), await JsonBody.ReadAsync<DoctorFacts>(http), time.GetUtcNow());
        if (told.Faults() is { Count: > 0 } faults)
            throw ProblemException.Bad([.. faults.Select(fault => new Mistake(fault.Member, fault.Fault))]);
        if (http.Connection.RemoteIpAddress is not { } remote)
            throw ProblemException.Bad("it is not known where the report comes from");
        var report = told.ToReport(visitor.Organization ?? "", PublicAddress.Plain(remote).ToString(), now);
        return Answer.Of(await _reports.AskAsync(
            async token =>
            {
                await store.AddReportAsync(report, token);
                return new ReportKept(report.Name, report.Address, DateTime.UnixEpoch.AddMilliseconds(report.Time));
            },
            http.RequestAborted));
    }
}

/// <summary>What machines can be asked about.</summary>
internal sealed class MachineWords
{
    [FromQuery(Name = "organization")]
    public string? Organization { get; init; }

    [FromQuery(Name = "since")]
    public string? Since { get; init; }

    [FromQuery(Name = "wayIn")]
    public string? WayIn { get; init; }

    [FromQuery(Name = "clientFamily")]
    public string? ClientFamily { get; init; }

    /// <summary>Those alone where nobody is signed in.</summary>
    [FromQuery(Name = "anonymous")]
    public string? Anonymous { get; init; }

    /// <summary>Those alone that fall back to Docker Hub.</summary>
    [FromQuery(Name = "fallsBack")]
    public string? FallsBack { get; init; }
}

/// <summary>Machines.</summary>
/// <param name="From">From when on.</param>
/// <param name="Found">How many there are.</param>
/// <param name="Items">A part of them, those that were seen last first.</param>
internal sealed record MachinesAnswer(DateTime From, int Found, IReadOnlyList<Machine> Items)
{
    /// <summary>What is asked about is kept from this day on, which is after the first that is asked about; else null.</summary>
    public DateTime? KeptSince { get; init; }

    /// <summary>What to give as <c>cursor</c> for the next part; null where this is the last one.</summary>
    public string? Next { get; init; }
}

/// <summary>A report is kept.</summary>
/// <param name="Name">What the machine calls itself.</param>
/// <param name="Address">Where the report came from, as the proxy sees it.</param>
internal sealed record ReportKept(string Name, string Address, DateTime Time);
