using System.CommandLine;
using System.Globalization;
using ImageAccess.Core.Oci;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Callers.Members;
using ImageAccess.Proxy.Foundation.Audit;
using ImageAccess.Proxy.Foundation.Files;
using ImageAccess.Proxy.Policies.Catalog;
using ImageAccess.Proxy.Policies.Decisions;
using ImageAccess.Proxy.Policies.Exceptions;
using ImageAccess.Proxy.Policies.Following;
using ImageAccess.Proxy.Policies.Store;

namespace ImageAccess.Proxy.Tools.Verbs;

/// <summary><c>imageaccess policy …</c>: what a policy document says, before it is in force, and which were.</summary>
internal static class PolicyCommands
{
    public static Command Build()
    {
        var command = new Command("policy", "Looks at policy documents before they are in force and at those that were, and changes the one of the database.")
        {
            Validate(), Test(), Diff(), Replay(), PolicyHistoryCommand.Build(),
        };
        foreach (var edit in PolicyEditCommands.All())
            command.Subcommands.Add(edit);
        return command;
    }

    /// <exception cref="MisuseException">The file cannot be read.</exception>
    public static ReadOnlyMemory<byte> Read(string path)
    {
        var reading = new WholeFile(path, PolicyStoreOptions.DefaultMaximumSize, isDraft: true).Read();
        return reading.Bytes ?? throw new MisuseException($"{path} {reading.Failure}");
    }

    /// <exception cref="MisuseException">The file cannot be read, or is no policy.</exception>
    public static Policy Compile(string path)
    {
        var document = PolicyOnDisk.Parse(FileReading.Found(Read(path)));
        return document.Value ?? throw new MisuseException([.. document.Problems.Select(problem => $"{path}: {problem}")]);
    }

    /// <exception cref="MisuseException">It is none.</exception>
    public static TimeSpan Duration(string text)
    {
        if (text.Length is > 1 and < 8
            && int.TryParse(text.AsSpan(0, text.Length - 1), NumberStyles.None, CultureInfo.InvariantCulture, out var number)
            && number > 0)
        {
            switch (text[^1])
            {
                case 'm':
                    return TimeSpan.FromMinutes(number);
                case 'h':
                    return TimeSpan.FromHours(number);
                case 'd' when number <= 36_500:
                    return TimeSpan.FromDays(number);
            }
        }

        throw new MisuseException($"--since: '{text}' is not a duration, as 12h or 30d");
    }

    private static Command Validate()
    {
        var file = new Argument<string>("FILE") { Description = "The policy document." };
        var members = new Option<string?>("--members")
        {
            Description = "The members.json of a data directory: owners whom its lists do not name are noted.",
            HelpName = "FILE",
        };
        var json = Verb.Json();
        var command = new Command("validate", "Names every problem of a policy document, or tells what it does. Exit code 1 when it is invalid.")
        {
            file, members, json,
        };
        Verb.SetAction(command, (parsed, _) =>
        {
            var (path, output) = (parsed.GetValue(file)!, parsed.InvocationConfiguration.Output);
            if (!PolicyCompiler.TryCompile(Read(path), out var policy, out var problems))
                return PolicySummary.WriteProblemsAsync(output, path, problems, parsed.GetValue(json));
            var absent = parsed.GetValue(members) is { } lists ? FindAbsent(policy, lists) : [];
            return PolicySummary.WriteAsync(output, path, policy, Today(), parsed.GetValue(json), absent);
        });
        return command;
    }

    private static Command Test()
    {
        var file = new Argument<string>("FILE") { Description = "The policy document." };
        var cases = new Argument<string>("CASES") { Description = "A table of callers, images and expected answers." };
        var blocks = new Option<string?>("--blocks") { Description = "The blocks beside it, as blocks.json in the data directory has them.", HelpName = "FILE" };
        var json = Verb.Json();
        var command = new Command("test", "Compares the answers of a policy document with a table of cases. Exit code 1 when one differs.")
        {
            file, cases, blocks, json,
        };
        Verb.SetAction(command, async (parsed, _) =>
        {
            var policy = Compile(parsed.GetValue(file)!).With(parsed.GetValue(blocks) is { } list ? ReadBlocks(list) : Blocks.None);
            var path = parsed.GetValue(cases)!;
            var rows = PolicyCase.Parse(path, ReadLines(path));
            await TellFollowedAsync(parsed, policy);
            return await PolicyCase.RunAsync(parsed.InvocationConfiguration.Output, policy, path, rows, Today(), parsed.GetValue(json));
        });
        return command;
    }

    private static Command Diff()
    {
        var before = new Argument<string>("A") { Description = "The policy document as it is." };
        var after = new Argument<string>("B") { Description = "The policy document as it would be." };
        var images = new Option<string?>("--images")
        {
            Description = "A list of images, one a line; behind a | what its publisher is.",
            HelpName = "FILE",
        };
        var audit = new Option<string?>("--audit") { Description = "An audit trail, whose pulls are judged.", HelpName = "FILE" };
        var users = new Option<string[]>("--as")
        {
            Description = "With --images: judge as this user as well; may be repeated.",
            HelpName = "USER",
        };
        var json = Verb.Json();
        var command = new Command("diff", "Tells what changes from one policy document to another, and for which images and callers.")
        {
            before, after, images, audit, users, json,
        };
        command.Validators.Add(result =>
        {
            if (result.GetValue(images) is not null && result.GetValue(audit) is not null)
                result.AddError("Choose --images or --audit.");
            else if (result.GetValue(users) is { Length: > 0 } && result.GetValue(images) is null)
                result.AddError("--as goes with --images; an audit trail names its callers itself.");
        });
        Verb.SetAction(command, async (parsed, cancellationToken) =>
        {
            if (parsed.GetValue(users)?.FirstOrDefault(user => !AccountName.IsUser(user.ToLowerInvariant())) is { } odd)
                throw new MisuseException($"--as: '{odd}' is not a Docker Hub user name: {AccountName.UserRule}");
            var (one, other) = (Side(parsed.GetValue(before)!), Side(parsed.GetValue(after)!));
            var diff = new PolicyDiff(one, other, Today());
            await TellFollowedAsync(parsed, one.Policy, other.Policy);
            if (parsed.GetValue(images) is { } list)
                diff.AddImages(list, ReadLines(list), parsed.GetValue(users) ?? []);
            else if (parsed.GetValue(audit) is { } trail)
                diff.AddPulls(await ReadPullsAsync(trail, since: null, parsed.InvocationConfiguration.Error, cancellationToken));
            await diff.WriteAsync(parsed.InvocationConfiguration.Output, parsed.GetValue(json));
            return Verb.Yes;
        });
        return command;
    }

    private static Command Replay()
    {
        var draft = new Argument<string>("FILE") { Description = "The policy document as it would be." };
        var since = new Option<string?>("--since") { Description = "Pulls of this last time alone: 12h, 30d.", HelpName = "DURATION" };
        var audit = new Option<string?>("--audit")
        {
            Description = "The audit trail; the configuration's own by default. Its rotated predecessors are read too.",
            HelpName = "FILE",
        };
        var report = new Option<string?>("--docker-usage")
        {
            Description = "In place of the trail, Docker Hub's own usage report: CSV, also packed with gzip. No machine has to use the proxy for it.",
            HelpName = "FILE",
        };
        var organization = new Option<string?>("--organization")
        {
            Description = "With --docker-usage: whose members the report's users are; the policy's only organization by default.",
            HelpName = "ORG",
        };
        var json = Verb.Json();
        var file = Verb.ConfigurationFile();
        var command = new Command("replay", "Judges pulls by a draft of a policy and tells what would change: those of the audit trail, or of Docker Hub's usage report.")
        {
            draft, since, audit, report, organization, json, file,
        };
        command.Validators.Add(result =>
        {
            if (result.GetValue(report) is not null && result.GetValue(audit) is not null)
                result.AddError("Choose --audit or --docker-usage.");
            else if (result.GetValue(organization) is not null && result.GetValue(report) is null)
                result.AddError("--organization goes with --docker-usage; an audit trail names memberships itself.");
        });
        Verb.SetAction(command, async (parsed, cancellationToken) =>
        {
            var policy = Compile(parsed.GetValue(draft)!);
            var from = parsed.GetValue(since) is { } duration ? TimeProvider.System.GetUtcNow() - Duration(duration) : (DateTimeOffset?)null;
            if (parsed.GetValue(report) is { } usage)
            {
                var (draftBeside, reported) = await ReadReportAsync(parsed, Verb.Configuration(parsed.GetValue(file)), policy, (usage, parsed.GetValue(organization), from), cancellationToken);
                await new PolicyReplay(new DraftEffect(draftBeside, reported, Today(), cancellationToken: cancellationToken)).WriteAsync(
                    parsed.InvocationConfiguration.Output, parsed.GetValue(draft)!, Verb.Shown(usage), parsed.GetValue(json));
                return Verb.Yes;
            }

            var (trail, beside) = parsed.GetValue(audit) is { } another ? (another, policy) : Own(Verb.Configuration(parsed.GetValue(file)), policy);
            await TellFollowedAsync(parsed, beside);
            var pulls = await ReadPullsAsync(trail, from, parsed.InvocationConfiguration.Error, cancellationToken);
            await new PolicyReplay(new DraftEffect(beside, pulls, Today())).WriteAsync(
                parsed.InvocationConfiguration.Output, parsed.GetValue(draft)!, Verb.Shown(trail), parsed.GetValue(json));
            return Verb.Yes;
        });
        return command;
    }

    /// <exception cref="MisuseException">The file cannot be read, or holds no member lists.</exception>
    private static IReadOnlyList<AbsentOwners> FindAbsent(Policy policy, string members)
    {
        try
        {
            var book = new KeptMembers(members).Read([.. policy.Organizations.Select(organization => organization.Name)]);
            return AbsentOwners.Find(policy, book ?? throw new MisuseException($"{members} does not exist"));
        }
        catch (IOException exception)
        {
            throw new MisuseException($"{members} cannot be used: {exception.Message}");
        }
    }

    private static DateOnly Today() => DateOnly.FromDateTime(TimeProvider.System.GetUtcNow().UtcDateTime);

    /// <exception cref="MisuseException">The trail cannot be read.</exception>
    private static async Task<AuditPulls> ReadPullsAsync(string trail, DateTimeOffset? since, TextWriter progress, CancellationToken cancellationToken)
    {
        try
        {
            return await AuditPulls.ReadAsync(trail, since, progress, cancellationToken);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new MisuseException(File.Exists(trail)
                ? $"{trail} cannot be read: {exception.Message}"
                : $"{trail} does not exist; name an audit trail with --audit");
        }
    }

    /// <summary>A report does not tell who belongs to the organization that it is of.</summary>
    /// <exception cref="MisuseException">The report cannot be read, or the policy has no such organization.</exception>
    private static async Task<(Policy Draft, DockerUsagePulls Pulls)> ReadReportAsync(
        ParseResult parsed, IConfiguration configuration, Policy policy, (string File, string? Organization, DateTimeOffset? Since) asked, CancellationToken cancellationToken)
    {
        var organizations = policy.Organizations.Select(one => one.Name).ToList();
        if (asked.Organization is { } name && !organizations.Contains(name))
            throw new MisuseException($"--organization: the policy has no organization '{name}', but {string.Join(", ", organizations)}");
        var organization = asked.Organization ?? (organizations.Count == 1 ? organizations[0] : null);
        var (_, beside) = Own(configuration, policy);
        await TellFollowedAsync(parsed, beside);
        await parsed.InvocationConfiguration.Error.WriteLineAsync(organization is null
            ? "imageaccess: note: users of the report are judged by the lists of the policy's document alone; --organization ORG judges all of them as its members"
            : $"imageaccess: note: users of the report are judged as members of {organization}, unless the policy's document says more of them");
        var catalog = new CatalogOptions { File = configuration["Catalog:File"], DataDirectory = configuration["Data:Directory"]! };
        var pulls = new DockerUsagePulls(new RecordsOnDisk(catalog), organization, asked.Since);
        await pulls.ReadAsync(asked.File, new ProgressLine(TimeProvider.System, parsed.InvocationConfiguration.Error), cancellationToken);
        return (beside, pulls);
    }

    /// <summary>The document alone does not tell which switches hold where an organization follows Docker Hub's own.</summary>
    public static async Task TellFollowedAsync(ParseResult parsed, params Policy[] policies)
    {
        foreach (var note in policies.SelectMany(policy => FollowedNotes.Of(policy)).Distinct())
            await parsed.InvocationConfiguration.Error.WriteLineAsync(TextTable.Plain($"imageaccess: note: {note}"));
    }

    /// <summary>The trail of this installation, and the draft with the blocks, the exceptions and Docker Hub's own switches that are in force there.</summary>
    private static (string Trail, Policy Draft) Own(IConfiguration configuration, Policy draft)
    {
        var options = new AuditOptions { DataDirectory = configuration["Data:Directory"]! };
        configuration.GetSection("Audit").Bind(options);
        var store = PolicyStoreOptions.Of(configuration);
        return (options.FilePath, draft.With(new BlocksOnDisk(store).Find().ToBlocks()).With(ExceptionsCopy.Find(store.DataDirectory)).With(FollowedCopy.Find(store.DataDirectory, draft)));
    }

    /// <exception cref="MisuseException">The file cannot be read, or has no blocks.</exception>
    private static Blocks ReadBlocks(string path)
    {
        var document = BlockDocument.Parse(new WholeFile(path, PolicyStoreOptions.MaximumBlocksSize, isDraft: true).Read());
        return document.Value?.ToBlocks() ?? throw new MisuseException($"{path} {document.Flaw}");
    }

    private static PolicySide Side(string path) => new(path, Compile(path));

    private static string[] ReadLines(string path)
    {
        try
        {
            return File.ReadAllLines(path);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new MisuseException(File.Exists(path) ? $"{path} cannot be read: {exception.Message}" : $"{path} does not exist");
        }
    }
}
