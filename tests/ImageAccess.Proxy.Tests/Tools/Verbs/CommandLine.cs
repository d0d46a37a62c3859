using System.CommandLine;
using System.Diagnostics;
using System.Text.Json;
using ImageAccess.Proxy.Hosting;
using ImageAccess.Proxy.Tests.HouseRules;

namespace ImageAccess.Proxy.Tests.Tools.Verbs;

/// <summary>The command line, in this process or as the program itself.</summary>
internal sealed record CommandLine(int ExitCode, string Output, string Error)
{
    public JsonElement Json => JsonSerializer.Deserialize<JsonElement>(Output);

    public static async Task<CommandLine> RunAsync(params string[] arguments)
    {
        var (output, error) = (new StringWriter(), new StringWriter());
        var code = await CommandTree.Build().Parse(arguments).InvokeAsync(new InvocationConfiguration { Output = output, Error = error });
        return new CommandLine(code, output.ToString(), error.ToString());
    }

    /// <summary>The program as it is deployed, in the checkout's folder.</summary>
    public static async Task<CommandLine> StartAsync(IEnumerable<string> arguments, params (string Name, string Value)[] environment)
    {
        var start = new ProcessStartInfo("dotnet", [Program(), .. arguments])
        {
            WorkingDirectory = RepositoryRoot.Find(),
            UseShellExecute = false,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        foreach (var (name, value) in environment)
            start.Environment[name] = value;

        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        using var process = Process.Start(start)!;
        try
        {
            var output = process.StandardOutput.ReadToEndAsync(limit.Token);
            var error = process.StandardError.ReadToEndAsync(limit.Token);
            await process.WaitForExitAsync(limit.Token);
            return new CommandLine(process.ExitCode, await output, await error);
        }
        finally
        {
            if (!process.HasExited)
                process.Kill(entireProcessTree: true);
        }
    }

    /// <summary>Built beside these tests, of the same configuration and framework.</summary>
    private static string Program()
    {
        var output = new DirectoryInfo(AppContext.BaseDirectory.TrimEnd('/'));
        return RepositoryRoot.Find($"src/ImageAccess.Proxy/bin/{output.Parent!.Name}/{output.Name}/imageaccess.dll");
    }
}
