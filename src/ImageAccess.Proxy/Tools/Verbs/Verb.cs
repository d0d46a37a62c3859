using System.CommandLine;
using System.Text.Json;
using System.Text.Json.Serialization;
using ImageAccess.Proxy.Foundation.Configuration;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Tools.Verbs;

/// <summary>The exit codes and options that the verbs share.</summary>
internal static class Verb
{
    public const int Yes = 0;

    /// <summary>The answer is no: denied, invalid, not as expected.</summary>
    public const int No = 1;

    /// <summary>Wrong usage or configuration.</summary>
    public const int Misused = 2;

    private static readonly JsonSerializerOptions Facts = new(JsonSerializerDefaults.Web)
    {
        WriteIndented = true,
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    };

    public static Option<bool> Json() => new("--json") { Description = "Print the facts as JSON." };

    public static Option<string?> ConfigurationFile() => new("--config")
    {
        Description = "The configuration file; imageaccess.json in the working directory by default.",
        HelpName = "FILE",
    };

    public static void SetAction(Command command, Func<ParseResult, CancellationToken, Task<int>> run) =>
        command.SetAction((parsed, cancellationToken) => RunAsync(run, parsed, cancellationToken));

    public static IConfiguration Configuration(string? file) => ConfigurationLoading.Load(file, Environment.GetEnvironmentVariables());

    public static Task WriteJsonAsync<T>(TextWriter output, T facts) => output.WriteLineAsync(JsonSerializer.Serialize(facts, Facts));

    /// <summary>The path as a person in the working directory would write it.</summary>
    public static string Shown(string path)
    {
        var relative = Path.GetRelativePath(Directory.GetCurrentDirectory(), path);
        return relative.StartsWith("..", StringComparison.Ordinal) ? path : relative;
    }

    private static async Task<int> RunAsync(
        Func<ParseResult, CancellationToken, Task<int>> run, ParseResult parsed, CancellationToken cancellationToken)
    {
        try
        {
            return await run(parsed, cancellationToken);
        }
        catch (MisuseException exception)
        {
            return await MisusedAsync(parsed, exception.Problems);
        }
        catch (OptionsValidationException exception)
        {
            return await MisusedAsync(parsed, exception.Failures);
        }
    }

    private static async Task<int> MisusedAsync(ParseResult parsed, IEnumerable<string> problems)
    {
        foreach (var problem in problems)
            await parsed.InvocationConfiguration.Error.WriteLineAsync($"imageaccess: {TextTable.Plain(problem)}");
        return Misused;
    }
}

/// <summary>The verb cannot do what it was asked to do: wrong usage, a file that cannot be read, a proxy that does not answer.</summary>
internal sealed class MisuseException(params IReadOnlyList<string> problems) : Exception(string.Join('\n', problems))
{
    public IReadOnlyList<string> Problems { get; } = problems;
}
