using System.CommandLine;
using ImageAccess.Proxy.Foundation.Configuration;
using ImageAccess.Proxy.Tools.Doctor;
using ImageAccess.Proxy.Tools.Engines;
using ImageAccess.Proxy.Tools.Scanning;
using ImageAccess.Proxy.Tools.Verbs;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Hosting;

/// <summary>The verbs of <c>imageaccess</c>; without one it serves.</summary>
internal static class CommandTree
{
    public static RootCommand Build()
    {
        var file = new Option<string?>("--config") { Description = "The configuration file; imageaccess.json in the working directory by default.", HelpName = "FILE" };
        var root = new RootCommand("Enforces on the network which kinds of Docker Hub images may be used. Without a verb it serves.") { file };
        root.SetAction((parsed, cancellationToken) => ServeAsync(parsed.GetValue(file), cancellationToken));
        root.Subcommands.Add(CheckCommand.Build());
        root.Subcommands.Add(ScanCommand.Build());
        root.Subcommands.Add(PolicyCommands.Build());
        root.Subcommands.Add(CertificatesCommands.Build());
        root.Subcommands.Add(CacheCommands.Build());
        root.Subcommands.Add(ClientsCommand.Build());
        root.Subcommands.Add(DoctorCommand.Build());
        return root;
    }

    private static async Task<int> ReportAsync(IEnumerable<string> failures)
    {
        foreach (var failure in failures)
            await Console.Error.WriteLineAsync($"imageaccess: {failure}");
        return Verb.Misused;
    }

    private static async Task<int> ServeAsync(string? file, CancellationToken cancellationToken)
    {
        try
        {
            await using var app = ProxyHost.Build(ConfigurationLoading.Load(file, Environment.GetEnvironmentVariables()));
            await app.ListenAsync(cancellationToken);
            await Console.Out.WriteLineAsync(StartupReport.Write(app.Services));
            await app.WaitForShutdownAsync(cancellationToken);
            return 0;
        }
        catch (OptionsValidationException exception)
        {
            return await ReportAsync(exception.Failures);
        }
        catch (AggregateException exception) when (exception.InnerExceptions.All(inner => inner is OptionsValidationException))
        {
            return await ReportAsync(exception.InnerExceptions.Cast<OptionsValidationException>().SelectMany(inner => inner.Failures));
        }
        catch (ListenException exception)
        {
            return await ReportAsync([exception.Message]);
        }
    }
}
