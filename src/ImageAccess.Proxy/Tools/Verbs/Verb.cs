using System.CommandLine;
using System.Text.Json;
using System.Text.Json.Serialization;
using ImageAccess.Proxy.Foundation.Configuration;
using ImageAccess.Proxy.Foundation.Files;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Tools.Verbs;

/// <summary>The exit codes and options that the verbs share, and how each of them fails.</summary>
internal static class Verb
{
    public const int Yes = 0;

    /// <summary>The answer is no: denied, invalid, not as expected. Of the program itself: what may be better at the next start.</summary>
    public const int No = 1;

    /// <summary>Wrong usage or configuration.</summary>
    public const int Misused = 2;

    private static readonly JsonSerializerOptions Facts = new(ReadableJson.Web)
    {
        WriteIndented = true,
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    };

    public static Option<bool> Json() => new("--json") { Description = "Print the facts as JSON." };

    public static Option<bool> Strict() => new("--strict") { Description = "Exit code 1 also where the answer depends on a publisher who is not known here." };

    /// <summary>How many of a list are shown.</summary>
    public static Option<int> Last(string what, int maximum)
    {
        var count = new Option<int>("--last") { Description = $"{what}, at most {maximum}.", HelpName = "COUNT", DefaultValueFactory = _ => 100 };
        count.Validators.Add(result =>
        {
            if (result.GetValue(count) is var number && (number < 1 || number > maximum))
                result.AddError($"--last: choose a number from 1 to {maximum}");
        });
        return count;
    }

    public static Option<string?> ConfigurationFile() => new("--config")
    {
        Description = "The configuration file; imageaccess.json in the working directory by default.",
        HelpName = "FILE",
    };

    /// <summary>Whatever is thrown becomes lines of the error stream, and <see cref="Misused"/>, or <see cref="No"/> where it may pass.</summary>
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

    /// <summary>For what writes into the data directory of a proxy, which must be able to read it.</summary>
    /// <exception cref="MisuseException">It is another one, or another user's.</exception>
    public static void DemandDataDirectory(string directory)
    {
        if (!Directory.Exists(directory))
            throw new MisuseException($"Data:Directory: {directory} does not exist; name the configuration of the proxy with --config");
        if (FileRights.Of(directory) is { IsAnothers: true })
            throw new MisuseException($"Data:Directory: {directory} belongs to another user than {Environment.UserName}, and the proxy could not read what is written there; run this as that user, with sudo -u");
    }

    private static async Task<int> RunAsync(
        Func<ParseResult, CancellationToken, Task<int>> run, ParseResult parsed, CancellationToken cancellationToken)
    {
        try
        {
            return await run(parsed, cancellationToken);
        }
        catch (Exception exception) when (exception is not OperationCanceledException)
        {
            foreach (var fault in Faults(exception).Distinct())
                await parsed.InvocationConfiguration.Error.WriteLineAsync($"imageaccess: {TextTable.Plain(fault)}");
            return exception is PassingFaultException ? No : Misused;
        }
    }

    /// <summary>What is wrong, in a line for each fault; what nobody foresaw has its type in it.</summary>
    private static IEnumerable<string> Faults(Exception exception) => exception switch
    {
        MisuseException misuse => misuse.Problems,
        OptionsValidationException options => options.Failures,
        AggregateException several => several.InnerExceptions.SelectMany(Faults),
        IOException or UnauthorizedAccessException => [exception.Message],
        _ => [$"{exception.GetType().Name}: {exception.Message}"],
    };
}

/// <summary>The verb cannot do what it was asked to do: wrong usage, a file that cannot be read, a proxy that does not answer.</summary>
internal class MisuseException(params IReadOnlyList<string> problems) : Exception(string.Join('\n', problems))
{
    public IReadOnlyList<string> Problems { get; } = problems;
}
