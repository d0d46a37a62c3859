using System.Globalization;
using ImageAccess.Core.Oci;
using ImageAccess.Proxy.Policies.Decisions;
using ImageAccess.Proxy.Tools.Verbs;

namespace ImageAccess.Proxy.Tools.Scanning;

/// <summary>An image at its place, and what is said about it.</summary>
internal sealed record ScannedImage
{
    /// <summary>The verdict of a place where nobody can tell which image it is.</summary>
    public const string Undetermined = "undetermined";

    public required string File { get; init; }

    public required int Line { get; init; }

    public required string Role { get; init; }

    /// <summary>As it stands in the file, before variables.</summary>
    public required string Written { get; init; }

    public string? Image { get; init; }

    public string? Repository { get; init; }

    /// <summary>As <see cref="ImageVerdict.Verdict"/>, or <see cref="Undetermined"/>.</summary>
    public string Verdict { get; init; } = Undetermined;

    public string? Rule { get; init; }

    public string? Category { get; init; }

    public string? Text { get; init; }

    /// <summary>An image that nobody can tell may be any: a pipeline must not pass on it.</summary>
    public bool IsRefused => Verdict is "deny" or Undetermined;
}

/// <summary>What a scan tells about its images.</summary>
internal sealed record ScanReport(
    string? Caller, bool? ImageAccess, string? PolicyVersion, string Source, int Files, IReadOnlyList<ScannedImage> Images, IReadOnlyList<string> Remarks)
{
    /// <summary>Asks about each image once, however many places name it.</summary>
    public static async Task<ScanReport> JudgeAsync(
        ScanResult found, IImageJudge judge, JudgedCaller caller, ProgressLine progress, CancellationToken cancellationToken)
    {
        var asked = new List<ImageName>();
        foreach (var mention in found.Mentions)
        {
            if (mention.Image is { } text && ImageName.TryParse(text, out var name, out _))
                asked.Add(name);
        }

        asked = [.. asked.DistinctBy(name => name.ToString())];
        var answers = await AskAsync(asked, judge, caller, progress, cancellationToken);
        var images = new List<ScannedImage>();
        foreach (var mention in found.Mentions)
        {
            var image = new ScannedImage { File = Verb.Shown(mention.File), Line = mention.Line, Role = mention.Role, Written = mention.Text, Image = mention.Image, Text = mention.Trouble };
            if (mention.Image is { } text)
                image = ImageName.TryParse(text, out var name, out var problem) ? Of(image, name, answers[name.ToString()].Image) : image with { Text = $"'{text}' {problem}" };
            images.Add(image);
        }

        var any = asked.Count == 0 ? null : answers[asked[0].ToString()];
        return new ScanReport(any?.Caller, any?.ImageAccess, any?.PolicyVersion, judge.Source, found.Files, images, found.Remarks);
    }

    public async Task PrintAsync(TextWriter output)
    {
        if (Images.Count == 0)
        {
            await output.WriteLineAsync($"no images in {TextTable.Count(Files, "file")}");
            return;
        }

        if (Caller is not null)
        {
            await output.WriteLineAsync(TextTable.Plain($"as {Caller}, by policy {PolicyVersion} of {Source}"));
            await output.WriteLineAsync();
        }

        await PrintTableAsync(output);
        await output.WriteLineAsync();
        await output.WriteLineAsync($"{TextTable.Count(Images.Count, "image")} in {TextTable.Count(Files, "file")}: {Summary()}");
    }

    /// <summary>Asks so many at a time as the judge allows. The first who has no answer ends it: a part of the answers is none.</summary>
    private static async Task<Dictionary<string, CheckAnswer>> AskAsync(
        List<ImageName> images, IImageJudge judge, JudgedCaller caller, ProgressLine progress, CancellationToken cancellationToken)
    {
        var answers = new Dictionary<string, CheckAnswer>();
        var options = new ParallelOptions { MaxDegreeOfParallelism = judge.AtOnce, CancellationToken = cancellationToken };
        await Parallel.ForEachAsync(images, options, async (image, cancel) =>
        {
            var answer = await judge.CheckAsync(image, caller, cancel);
            lock (answers)
            {
                answers.Add(image.ToString(), answer);
                progress.Report($"{answers.Count} of {images.Count} images judged");
            }
        });
        return answers;
    }

    /// <summary>Prints rows as wide as they are: people copy places and images, so neither is shortened.</summary>
    private async Task PrintTableAsync(TextWriter output)
    {
        var rows = Images.Select(image => (Image: image, Where: TextTable.Plain(string.Create(CultureInfo.InvariantCulture, $"{image.File}:{image.Line}")))).ToList();
        var (where, verdict, rule) = (
            rows.Max(row => row.Where.Length), Images.Max(image => image.Verdict.Length), Images.Max(image => image.Rule?.Length ?? 1));
        foreach (var (image, place) in rows.Prepend((new ScannedImage { File = "", Line = 0, Role = "", Written = "IMAGE", Verdict = "VERDICT", Rule = "RULE" }, "WHERE")))
        {
            var name = TextTable.Plain(image.Image ?? (image.Written.Length > 0 ? image.Written : "-"));
            await output.WriteLineAsync($"{place.PadRight(where)}  {image.Verdict.PadRight(Math.Max(verdict, 7))}  {(image.Rule ?? "-").PadRight(Math.Max(rule, 4))}  {name}");
            if (image.Text is { } text)
                await TextTable.WriteWrappedAsync(output, TextTable.Plain($"{image.Role}: {text}"), "    ");
        }
    }

    private string Summary()
    {
        var kinds = new[]
        {
            ("allow", "allowed"), ("observe", "only observed"), ("deny", "denied"), (ImageVerdict.Unknown, "not known here"),
            (ScannedImage.Undetermined, "undetermined"), (ImageVerdict.Outside, "outside the policy"),
        };
        return string.Join(", ", kinds
            .Select(kind => (Number: Images.Count(image => image.Verdict == kind.Item1), Word: kind.Item2))
            .Where(count => count.Number > 0)
            .Select(count => string.Create(CultureInfo.InvariantCulture, $"{count.Number:N0} {count.Word}")));
    }

    private static ScannedImage Of(ScannedImage image, ImageName name, ImageVerdict verdict) => image with
    {
        Image = name.ToString(),
        Repository = verdict.Repository,
        Verdict = verdict.Verdict,
        Rule = verdict.Rule,
        Category = verdict.Category,
        Text = verdict.Text,
    };
}
