using System.CommandLine;
using ImageAccess.Proxy.Policies.Decisions;
using ImageAccess.Proxy.Tools.Verbs;

namespace ImageAccess.Proxy.Tools.Scanning;

/// <summary><c>imageaccess scan PATH…</c>: tells what the policy says about the images that files name, before a build asks for them.</summary>
internal static class ScanCommand
{
    public static Command Build()
    {
        var paths = new Argument<string[]>("PATH") { Description = "Files, or directories that are searched for Dockerfiles, Compose files and Kubernetes manifests.", Arity = ArgumentArity.OneOrMore };
        var arguments = new Option<string[]>("--build-arg") { Description = "A value for the ARG of a Dockerfile, as docker build takes it; NAME alone takes the environment's.", HelpName = "NAME=VALUE" };
        var exclude = new Option<string[]>("--exclude") { Description = "Passes over what has this name or this path, with * and ?.", HelpName = "PATTERN" };
        var user = new Option<string?>("--as") { Description = "Judge as this Docker Hub user; without it, as an anonymous caller.", HelpName = "USER" };
        var organization = new Option<string?>("--organization") { Description = "Judge as a plain member of this organization.", HelpName = "ORG" };
        var offline = new Option<bool>("--offline") { Description = "Judge with the policy's file alone, without a running proxy and without Docker Hub." };
        var strict = Verb.Strict();
        var json = Verb.Json();
        var file = Verb.ConfigurationFile();

        var command = new Command("scan", "Finds the images of Dockerfiles, Compose files and Kubernetes manifests, and tells whether they may be used. Exit code 1 when one is denied or cannot be told.")
        {
            paths, arguments, exclude, user, organization, offline, strict, json, file,
        };
        var server = new ServerOptions();
        server.AddTo(command);
        Verb.SetAction(command, async (parsed, cancellationToken) =>
        {
            var (output, error) = (parsed.InvocationConfiguration.Output, parsed.InvocationConfiguration.Error);
            var settings = new ScanSettings
            {
                Environment = FindVariable,
                BuildArguments = ReadArguments(parsed.GetValue(arguments) ?? []),
                Exclude = parsed.GetValue(exclude) ?? [],
            };
            using var api = server.Find(parsed, offline, file);
            var roots = ReadPaths(parsed.GetValue(paths)!);
            var configuration = api is null ? Verb.Configuration(parsed.GetValue(file)) : null;
            var progress = new ProgressLine(TimeProvider.System, error);
            var found = new ImageScan(settings, progress).Run(roots, cancellationToken);
            foreach (var remark in found.Remarks)
                await error.WriteLineAsync($"imageaccess: {TextTable.Plain(remark)}");

            using var judge = configuration is null ? api!
                : parsed.GetValue(offline) ? (IImageJudge)await PolicyAlone.OpenAsync(configuration, cancellationToken)
                : RunningProxy.At(configuration);
            var caller = new JudgedCaller(parsed.GetValue(user), parsed.GetValue(organization));
            var report = await ScanReport.JudgeAsync(found, judge, caller, progress, cancellationToken);
            await (parsed.GetValue(json) ? Verb.WriteJsonAsync(output, report) : report.PrintAsync(output));
            return report.Images.Any(image => image.IsRefused || (parsed.GetValue(strict) && image.Verdict == ImageVerdict.Unknown)) ? Verb.No : Verb.Yes;
        });
        return command;
    }

    private static List<string> ReadPaths(string[] texts)
    {
        var problems = texts.Where(text => !Path.Exists(text)).Select(text => $"{text} is not there").ToList();
        return problems.Count == 0 ? [.. texts.Select(text => Path.TrimEndingDirectorySeparator(Path.GetFullPath(text)))] : throw new MisuseException(problems);
    }

    private static Dictionary<string, Expansion> ReadArguments(string[] texts)
    {
        var arguments = new Dictionary<string, Expansion>();
        foreach (var text in texts)
        {
            var equals = text.IndexOf('=', StringComparison.Ordinal);
            if (equals == 0 || text.Length == 0)
                throw new MisuseException($"--build-arg {text}: a name, or NAME=VALUE");
            if ((equals < 0 ? FindVariable(text) : Expansion.Of(text[(equals + 1)..])) is { } value)
                arguments[equals < 0 ? text : text[..equals]] = value;
        }

        return arguments;
    }

    private static Expansion? FindVariable(string name) => Environment.GetEnvironmentVariable(name) is { } value ? Expansion.Of(value) : null;
}
