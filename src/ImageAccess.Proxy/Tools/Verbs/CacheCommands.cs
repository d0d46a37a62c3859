using System.CommandLine;
using System.Globalization;
using ImageAccess.Core.Oci;
using ImageAccess.Proxy.Content.Cache;
using ImageAccess.Proxy.Content.Serving;
using ImageAccess.Proxy.Foundation.Configuration;
using Microsoft.Extensions.Logging.Abstractions;

namespace ImageAccess.Proxy.Tools.Verbs;

/// <summary>
/// <c>imageaccess cache …</c>: the content on disk. All verbs except <c>warm</c> and <c>forget</c> read the directory and do not ask the running proxy.
/// </summary>
internal static class CacheCommands
{
    private const int ShownRepositories = 10;

    private static readonly string[] Units = ["B", "KiB", "MiB", "GiB", "TiB"];

    public static Command Build() => new("cache", "Shows, verifies, prunes and forgets what is kept of Docker Hub's content, and keeps images before they are asked for.")
    {
        Show(), Verify(), Prune(), Warm(), Forget(),
    };

    /// <summary><c>1.5 GiB</c>.</summary>
    public static string Size(long bytes)
    {
        var (size, unit) = ((double)bytes, 0);
        for (; size >= 1024 && unit < Units.Length - 1; unit++)
            size /= 1024;
        return string.Create(CultureInfo.InvariantCulture, $"{Math.Round(size, unit == 0 ? 0 : 1):0.#} {Units[unit]}");
    }

    private static Command Show()
    {
        var (file, json) = (Verb.ConfigurationFile(), Verb.Json());
        var command = new Command("show", "Shows how much is kept, since when, and of which repositories.") { file, json };
        Verb.SetAction(command, (parsed, _) => OnDiskAsync(Options(parsed.GetValue(file)),
            options => ShowAsync(parsed.InvocationConfiguration.Output, options, parsed.GetValue(json))));
        return command;
    }

    private static Command Verify()
    {
        var (file, json) = (Verb.ConfigurationFile(), Verb.Json());
        var remove = new Option<bool>("--remove") { Description = "Remove what does not verify." };
        var command = new Command("verify", "Reads everything that is kept and compares it with its digests. Exit code 1 when something does not verify.")
        {
            file, remove, json,
        };
        Verb.SetAction(command, (parsed, cancellationToken) => OnDiskAsync(Options(parsed.GetValue(file)), async options =>
        {
            var (output, error) = (parsed.InvocationConfiguration.Output, parsed.InvocationConfiguration.Error);
            var progress = new ProgressLine(TimeProvider.System, Console.IsErrorRedirected ? TextWriter.Null : error);
            var verification = new CacheVerification(Directory(options), TimeProvider.System, progress);
            await verification.RunAsync(parsed.GetValue(remove), cancellationToken);
            await (parsed.GetValue(json) ? Verb.WriteJsonAsync(output, verification.Facts) : verification.PrintAsync(output));
            return verification.Damaged.Count > 0 ? Verb.No : Verb.Yes;
        }));
        return command;
    }

    private static Command Prune()
    {
        var (file, json) = (Verb.ConfigurationFile(), Verb.Json());
        var to = new Option<string?>("--to") { Description = "Remove what was not used for the longest time, until the rest measures this at most.", HelpName = "SIZE" };
        var unusedFor = new Option<string?>("--unused-for") { Description = "Remove what was not used for as long.", HelpName = "DURATION" };
        var command = new Command("prune", "Removes content from the directory, while no proxy runs on it.") { file, to, unusedFor, json };
        Verb.SetAction(command, (parsed, _) =>
        {
            var size = Read("--to", parsed.GetValue(to), ConfigurationKind.Size);
            var age = Read("--unused-for", parsed.GetValue(unusedFor), ConfigurationKind.Duration);
            if (size is null && age is null)
                throw new MisuseException("name what is to go: --to SIZE, --unused-for DURATION, or both");
            return OnDiskAsync(Options(parsed.GetValue(file)), options => PruneAsync(
                parsed.InvocationConfiguration.Output,
                Directory(options),
                size is null ? long.MaxValue : long.Parse(size, CultureInfo.InvariantCulture),
                age is null ? DateTimeOffset.MinValue : TimeProvider.System.GetUtcNow() - TimeSpan.Parse(age, CultureInfo.InvariantCulture),
                parsed.GetValue(json)));
        });
        return command;
    }

    private static Command Warm()
    {
        var file = Verb.ConfigurationFile();
        var images = new Argument<string[]>("IMAGE") { Description = "As you would pull it: nginx, bitnami/redis:7", Arity = ArgumentArity.OneOrMore };
        var mirror = new Option<string?>("--mirror") { Description = "The running proxy's mirror listener; as the configuration says by default.", HelpName = "URL" };
        var platform = new Option<string?>("--platform") { Description = "Of images for several platforms this one alone, as linux/amd64.", HelpName = "OS/ARCHITECTURE" };
        var command = new Command("warm", "Pulls images through the running proxy, as an anonymous client, so that they are kept. Exit code 1 when one is not.")
        {
            images, mirror, platform, file,
        };
        Verb.SetAction(command, async (parsed, cancellationToken) =>
        {
            var names = OfDockerHub(parsed.GetValue(images)!);
            var address = parsed.GetValue(mirror) is { } url
                ? Uri.TryCreate(url, UriKind.Absolute, out var given) && given.Scheme is "http" or "https" ? given : throw new MisuseException($"--mirror: '{url}' is not an address, as http://127.0.0.1:5000")
                : CacheWarming.MirrorOf(Verb.Configuration(parsed.GetValue(file)));
            var progress = new ProgressLine(TimeProvider.System, Console.IsErrorRedirected ? TextWriter.Null : parsed.InvocationConfiguration.Error);
            using var warming = new CacheWarming(address, parsed.GetValue(platform), TimeProvider.System, progress);
            var (table, kept) = (new TextTable("RESULT", "IMAGE"), 0);
            foreach (var (name, text) in names.Zip(parsed.GetValue(images)!))
            {
                var (isKept, said) = await warming.WarmAsync(name, cancellationToken);
                kept += isKept ? 1 : 0;
                table.Add(isKept ? "pulled" : "refused", text);
                table.Note(said);
            }

            await table.WriteAsync(parsed.InvocationConfiguration.Output);
            return kept == names.Count ? Verb.Yes : Verb.No;
        });
        return command;
    }

    private static Command Forget()
    {
        var (file, json) = (Verb.ConfigurationFile(), Verb.Json());
        var images = new Argument<string[]>("REPOSITORY[:TAG|@DIGEST]")
        {
            Description = "All of a repository, as acme/app; or what one tag or digest names: acme/app:1.0, acme/app@sha256:…",
            Arity = ArgumentArity.OneOrMore,
        };
        var reason = new Option<string?>("--reason") { Description = "Why, for the audit trail.", HelpName = "TEXT" };
        var command = new Command("forget", "Makes the running proxy serve nothing of an image until Docker Hub has answered for it again, as after a takedown.")
        {
            images, reason, json, file,
        };
        Verb.SetAction(command, async (parsed, cancellationToken) =>
        {
            var names = OfDockerHub(parsed.GetValue(images)!);
            using var proxy = RunningProxy.At(Verb.Configuration(parsed.GetValue(file)));
            var (forgotten, problems) = (new List<ForgottenImage>(), new List<string>());
            foreach (var name in names)
            {
                try
                {
                    forgotten.Add(await proxy.ForgetAsync(name, parsed.GetValue(reason), cancellationToken));
                }
                catch (MisuseException exception)
                {
                    problems.AddRange(exception.Problems); // the others are forgotten all the same
                }
            }

            var output = parsed.InvocationConfiguration.Output;
            if (forgotten.Count > 0 || problems.Count == 0)
                await (parsed.GetValue(json) ? Verb.WriteJsonAsync(output, new { Forgotten = forgotten }) : PrintAsync(output, forgotten));
            return problems.Count == 0 ? Verb.Yes : throw new MisuseException([.. problems.Distinct()]);
        });
        return command;
    }

    private static Task PrintAsync(TextWriter output, List<ForgottenImage> forgotten)
    {
        var table = new TextTable(">LINKS", ">TAGS", "FORGOTTEN");
        foreach (var image in forgotten)
        {
            table.Add(image.Links.ToString("N0", CultureInfo.InvariantCulture), image.Tags.ToString("N0", CultureInfo.InvariantCulture), image.Image);
            if (image.Unread > 0)
                table.Note($"the layers of {TextTable.Count(image.Unread, "manifest")} could not be found: forget the whole repository to be sure");
        }

        return table.WriteAsync(output);
    }

    /// <exception cref="MisuseException">Some are no images, or none of Docker Hub.</exception>
    private static List<ImageName> OfDockerHub(string[] texts)
    {
        var names = CheckCommand.Parse(texts);
        return names.Where(name => name.Repository is null).Select(name => $"{name.Registry}/{name.Path} is not an image of Docker Hub").ToList() is { Count: > 0 } others
            ? throw new MisuseException(others)
            : names;
    }

    private static CacheOptions Options(string? file)
    {
        var options = CacheOptions.Of(Verb.Configuration(file));
        return options.FaultOfDirectory() is { } fault ? throw new MisuseException(fault) : options;
    }

    private static CacheDirectory Directory(CacheOptions options) => new(options.DirectoryPath);

    private static string? Read(string option, string? value, ConfigurationKind kind)
    {
        try
        {
            return value is null ? null : new ConfigurationKey(option, kind).Normalize(value, "");
        }
        catch (FormatException exception)
        {
            throw new MisuseException($"{option}: {exception.Message}");
        }
    }

    private static async Task<int> OnDiskAsync(CacheOptions options, Func<CacheOptions, Task<int>> run)
    {
        if (!Directory(options).Exists)
            throw new MisuseException($"there is no cache in {Verb.Shown(options.DirectoryPath)}");
        try
        {
            return await run(options);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new MisuseException($"{Verb.Shown(options.DirectoryPath)}: {exception.Message}");
        }
    }

    private static async Task<int> ShowAsync(TextWriter output, CacheOptions options, bool json)
    {
        var contents = Directory(options).FindAll().ToDictionary(content => content.Digest);
        var (size, onDisk, oldest, newest) = (contents.Values.Sum(content => content.Length), contents.Values.Sum(content => content.SizeOnDisk),
            contents.Values.MinBy(content => content.LastUse)?.LastUse, contents.Values.MaxBy(content => content.LastUse)?.LastUse);
        var repositories = Repositories(Directory(options), contents);
        if (json)
        {
            await Verb.WriteJsonAsync(output, new
            {
                Directory = options.DirectoryPath,
                options.MaximumSize,
                Size = size,
                SizeOnDisk = onDisk,
                Contents = contents.Count,
                OldestUse = oldest?.ToString("O", CultureInfo.InvariantCulture),
                NewestUse = newest?.ToString("O", CultureInfo.InvariantCulture),
                Repositories = repositories.Select(repository => new { Repository = repository.Name, repository.Size, repository.Contents }),
            });
            return Verb.Yes;
        }

        await output.WriteLineAsync(TextTable.Plain($"{"directory",-12}{Verb.Shown(options.DirectoryPath)}"));
        await output.WriteLineAsync($"{"size",-12}{Size(size)}, on disk {Size(onDisk)} of {Size(options.MaximumSize)}");
        await output.WriteLineAsync($"{"contents",-12}{contents.Count.ToString("N0", CultureInfo.InvariantCulture)}");
        if (oldest is not null && newest is not null)
            await output.WriteLineAsync($"{"last used",-12}{Moment(oldest.Value)} to {Moment(newest.Value)}");
        if (repositories.Count == 0)
            return Verb.Yes;

        await output.WriteLineAsync();
        var table = new TextTable(">SIZE", ">CONTENTS", "REPOSITORY");
        foreach (var repository in repositories.Take(ShownRepositories))
            table.Add(Size(repository.Size), repository.Contents.ToString("N0", CultureInfo.InvariantCulture), repository.Name);
        if (repositories.Count > ShownRepositories)
            table.Note($"and {TextTable.Count(repositories.Count - ShownRepositories, "smaller one")}: --json shows all");
        await table.WriteAsync(output);
        return Verb.Yes;
    }

    /// <summary>The repositories, the largest first. Content of several repositories counts for each of them.</summary>
    private static List<(string Name, long Size, int Contents)> Repositories(CacheDirectory directory, Dictionary<Digest, KeptContent> contents)
    {
        var links = new LinkIndex(contents.ContainsKey);
        links.Apply(IndexJournal.Read(directory, unreadable: () => { }), TimeProvider.System.GetUtcNow());
        return [.. links.Snapshot(() => { }).OfType<LinkLine>()
            .Where(link => contents.ContainsKey(link.Digest))
            .GroupBy(link => link.Repository.Value, link => contents[link.Digest].Length)
            .Select(repository => (repository.Key, Size: repository.Sum(), repository.Count()))
            .OrderByDescending(repository => repository.Size).ThenBy(repository => repository.Key, StringComparer.Ordinal)];
    }

    private static async Task<int> PruneAsync(TextWriter output, CacheDirectory directory, long to, DateTimeOffset before, bool json)
    {
        using var held = directory.TryLock()
            ?? throw new MisuseException($"a running proxy uses {Verb.Shown(directory.Path)}: stop it first (it prunes by itself, to Cache:MaximumSize)");
        var contents = directory.FindAll().OrderBy(content => content.LastUse).ToList();
        var (size, onDisk, freed, removed) = (contents.Sum(content => content.Length), contents.Sum(content => content.SizeOnDisk), 0L, new HashSet<Digest>());
        foreach (var content in contents.TakeWhile(content => onDisk > to || content.LastUse < before))
        {
            File.Delete(directory.PathOf(content.Digest));
            CacheDirectory.RemoveIfEmpty(directory.FolderOf(content.Digest));
            (onDisk, freed) = (onDisk - content.SizeOnDisk, freed + content.Length);
            removed.Add(content.Digest);
        }

        var left = size - freed;

        if (await ForgetAsync(directory, removed) is { } concern)
            throw new MisuseException($"{TextTable.Count(removed.Count, "content")} removed, but {concern}");
        if (json)
            await Verb.WriteJsonAsync(output, new { Removed = removed.Count, RemovedSize = freed, Contents = contents.Count - removed.Count, Size = left });
        else
            await output.WriteLineAsync($"{TextTable.Count(removed.Count, "content")} removed, {Size(freed)}; {TextTable.Count(contents.Count - removed.Count, "content")} left, {Size(left)}");
        return Verb.Yes;
    }

    /// <summary>The links of what was removed.</summary>
    private static async Task<string?> ForgetAsync(CacheDirectory directory, HashSet<Digest> removed)
    {
        if (removed.Count == 0)
            return null;
        directory.Create();
        var links = new LinkIndex(_ => true);
        var journal = new IndexJournal(directory, links, TimeProvider.System, NullLogger.Instance);
        journal.Load(_ => true);
        links.Forget(removed);
        journal.Complete();
        await journal.RunAsync(CancellationToken.None);
        return journal.Concern;
    }

    private static string Moment(DateTimeOffset time) => time.ToString("yyyy-MM-dd HH:mm", CultureInfo.InvariantCulture);
}
