using System.CommandLine;
using ImageAccess.Proxy.Tools.Doctor;
using ImageAccess.Proxy.Tools.Engines;
using ImageAccess.Proxy.Tools.Scanning;
using ImageAccess.Proxy.Tools.Verbs;

namespace ImageAccess.Proxy.Hosting;

/// <summary>The verbs of <c>imageaccess</c>; without one it serves.</summary>
internal static class CommandTree
{
    /// <summary>Runs the program; what it returns is its exit code.</summary>
    public static async Task<int> RunAsync(string[] arguments)
    {
        var parsed = Build().Parse(arguments);
        var invocation = new InvocationConfiguration();
        if (parsed.CommandResult.Command is RootCommand)
            invocation.ProcessTerminationTimeout = null; // the host takes the signals, and its time; a verb is cancelled and has two seconds
        var code = await parsed.InvokeAsync(invocation);
        return parsed.Errors.Count > 0 ? Math.Max(code, Verb.Misused) : code;
    }

    public static RootCommand Build()
    {
        var file = new Option<string?>("--config") { Description = "The configuration file; imageaccess.json in the working directory by default.", HelpName = "FILE" };
        var root = new RootCommand("Enforces on the network which kinds of Docker Hub images may be used. Without a verb it serves.") { file };
        Verb.SetAction(root, (parsed, _) => ServeAsync(parsed.GetValue(file)));
        root.Subcommands.Add(CheckCommand.Build());
        root.Subcommands.Add(HealthCommand.Build());
        root.Subcommands.Add(ScanCommand.Build());
        root.Subcommands.Add(PolicyCommands.Build());
        root.Subcommands.Add(BlockCommands.Block());
        root.Subcommands.Add(BlockCommands.Unblock());
        root.Subcommands.Add(BreakGlassCommands.BreakGlass());
        root.Subcommands.Add(ExceptionCommands.Build());
        root.Subcommands.Add(RequestCommands.Build());
        root.Subcommands.Add(DenialCommands.Build());
        root.Subcommands.Add(ChangeCommands.Build());
        root.Subcommands.Add(TokenCommands.Build());
        root.Subcommands.Add(AccountCommands.Build());
        root.Subcommands.Add(CertificatesCommands.Build());
        root.Subcommands.Add(CacheCommands.Build());
        root.Subcommands.Add(DatabaseCommands.Build());
        root.Subcommands.Add(UsageCommands.Build());
        root.Subcommands.Add(MachineCommand.Build());
        root.Subcommands.Add(IncidentCommands.Build());
        root.Subcommands.Add(ReportCommands.Build());
        root.Subcommands.Add(AuditCommands.Build());
        root.Subcommands.Add(ClientsCommand.Build());
        root.Subcommands.Add(DoctorCommand.Build());
        return root;
    }

    private static async Task<int> ServeAsync(string? file)
    {
        await using var app = ProxyHost.Build(Verb.Configuration(file));
        try
        {
            await app.ListenAsync();
        }
        catch (OperationCanceledException) when (app.Lifetime.ApplicationStopping.IsCancellationRequested)
        {
            return app.Failure() is { } failure ? throw failure : Verb.Yes; // told to stop before it had started
        }

        if (ProxyHost.IsJson(app.Configuration))
            StartupReport.Log(app.Services);
        else
            await Console.Out.WriteLineAsync(StartupReport.Write(app.Services));
        await app.WaitForShutdownAsync();
        return app.Failure() is null ? Verb.Yes : Verb.No;
    }
}
