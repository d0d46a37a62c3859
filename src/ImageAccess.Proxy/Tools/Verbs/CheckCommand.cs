using System.CommandLine;
using System.Globalization;
using ImageAccess.Core.Oci;
using ImageAccess.Proxy.Policies.Decisions;

namespace ImageAccess.Proxy.Tools.Verbs;

/// <summary><c>imageaccess check IMAGE…</c>: what the policy says about images, and why.</summary>
internal static class CheckCommand
{
    public static Command Build()
    {
        var images = new Argument<string[]>("IMAGE")
        {
            Description = "As you would pull it: nginx, bitnami/redis:7, docker.io/someuser/x@sha256:…",
            Arity = ArgumentArity.OneOrMore,
        };
        var user = new Option<string?>("--as")
        {
            Description = "Judge as this Docker Hub user; without it, as an anonymous caller.",
            HelpName = "USER",
        };
        var organization = new Option<string?>("--organization")
        {
            Description = "Judge as a plain member of this organization.",
            HelpName = "ORG",
        };
        var offline = new Option<bool>("--offline")
        {
            Description = "Judge with the policy's file alone, without a running proxy and without Docker Hub.",
        };
        var strict = Verb.Strict();
        var json = Verb.Json();
        var file = Verb.ConfigurationFile();

        var command = new Command(
            "check", "Tells whether images may be used, by which rule, and what a client would be told. Exit code 1 when one is denied.")
        {
            images, user, organization, offline, strict, json, file,
        };
        var server = new ServerOptions();
        server.AddTo(command);
        Verb.SetAction(command, async (parsed, cancellationToken) =>
        {
            var names = Parse(parsed.GetValue(images)!);
            using var judge = server.Find(parsed, offline, file) is { } api ? api
                : Verb.Configuration(parsed.GetValue(file)) is var configuration && parsed.GetValue(offline) ? (IImageJudge)await PolicyAlone.OpenAsync(configuration, cancellationToken)
                : RunningProxy.ForChecksAt(configuration);
            var caller = new JudgedCaller(parsed.GetValue(user), parsed.GetValue(organization));
            return await RunAsync(parsed.InvocationConfiguration.Output, judge, caller, names, new Told(parsed.GetValue(json), parsed.GetValue(strict)), cancellationToken);
        });
        return command;
    }

    public static async Task<int> RunAsync(
        TextWriter output,
        IImageJudge judge,
        JudgedCaller caller,
        IReadOnlyList<ImageName> images,
        Told told,
        CancellationToken cancellationToken)
    {
        var answers = new List<CheckAnswer>();
        foreach (var image in images)
            answers.Add(await judge.CheckAsync(image, caller, cancellationToken));

        var verdicts = answers.ConvertAll(answer => answer.Image);
        var last = answers[^1];
        if (told.AsJson)
            await Verb.WriteJsonAsync(output, new Facts(last.Caller, last.ImageAccess, last.PolicyVersion, judge.Source, verdicts));
        else
            await PrintAsync(output, $"as {last.Caller}, by policy {last.PolicyVersion} of {judge.Source}", verdicts);
        return verdicts.Exists(verdict => verdict.IsRefused || (told.IsStrict && verdict.Verdict == ImageVerdict.Unknown)) ? Verb.No : Verb.Yes;
    }

    /// <exception cref="MisuseException">Some texts are no images; it names all of them.</exception>
    public static List<ImageName> Parse(string[] texts)
    {
        var names = new List<ImageName>();
        var problems = new List<string>();
        foreach (var text in texts)
        {
            if (ImageName.TryParse(text, out var name, out var problem))
                names.Add(name);
            else
                problems.Add($"'{text}' {problem}");
        }

        return problems.Count == 0 ? names : throw new MisuseException(problems);
    }

    private static async Task PrintAsync(TextWriter output, string head, List<ImageVerdict> verdicts)
    {
        await output.WriteLineAsync(TextTable.Plain(head));
        await output.WriteLineAsync();
        var table = new TextTable("VERDICT", "RULE", "CATEGORY", "IMAGE");
        foreach (var verdict in verdicts)
        {
            table.Add(verdict.Verdict, verdict.Rule ?? "-", CategoryOf(verdict), verdict.Image);
            if (verdict.Text is { } text)
                table.Note(text);
        }

        await table.WriteAsync(output);
        await output.WriteLineAsync();
        await output.WriteLineAsync(Summarize(verdicts));
    }

    private static string CategoryOf(ImageVerdict verdict) => verdict switch
    {
        { Category: null } => "-",
        { CategorySource: null } => verdict.Category,
        { CategoryAgeSeconds: { } age } => $"{verdict.Category} ({verdict.CategorySource}, {Age(TimeSpan.FromSeconds(age))})",
        _ => $"{verdict.Category} ({verdict.CategorySource})",
    };

    private static string Age(TimeSpan age) => age switch
    {
        { TotalMinutes: < 1 } => "just now",
        { TotalHours: < 1 } => string.Create(CultureInfo.InvariantCulture, $"{age.Minutes} min ago"),
        { TotalDays: < 1 } => string.Create(CultureInfo.InvariantCulture, $"{age.Hours} h ago"),
        _ => string.Create(CultureInfo.InvariantCulture, $"{age.Days} d ago"),
    };

    private static string Summarize(List<ImageVerdict> verdicts)
    {
        var kinds = new[]
        {
            ("allow", "allowed"), ("observe", "only observed"), ("deny", "denied"),
            (ImageVerdict.Unknown, "not known here"), (ImageVerdict.Outside, "outside the policy"),
        };
        var counts = kinds
            .Select(kind => (Number: verdicts.Count(verdict => verdict.Verdict == kind.Item1), kind.Item2))
            .Where(count => count.Number > 0)
            .Select(count => string.Create(CultureInfo.InvariantCulture, $"{count.Number} {count.Item2}"));
        return $"{TextTable.Count(verdicts.Count, "image")}: {string.Join(", ", counts)}";
    }

    /// <summary>How the answer is told.</summary>
    /// <param name="AsJson">As one JSON document.</param>
    /// <param name="IsStrict">The exit code refuses what is not known here.</param>
    public sealed record Told(bool AsJson, bool IsStrict);

    private sealed record Facts(string Caller, bool ImageAccess, string PolicyVersion, string Source, IReadOnlyList<ImageVerdict> Images);
}

/// <summary>Judges images: a running proxy, or the policy's file alone.</summary>
internal interface IImageJudge : IDisposable
{
    /// <summary>Where the policy comes from, for a person.</summary>
    string Source { get; }

    /// <summary>How many images it may be asked about at a time.</summary>
    int AtOnce => 1;

    /// <exception cref="MisuseException">There is no verdict, and why.</exception>
    Task<CheckAnswer> CheckAsync(ImageName image, JudgedCaller caller, CancellationToken cancellationToken);
}
