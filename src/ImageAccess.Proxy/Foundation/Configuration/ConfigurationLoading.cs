using System.Collections;
using System.Text.Json;
using ImageAccess.Core.Policies;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Foundation.Configuration;

/// <summary>Reads <c>imageaccess.json</c>, the environment over it, and refuses what it does not know, all at once.</summary>
internal static class ConfigurationLoading
{
    private const string DefaultFile = "imageaccess.json";
    private const string Prefix = "IMAGEACCESS_";

    /// <summary>OpenTelemetry's own variables, as its specification names them. They are handed on as they are.</summary>
    private const string TelemetryPrefix = "OTEL_";

    /// <param name="file">The file named on the command line; without one, <c>imageaccess.json</c> here, if there is one.</param>
    /// <param name="environment">The process's environment variables.</param>
    /// <exception cref="OptionsValidationException">Each failure is one line that names the key.</exception>
    public static IConfigurationRoot Load(string? file, IDictionary environment)
    {
        var path = Path.GetFullPath(file ?? DefaultFile);
        var folder = Path.GetDirectoryName(path)!;
        var written = ReadFile(path, required: file is not null);
        var configuration = new ConfigurationBuilder()
            .AddInMemoryCollection([
                new("Data:Directory", "data"),
                new("Listen:Mirror", "http://127.0.0.1:5000"),
                new("Listen:Admin", "http://127.0.0.1:9000"),
                new("Listen:Console", "http://127.0.0.1:9080"),
            ])
            .AddInMemoryCollection(written)
            .AddInMemoryCollection(FromEnvironment(environment))
            .Build();

        List<string> failures = [.. ConfigurationKey.All
            .Where(key => key.Kind == ConfigurationKind.Secret && written.Exists(pair => key.Covers(pair.Key)))
            .Select(key => $"{key.Name}: a secret does not belong into {path}; set {Prefix}{key.Name.Replace(":", "__", StringComparison.Ordinal)}, "
                + $"or name a file in {key.Name}File")];
        var normalized = new Dictionary<string, string?>();
        foreach (var (name, value) in configuration.AsEnumerable().Where(pair => pair.Value is not null))
        {
            if (ConfigurationKey.All.FirstOrDefault(key => key.Covers(name)) is not { } known)
            {
                failures.Add($"{name}: unknown key{Suggest(name)}");
                continue;
            }

            try
            {
                normalized[name] = known.Normalize(value!, folder);
            }
            catch (FormatException exception)
            {
                failures.Add($"{name}: {exception.Message}");
            }
        }

        if (failures.Count > 0)
            throw Failed(failures);
        return new ConfigurationBuilder()
            .AddInMemoryCollection(VariablesOf(environment).Where(variable => variable.Key.StartsWith(TelemetryPrefix, StringComparison.Ordinal)))
            .AddInMemoryCollection(normalized)
            .Build();
    }

    public static OptionsValidationException Failed(params IEnumerable<string> failures) => new("configuration", typeof(ConfigurationKey), failures);

    public static PassingFaultException FailedForNow(params IEnumerable<string> failures) => new(failures);

    private static List<KeyValuePair<string, string?>> ReadFile(string path, bool required)
    {
        if (!required && !Path.Exists(path))
            return [];

        try
        {
            using var stream = File.OpenRead(path);
            if (!OperatingSystem.IsWindows() && File.GetUnixFileMode(stream.SafeFileHandle).HasFlag(UnixFileMode.OtherWrite))
                throw Failed($"{path}: everybody on this machine can change it: chmod o-w {path}");
            return [.. new ConfigurationBuilder().AddJsonStream(stream).Build().AsEnumerable().Where(pair => pair.Value is not null)];
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw Failed($"{path}: cannot be read: {exception.Message}");
        }
        catch (Exception exception) when (exception is FormatException or InvalidDataException or JsonException)
        {
            throw Failed($"{path}: {(exception.GetBaseException() is JsonException mistake ? JsonMistake.Describe(File.ReadAllBytes(path), mistake) : $"not valid JSON: {exception.GetBaseException().Message}")}");
        }
    }

    /// <summary>
    /// <c>IMAGEACCESS_PublicUrl</c>, <c>IMAGEACCESS_ConsoleUrl</c> and names with two underscores alone: Kubernetes injects others with this prefix
    /// for a Service of that name.
    /// </summary>
    private static IEnumerable<KeyValuePair<string, string?>> FromEnvironment(IDictionary environment)
    {
        foreach (var (name, value) in VariablesOf(environment).Where(variable => variable.Key.StartsWith(Prefix, StringComparison.OrdinalIgnoreCase)))
        {
            var key = name[Prefix.Length..];
            if (key.Equals("PublicUrl", StringComparison.OrdinalIgnoreCase) || key.Equals("ConsoleUrl", StringComparison.OrdinalIgnoreCase) || key.Contains("__", StringComparison.Ordinal))
                yield return new(key.Replace("__", ":", StringComparison.Ordinal), value);
        }
    }

    private static IEnumerable<KeyValuePair<string, string?>> VariablesOf(IDictionary environment)
    {
        foreach (DictionaryEntry variable in environment)
            yield return new((string)variable.Key, variable.Value as string);
    }

    /// <summary>The known key with the same last part, or the same first.</summary>
    private static string Suggest(string name)
    {
        var parts = name.Split(':');
        var near = ConfigurationKey.All.FirstOrDefault(key => key.Name.Split(':')[^1].Equals(parts[^1], StringComparison.OrdinalIgnoreCase))
            ?? ConfigurationKey.All.FirstOrDefault(key => key.Name.StartsWith(parts[0] + ":", StringComparison.OrdinalIgnoreCase));
        return near is null ? "" : $"; did you mean {near.Name}?";
    }
}

/// <summary>What stops the start, and may be over at the next one without an edit: a full disk, an address that is not there yet.</summary>
internal sealed class PassingFaultException(IEnumerable<string> failures) : OptionsValidationException("start", typeof(ConfigurationKey), failures);
