using System.CommandLine;
using System.Globalization;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Administration.Api;
using ImageAccess.Proxy.Administration.Changes;
using ImageAccess.Proxy.Foundation.Database;
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
        var (pattern, reason, file, json) = (Pattern(), Reason("Why; whoever is denied reads it."), Verb.ConfigurationFile(), Verb.Json());
        var (by, ticket) = (ChangeCommands.By(), ChangeCommands.Ticket());
        var command = new Command("block", "Denies an image to everybody, also to owners, in observe mode, and where it is kept.") { pattern, reason, ticket, by, json, file };
        command.Subcommands.Add(List());
        var server = new ServerOptions();
        server.AddTo(command);
        Verb.SetAction(command, async (parsed, cancellationToken) =>
        {
            using var api = server.Find(parsed, by, file);
            if (api is not null)
            {
                var wanted = new BlockOperations.Wanted(parsed.GetValue(pattern)!, parsed.GetValue(reason)!) { Ticket = parsed.GetValue(ticket) };
                var blocked = await api.PostAsync<BlockFacts>("blocks", wanted, cancellationToken);
                await TellAsync(parsed, json, new { Blocked = blocked }, [$"{blocked.Image} is blocked (block {blocked.Id} of {api.Source}): {Effect}"]);
                return Verb.Yes;
            }

            var configuration = Configuration(parsed.GetValue(file));
            var options = PolicyStoreOptions.Of(configuration);
            var image = Read(parsed.GetValue(pattern)!);
            var request = new ChangeRequest(ChangeCommands.Server(parsed.GetValue(by)), parsed.GetValue(reason)!) { Ticket = parsed.GetValue(ticket) };
            var earlier = new BlocksOnDisk(options).Find().ToBlocks().Find(image);
            var block = await ChangeCommands.ChangeAsync(() => Desk(configuration).BlockAsync(image, request, cancellationToken));
            var isNew = block.Id != earlier?.Id;
            await TellAsync(
                parsed,
                json,
                new { Blocked = BlockFacts.Of(block), IsNew = isNew },
                isNew
                    ? [$"{block.Pattern} is blocked (block {block.Id} in {Verb.Shown(options.BlocksPath)}): {Effect}"]
                    : [$"{block.Pattern} is blocked already, {Since(block)}: {block.Reason}"]);
            return Verb.Yes;
        });
        return command;
    }

    public static Command Unblock()
    {
        var (pattern, reason, file, json) = (Pattern(), Reason("Why, for the audit trail."), Verb.ConfigurationFile(), Verb.Json());
        var (by, ticket) = (ChangeCommands.By(), ChangeCommands.Ticket());
        var command = new Command("unblock", "Lifts a block, or lets that wait for a second person where the policy demands one.") { pattern, reason, ticket, by, json, file };
        var server = new ServerOptions();
        server.AddTo(command);
        Verb.SetAction(command, async (parsed, cancellationToken) =>
        {
            using var api = server.Find(parsed, by, file);
            if (api is not null)
            {
                await LiftAsync(api, parsed, parsed.GetValue(pattern)!, new Because(parsed.GetValue(reason)!) { Ticket = parsed.GetValue(ticket) }, json, cancellationToken);
                return Verb.Yes;
            }

            var configuration = Configuration(parsed.GetValue(file));
            var options = PolicyStoreOptions.Of(configuration);
            var image = Read(parsed.GetValue(pattern)!);
            var request = new ChangeRequest(ChangeCommands.Server(parsed.GetValue(by)), parsed.GetValue(reason)!) { Ticket = parsed.GetValue(ticket) };
            var policy = (await PolicyOnDisk.FindAsync(configuration, cancellationToken)).Policy;
            var outcome = policy.Document.Changes.Approvals > 1
                ? await AskAsync(parsed.GetValue(file), configuration, policy, image, request, cancellationToken)
                : await ChangeCommands.ChangeAsync(() => Desk(configuration, policy).LiftBlockAsync(image, request, cancellationToken));
            if (outcome.Done is not { Block: var lifted })
            {
                await ChangeCommands.TellWaitingAsync(parsed, json, outcome.Waiting!);
                return Verb.Yes;
            }

            var after = new BlocksOnDisk(options).Find();
            var still = image.Asked is { } asked ? after.ToBlocks().Find(asked) : null;
            await TellAsync(
                parsed,
                json,
                new { Lifted = BlockFacts.Of(lifted), StillBlockedBy = still?.Pattern.ToString() },
                [
                    $"{lifted.Pattern} is blocked no longer (block {lifted.Id} in {Verb.Shown(options.BlocksPath)}): {Effect}",
                    .. still is null ? Array.Empty<string>() : [$"it stays denied: {still.Pattern} is blocked"],
                ]);
            return Verb.Yes;
        });
        return command;
    }

    private static async Task LiftAsync(ServerApi api, ParseResult parsed, string image, Because because, Option<bool> json, CancellationToken cancellationToken)
    {
        if (!ImagePattern.TryParse(image, out var pattern, out var problem))
            throw new MisuseException($"'{image}' {problem}");
        var block = (await api.ListAsync<BlockFacts>("blocks", cancellationToken)).FirstOrDefault(block => block.Image == pattern.ToString())
            ?? throw new MisuseException($"{pattern} is not blocked at {api.Source}; imageaccess block list names what is");
        var changed = await api.PostAsync<Changed<BlockFacts>>(string.Create(CultureInfo.InvariantCulture, $"blocks/{block.Id}/lift"), because, cancellationToken);
        if (changed.Waiting is { } waiting)
            await ChangeCommands.TellWaitingAsync(parsed, json, waiting.ToRow());
        else
            await TellAsync(parsed, json, new { Lifted = changed.Done ?? throw api.Foreign() }, [$"{pattern} is blocked no longer (block {block.Id} of {api.Source}): {Effect}"]);
    }

    private static Command List()
    {
        var (file, json) = (Verb.ConfigurationFile(), Verb.Json());
        var command = new Command("list", "Names what is blocked, since when, by whom and why.") { json, file };
        var server = new ServerOptions();
        server.AddTo(command);
        Verb.SetAction(command, async (parsed, cancellationToken) =>
        {
            using var api = server.Find(parsed, file);
            IReadOnlyList<BlockFacts> blocks = api is not null
                ? await api.ListAsync<BlockFacts>("blocks", cancellationToken)
                : [.. new BlocksOnDisk(PolicyStoreOptions.Of(Verb.Configuration(parsed.GetValue(file)))).Find().Blocks.Select(BlockFacts.Of)];
            var output = parsed.InvocationConfiguration.Output;
            if (parsed.GetValue(json))
            {
                await Verb.WriteJsonAsync(output, new { Blocks = blocks });
                return Verb.Yes;
            }

            if (blocks.Count == 0)
            {
                await output.WriteLineAsync("nothing is blocked");
                return Verb.Yes;
            }

            var table = new TextTable(">BLOCK", "IMAGE", "SINCE", "BY", "REASON");
            foreach (var block in blocks)
                table.Add(block.Id.ToString(CultureInfo.InvariantCulture), block.Image, Time(new DateTimeOffset(block.At)), block.By, block.Reason);
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

    /// <exception cref="MisuseException">What is written there would be read by no proxy.</exception>
    private static IConfiguration Configuration(string? file)
    {
        var configuration = Verb.Configuration(file);
        Verb.DemandDataDirectory(configuration["Data:Directory"]!);
        return configuration;
    }

    /// <summary>The desk for what needs no database: it is not opened.</summary>
    private static ChangeDesk Desk(IConfiguration configuration, Policy? policy = null) => ChangeCommands.Desk(configuration, SqlDatabase.Of(DatabaseOptions.Of(configuration)), policy);

    /// <summary>A second person can only be waited for in the database.</summary>
    private static Task<ChangeOutcome<LiftedBlock>> AskAsync(
        string? file, IConfiguration configuration, Policy policy, ImagePattern image, ChangeRequest request, CancellationToken cancellationToken)
    {
        var database = ChangeCommands.Open(file, configuration);
        return ChangeCommands.ChangeAsync(
            database, () => ChangeCommands.Desk(configuration, database, policy).LiftBlockAsync(image, request, cancellationToken), cancellationToken);
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

    private static string Since(Block block) => $"since {Time(block.At)} by {block.By}";

    private static string Time(DateTimeOffset time) => time.UtcDateTime.ToString("yyyy-MM-dd HH:mm'Z'", CultureInfo.InvariantCulture);

    /// <exception cref="MisuseException">It names no image.</exception>
    private static ImagePattern Read(string image) =>
        ImagePattern.TryParse(image, out var pattern, out var problem) ? pattern : throw new MisuseException($"'{image}' {problem}");
}
