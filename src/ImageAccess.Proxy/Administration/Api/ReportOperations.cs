using ImageAccess.Proxy.Administration.Activity;
using ImageAccess.Proxy.Administration.Reports;
using ImageAccess.Proxy.Administration.Roles;
using ImageAccess.Proxy.Foundation.Audit;
using ImageAccess.Proxy.Foundation.Files;

namespace ImageAccess.Proxy.Administration.Api;

/// <summary><c>report</c>: what an organization allowed, denied and changed in a quarter.</summary>
internal sealed class ReportOperations(ReportFacts facts, LookRecorder looks) : IOperations, IDisposable
{
    private readonly QuestionPlaces _places = new(atOnce: 1, "another report is being gathered");

    public void Map(IEndpointRouteBuilder api) => api.Get("/organizations/{organization}/report", Operation.ReadDecisions, GatherAsync);

    public void Dispose() => _places.Dispose();

    private async Task<Answer<ReportAnswer>> GatherAsync(HttpContext http, string organization, string? quarter, string? from, string? to)
    {
        var visitor = http.Visitor();
        visitor.Demand(Operation.ReadDecisions, organization, $"organization {PrintableText.Of(organization)}");
        var (first, end) = ReportDays.Read(quarter, from, to, out var fault);
        if (fault is { } found)
            throw ProblemException.Bad([new Mistake(found.Member, found.Text)]);
        await looks.RecordAsync(new Look(visitor.Actor.Name, organization, "report", FormattableString.Invariant($"from {first:yyyy-MM-dd}, to {end:yyyy-MM-dd}")), http.RequestAborted);
        var report = await _places.AskAsync(token => facts.GatherAsync(organization, first, end, token), http.RequestAborted);
        return CsvAnswer.IsWanted(http.Request)
            ? new CsvAnswer<ReportAnswer>(ReportAnswer.Of(report), report.ToRows()) { Tag = report.Digest }
            : Answer.Of(ReportAnswer.Of(report), report.Digest);
    }
}

/// <summary>A report.</summary>
/// <param name="Digest">The SHA-256 of the same report as a table (<c>Accept: text/csv</c>), in hexadecimal digits.</param>
/// <param name="From">The first day.</param>
/// <param name="To">The first day that is beyond.</param>
internal sealed record ReportAnswer(string Organization, DateOnly From, DateOnly To, string Digest, IReadOnlyList<ReportSection> Sections)
{
    public static ReportAnswer Of(Report report) => new(report.Organization, report.From, report.To, report.Digest, report.Sections);

    public Report ToReport() => new(Organization, From, To, Sections);
}
