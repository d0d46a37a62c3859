using System.CommandLine;
using ImageAccess.Proxy.Foundation.Audit;
using ImageAccess.Proxy.Foundation.Files;

namespace ImageAccess.Proxy.Tools.Verbs;

/// <summary><c>imageaccess audit …</c>: whether the audit trail is as it was written.</summary>
internal static class AuditCommands
{
    private const int MaximumKey = 64 * 1024;

    public static Command Build() => new("audit", "Verifies the audit trail: that nothing of it was changed, removed or inserted.") { Verify(), Key() };

    private static Command Verify()
    {
        var (file, json) = (Verb.ConfigurationFile(), Verb.Json());
        var files = new Argument<string[]>("FILE")
        {
            Description = "Files of a trail, also packed with gzip, in any order; those of one directory are one trail. Without any: the whole trail of this proxy, to its end.",
            Arity = ArgumentArity.ZeroOrMore,
        };
        var keys = new Option<string[]>("--key")
        {
            Description = "A public key that may have signed, as imageaccess audit key prints it; may be given several times. The key of this proxy by default.",
            HelpName = "FILE",
        };
        var complete = new Option<bool>("--complete") { Description = "Exit code 1 also where whole files between others are not here." };
        var command = new Command("verify", "Verifies the chain of the trail's lines and the signatures of its checkpoints. Exit code 1 when something is not as it was written.")
        {
            files, keys, complete, file, json,
        };
        Verb.SetAction(command, async (parsed, cancellationToken) =>
        {
            var options = new Lazy<AuditOptions>(() => AuditOptions.Of(Verb.Configuration(parsed.GetValue(file))));
            var trusted = parsed.GetValue(keys) is { Length: > 0 } given ? [.. given.Select(ReadKey)] : OwnKey(options.Value);
            var verified = new List<(string Name, VerifiedTrail Trail)>();
            foreach (var (name, paths, trail) in Trails(parsed.GetValue(files)!, options))
                verified.Add((name, await ReadAsync(new TrailVerification(trusted, parsed.GetValue(complete)), paths, trail, cancellationToken)));

            var output = parsed.InvocationConfiguration.Output;
            if (parsed.GetValue(json))
                await Verb.WriteJsonAsync(output, new { Trails = verified.Select(trail => Facts(trail.Name, trail.Trail)) });
            foreach (var (name, trail) in parsed.GetValue(json) ? [] : verified)
                await PrintAsync(output, name, trail);
            return verified.Exists(trail => trail.Trail.FaultsInAll > 0) ? Verb.No : Verb.Yes;
        });
        return command;
    }

    private static Command Key()
    {
        var file = Verb.ConfigurationFile();
        var command = new Command("key", "Prints the public key that the checkpoints of this proxy's trail are verified with, for audit verify --key on another machine.") { file };
        Verb.SetAction(command, async (parsed, _) =>
        {
            await parsed.InvocationConfiguration.Output.WriteAsync(OwnKey(AuditOptions.Of(Verb.Configuration(parsed.GetValue(file))))[0].Pem);
            return Verb.Yes;
        });
        return command;
    }

    private static IEnumerable<(string Name, IReadOnlyList<string> Paths, string? Trail)> Trails(string[] files, Lazy<AuditOptions> options)
    {
        if (files.Length == 0)
        {
            var trail = options.Value.FilePath;
            return [(trail, TrailFile.AllOf(trail), trail)];
        }

        return files.Select(path => Path.GetFullPath(path)).Distinct().GroupBy(path => Path.GetDirectoryName(path)!).Select(group => (group.Key, (IReadOnlyList<string>)[.. group], (string?)null));
    }

    private static async Task<VerifiedTrail> ReadAsync(TrailVerification verification, IReadOnlyList<string> paths, string? trail, CancellationToken cancellationToken)
    {
        if (paths.Count == 0)
            throw new MisuseException($"there is no audit trail in {trail}: the proxy makes it when it starts; name its configuration with --config, or files");
        return await verification.RunAsync(paths, trail, cancellationToken);
    }

    private static PublicAuditKey[] OwnKey(AuditOptions options)
    {
        using var key = new AuditKey(options);
        return [key.ReadPublic() ?? throw new MisuseException($"{AuditKey.Setting}: {key.Path} is not there: the proxy makes it when it starts; on another machine name the public key with --key")];
    }

    private static PublicAuditKey ReadKey(string path)
    {
        var reading = new WholeFile(Path.GetFullPath(path), MaximumKey, isDraft: true).Read();
        if (reading.Bytes is not { } content)
            throw new MisuseException($"--key: {path} {(reading.IsMissing ? "is not there" : reading.Failure)}");
        return PublicAuditKey.TryParse(System.Text.Encoding.UTF8.GetString(content.Span))
            ?? throw new MisuseException($"--key: {path} does not hold a public key, as imageaccess audit key prints it");
    }

    private static object Facts(string name, VerifiedTrail trail) => new
    {
        Trail = name,
        IsGood = trail.FaultsInAll == 0,
        trail.Files,
        trail.Lines,
        trail.First,
        trail.Last,
        trail.Older,
        trail.SignedUpTo,
        trail.SignedAt,
        trail.FaultsInAll,
        trail.Faults,
        trail.Notes,
    };

    private static async Task PrintAsync(TextWriter output, string name, VerifiedTrail trail)
    {
        var lines = new List<string> { $"{name}: {TextTable.Count(trail.Files, "file")}, {TextTable.Count(trail.Lines, "line")} in the chain" };
        if (trail.Lines > 0)
            lines[0] += $", {trail.First} to {trail.Last}";
        lines.Add(trail.SignedUpTo is { } signed ? $"signed  up to line {signed}, {trail.SignedAt}" : "signed  nothing");
        if (trail.Older > 0)
            lines.Add($"note    {TextTable.Count(trail.Older, "line")} from before there was a chain: nothing vouches for them");
        lines.AddRange(trail.Notes.Select(note => $"note    {note}"));
        lines.AddRange(trail.Faults.Select(fault => $"fault   {fault}"));
        if (trail.FaultsInAll > trail.Faults.Count)
            lines.Add($"fault   and {trail.FaultsInAll - trail.Faults.Count} more");
        lines.Add(trail.FaultsInAll == 0 ? "The trail is as it was written." : $"The trail is not as it was written: {TextTable.Count(trail.FaultsInAll, "fault")}.");
        foreach (var line in lines)
            await output.WriteLineAsync(TextTable.Plain(line));
    }
}
