using System.CommandLine;
using System.Globalization;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Foundation.Files;
using ImageAccess.Proxy.Policies.Store;

namespace ImageAccess.Proxy.Tools.Verbs;

/// <summary>
/// <c>imageaccess block</c>, <c>imageaccess unblock</c>: what nobody may have. They change a file of the data directory, so that they need
/// neither a running proxy nor a database nor Docker Hub; the running proxy records each change.
/// </summary>
internal static class BlockCommands
{
    private const string Effect = "a running proxy enforces it within a second";

    public static Command Block()
    {
        var (pattern, reason, by, file, json) = (Pattern(), Reason("Why; whoever is denied reads it."), By(), Verb.ConfigurationFile(), Verb.Json());
        var command = new Command("block", "Denies an image to everybody, also to owners, in observe mode, and where it is kept.") { pattern, reason, by, json, file };
        command.Subcommands.Add(List());
        Verb.SetAction(command, async (parsed, cancellationToken) =>
        {
            var change = Read(parsed.GetValue(pattern)!, parsed.GetValue(reason)!, parsed.GetValue(by) ?? Environment.UserName);
            var options = Options(parsed.GetValue(file));
            Block? earlier = null;
            var after = await new BlocksOnDisk(options).ChangeAsync(
                before =>
                {
                    earlier = before.ToBlocks().Find(change.Pattern);
                    if (earlier is null && before.Blocks.Count >= Blocks.Maximum)
                        throw new MisuseException(string.Create(CultureInfo.InvariantCulture, $"{Blocks.Maximum:N0} blocks are in force, and there can be no more: block a namespace, or lift some"));
                    return earlier is null ? before.Add(change.Pattern, change.Reason, change.By, TimeProvider.System.GetUtcNow()) : before;
                },
                cancellationToken);
            var block = earlier ?? after.Blocks[^1];
            await TellAsync(
                parsed,
                json,
                new { Blocked = Facts(block), IsNew = earlier is null },
                earlier is null
                    ? [$"{block.Pattern} is blocked (block {block.Id} in {Verb.Shown(options.BlocksPath)}): {Effect}"]
                    : [$"{block.Pattern} is blocked already, {Since(block)}: {block.Reason}"]);
            return Verb.Yes;
        });
        return command;
    }

    public static Command Unblock()
    {
        var (pattern, reason, by, file, json) = (Pattern(), Reason("Why, for the audit trail."), By(), Verb.ConfigurationFile(), Verb.Json());
        var command = new Command("unblock", "Lifts a block.") { pattern, reason, by, json, file };
        Verb.SetAction(command, async (parsed, cancellationToken) =>
        {
            var change = Read(parsed.GetValue(pattern)!, parsed.GetValue(reason)!, parsed.GetValue(by) ?? Environment.UserName);
            var options = Options(parsed.GetValue(file));
            Block? lifted = null;
            var after = await new BlocksOnDisk(options).ChangeAsync(
                before =>
                {
                    lifted = before.ToBlocks().Find(change.Pattern)
                        ?? throw new MisuseException($"{change.Pattern} is not blocked; imageaccess block list names what is");
                    return before.Lift(lifted, change.Reason, change.By, TimeProvider.System.GetUtcNow());
                },
                cancellationToken);
            var still = change.Pattern.Asked is { } asked ? after.ToBlocks().Find(asked) : null;
            await TellAsync(
                parsed,
                json,
                new { Lifted = Facts(lifted!), StillBlockedBy = still?.Pattern.ToString() },
                [
                    $"{lifted!.Pattern} is blocked no longer (block {lifted.Id} in {Verb.Shown(options.BlocksPath)}): {Effect}",
                    .. still is null ? Array.Empty<string>() : [$"it stays denied: {still.Pattern} is blocked"],
                ]);
            return Verb.Yes;
        });
        return command;
    }

    private static Command List()
    {
        var (file, json) = (Verb.ConfigurationFile(), Verb.Json());
        var command = new Command("list", "Names what is blocked, since when, by whom and why.") { json, file };
        Verb.SetAction(command, async (parsed, _) =>
        {
            var blocks = new BlocksOnDisk(PolicyStoreOptions.Of(Verb.Configuration(parsed.GetValue(file)))).Find().Blocks;
            var output = parsed.InvocationConfiguration.Output;
            if (parsed.GetValue(json))
            {
                await Verb.WriteJsonAsync(output, new { Blocks = blocks.Select(Facts) });
                return Verb.Yes;
            }

            if (blocks.Count == 0)
            {
                await output.WriteLineAsync("nothing is blocked");
                return Verb.Yes;
            }

            var table = new TextTable(">BLOCK", "IMAGE", "SINCE", "BY", "REASON");
            foreach (var block in blocks)
                table.Add(block.Id.ToString(CultureInfo.InvariantCulture), block.Pattern.ToString(), Time(block.At), block.By, block.Reason);
            await table.WriteAsync(output);
            return Verb.Yes;
        });
        return command;
    }

    private static Argument<string> Pattern() => new("IMAGE")
    {
        Description = "bitnami/* for a namespace; nginx for a repository; nginx:1.27 for a tag; nginx@sha256:… or sha256:… for a digest there or anywhere.",
    };

    private static Option<string> Reason(string description) => new("--reason") { Description = description, HelpName = "TEXT", Required = true };

    private static Option<string?> By() => new("--by") { Description = "Who; the user of the operating system by default.", HelpName = "NAME" };

    /// <exception cref="MisuseException">What is written there would be read by no proxy.</exception>
    private static PolicyStoreOptions Options(string? file)
    {
        var options = PolicyStoreOptions.Of(Verb.Configuration(file));
        Verb.DemandDataDirectory(options.DataDirectory);
        return options;
    }

    private static async Task TellAsync(ParseResult parsed, Option<bool> json, object facts, IEnumerable<string> lines)
    {
        var output = parsed.InvocationConfiguration.Output;
        if (parsed.GetValue(json))
        {
            await Verb.WriteJsonAsync(output, facts);
            return;
        }

        foreach (var line in lines)
            await output.WriteLineAsync(TextTable.Plain(line));
    }

    private static object Facts(Block block) => new { block.Id, Image = block.Pattern.ToString(), block.Reason, block.By, block.At };

    private static string Since(Block block) => $"since {Time(block.At)} by {block.By}";

    private static string Time(DateTimeOffset time) => time.UtcDateTime.ToString("yyyy-MM-dd HH:mm'Z'", CultureInfo.InvariantCulture);

    /// <exception cref="MisuseException">Something of it cannot be used; it names all of that.</exception>
    private static Change Read(string image, string reason, string by)
    {
        var problems = new List<string>();
        if (!ImagePattern.TryParse(image, out var pattern, out var problem))
            problems.Add($"'{image}' {problem}");
        if (PrintableText.FaultOf(reason, BlockDocument.MaximumReason) is { } reasonFault)
            problems.Add($"--reason {reasonFault}");
        if (PrintableText.FaultOf(by, BlockDocument.MaximumName) is { } nameFault)
            problems.Add($"--by {nameFault}");
        return pattern is not null && problems.Count == 0 ? new Change(pattern, reason, by) : throw new MisuseException(problems);
    }

    /// <summary>What is to change, why, and who wants it.</summary>
    private sealed record Change(ImagePattern Pattern, string Reason, string By);
}
