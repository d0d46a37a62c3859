using System.CommandLine;
using ImageAccess.Proxy.Administration.Api;
using ImageAccess.Proxy.Foundation.Files;

namespace ImageAccess.Proxy.Tools.Verbs;

/// <summary><c>imageaccess report</c>: what an organization allowed, denied and changed in a quarter, as a running proxy knows it.</summary>
internal static class ReportCommands
{
    public static Command Build()
    {
        var organization = new Option<string>("--organization") { Description = "Whose.", HelpName = "ORG", Required = true };
        var quarter = new Option<string?>("--quarter") { Description = "As 2026Q4, in UTC.", HelpName = "QUARTER" };
        var from = new Option<string?>("--from") { Description = "The first day, as 2026-10-01.", HelpName = "DAY" };
        var to = new Option<string?>("--to") { Description = "The first day beyond, as 2027-01-01.", HelpName = "DAY" };
        var json = Verb.Json();
        var command = new Command("report", "Prints what an organization allowed, denied and changed, as CSV (RFC 4180); its SHA-256 is the report's digest. A running proxy gathers it: --server.")
        {
            organization, quarter, from, to, json,
        };
        var server = new ServerOptions();
        server.AddTo(command);
        Verb.SetAction(command, async (parsed, cancellationToken) =>
        {
            using var api = server.Find(parsed) ?? throw new MisuseException("name the proxy that gathers it: --server and --token-file");
            var answer = await api.GetAsync<ReportAnswer>(
                $"organizations/{ServerApi.Segment(parsed.GetValue(organization)!)}/report"
                + RunningProxy.Query(("quarter", parsed.GetValue(quarter)), ("from", parsed.GetValue(from)), ("to", parsed.GetValue(to))),
                cancellationToken);
            var report = answer.ToReport();
            if (report.Digest != answer.Digest)
                throw new MisuseException($"{api.Source} says another digest than that of its report: use the same version here");
            var output = parsed.InvocationConfiguration.Output;
            if (parsed.GetValue(json))
                await Verb.WriteJsonAsync(output, answer);
            else
                await Csv.WriteAsync(output, report.ToRows());
            await parsed.InvocationConfiguration.Error.WriteLineAsync($"sha256 {answer.Digest}");
            return Verb.Yes;
        });
        return command;
    }
}
