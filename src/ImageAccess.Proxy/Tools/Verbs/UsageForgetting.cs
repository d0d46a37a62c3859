using System.CommandLine;
using System.Globalization;
using ImageAccess.Proxy.Administration.Activity;
using ImageAccess.Proxy.Administration.Usage;
using ImageAccess.Proxy.Foundation.Audit;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Foundation.Database.Keys;

namespace ImageAccess.Proxy.Tools.Verbs;

/// <summary><c>usage forget</c>: takes a caller's name and addresses out of what the database keeps of pulls.</summary>
internal static class UsageForgetting
{
    public static Command Build()
    {
        var caller = new Argument<string>("CALLER") { Description = "As usage --by caller names it." };
        var reason = new Option<string>("--reason") { Description = "Why, for the activity log; without the name.", HelpName = "TEXT", Required = true };
        var (by, file, json) = (ChangeCommands.By(), Verb.ConfigurationFile(), Verb.Json());
        var command = new Command("forget", "Takes a caller's name and addresses out of decisions, counts and denials in the database, and who a pseudonym is, for good; also while a proxy uses it.") { caller, reason, by, json, file };
        Verb.SetAction(command, async (parsed, cancellationToken) =>
        {
            var name = ForgottenCallers.Name(parsed.GetValue(caller)!);
            var (why, configuration) = (parsed.GetValue(reason)!, Verb.Configuration(parsed.GetValue(file)));
            Demand(name, why);
            var (database, store, _) = UsageCommands.Open(parsed.GetValue(file));
            var line = new ProgressLine(TimeProvider.System, parsed.InvocationConfiguration.Error);
            var now = TimeProvider.System.GetUtcNow();
            var (forgotten, denials, pseudonyms) = await DatabaseCommands.UseAsync(
                database,
                otherwise: "",
                async () =>
                {
                    var forgetting = new CallerForgetting(database, TimeProvider.System);
                    await forgetting.EnterAsync(ChangeCommands.Server(parsed.GetValue(by)).Name, why, ForgottenCallers.Replacement, cancellationToken);
                    var ended = await ForgetPseudonymsAsync(database, UsageCommands.KeyOf(configuration), name, cancellationToken);
                    if (Pseudonyms.Is(name))
                        return (new UsageForgotten(0, 0), 0, ended); // it stays, and is nobody's
                    var decisions = await store.ForgetAsync(name, now, sofar => line.Report($"{sofar.Decisions} decisions of {sofar.Days} days forgotten"), cancellationToken);
                    return (decisions, await forgetting.ForgetDenialsAsync(name, ForgottenCallers.Replacement, sofar => line.Report($"{sofar} denials forgotten"), cancellationToken), ended);
                },
                cancellationToken);
            var audit = AuditOptions.Of(configuration);
            var gone = (now + audit.Keep).UtcDateTime.AddDays(1);
            var output = parsed.InvocationConfiguration.Output;
            if (parsed.GetValue(json))
            {
                await Verb.WriteJsonAsync(output, new { forgotten.Decisions, forgotten.Days, Denials = denials, Pseudonyms = pseudonyms, Trail = audit.FilePath, TrailUntil = DateOnly.FromDateTime(gone) });
                return Verb.Yes;
            }

            await output.WriteLineAsync(
                $"forgotten: {TextTable.Count(forgotten.Decisions, "decision")} and the counts of {TextTable.Count(forgotten.Days, "day")}, {TextTable.Count(denials, "denial")}");
            if (pseudonyms > 0)
                await TextTable.WriteWrappedAsync(output, "Who the caller's pseudonym is nobody can say any more. Decisions, denials and audit files keep it, and a later pull has another one.", "");
            await TextTable.WriteWrappedAsync(
                output,
                string.Create(CultureInfo.InvariantCulture, $"The audit files ({Verb.Shown(audit.FilePath)} and its former ones) keep the name until {gone:yyyy-MM-dd} at the latest (Audit:Keep). "
                    + $"They do not bring it back into the database. Copies of them elsewhere, and backups, are not known here."),
                "");
            return Verb.Yes;
        });
        return command;
    }

    /// <param name="caller">A name, or a pseudonym.</param>
    private static async Task<int> ForgetPseudonymsAsync(SqlDatabase database, KeyFile key, string caller, CancellationToken cancellationToken)
    {
        var forgotten = 0;
        await database.WriteAsync(
            async context =>
            {
                forgotten = await new PseudonymTable(context, key).ForgetAsync(
                    line => line.Pseudonym == caller || string.Equals(ForgottenCallers.Name(line.Name), caller, StringComparison.OrdinalIgnoreCase), cancellationToken);
                await database.TellAsync(context, cancellationToken);
            },
            cancellationToken);
        return forgotten;
    }

    /// <exception cref="MisuseException">There is nobody to forget, or the reason would tell who it was.</exception>
    private static void Demand(string name, string reason)
    {
        if (name.Length == 0 || name is "anonymous" or ForgottenCallers.Replacement)
            throw new MisuseException($"'{name}' is nobody to forget");
        if (reason.Trim().Length == 0)
            throw new MisuseException("--reason is empty");
        if (reason.Contains(name, StringComparison.OrdinalIgnoreCase))
            throw new MisuseException("--reason has the caller's name in it, and stays in the activity log: say it without the name, as with the number of the ticket");
    }
}
