using System.CommandLine;

namespace ImageAccess.Proxy.Tools.Verbs;

/// <summary><c>imageaccess health</c>: asks the running proxy how it is, for a container's health check and for probes.</summary>
internal static class HealthCommand
{
    public static Command Build()
    {
        var live = new Option<bool>("--live") { Description = "Ask whether it runs, not whether it is ready." };
        var file = Verb.ConfigurationFile();
        var command = new Command("health", "Asks the running proxy whether it is ready. Exit code 0: it is, be it degraded; 1: it is not, or does not answer.") { live, file };
        Verb.SetAction(command, async (parsed, cancellationToken) =>
        {
            using var proxy = RunningProxy.At(Verb.Configuration(parsed.GetValue(file)));
            var (isWell, line) = await proxy.AskHealthAsync(parsed.GetValue(live), cancellationToken);
            await parsed.InvocationConfiguration.Output.WriteLineAsync(TextTable.Plain(line));
            return isWell ? Verb.Yes : Verb.No;
        });
        return command;
    }
}
