using ImageAccess.Proxy.Tools.Verbs;

namespace ImageAccess.Proxy.Tools.Engines;

/// <summary>A file that a client's machine gets, whole.</summary>
/// <param name="Path">On the client; relative where it belongs into a repository.</param>
/// <param name="Body">Without the line that undoes it.</param>
internal sealed record ClientFile(string Path, string Body)
{
    /// <summary>Where the file is only needed in some cases: which.</summary>
    public string? When { get; init; }

    /// <summary>Whether the client has this file already, with other lines: only these are added, and only these taken out.</summary>
    public bool IsMerged { get; init; }

    public string Undo => IsMerged ? $"take these lines out of {Path} again" : $"rm {Shell.Word(Path)}";

    /// <summary>As it is written. JSON has no comments: there the line that undoes it stands behind the file.</summary>
    public string Content => TakesComments ? $"{Body}# undo: {Undo}\n" : Body;

    public bool TakesComments => !Path.EndsWith(".json", StringComparison.Ordinal);
}

/// <summary>A command to run on the client when the files are there.</summary>
/// <param name="Run">As it is typed.</param>
/// <param name="Undo">What to run once the files are gone.</param>
internal sealed record ClientCommand(string Run, string Undo)
{
    /// <summary>Where the command is for some systems alone: which.</summary>
    public string? When { get; init; }

    /// <summary>The program by which such a system is known.</summary>
    public string? Needs { get; init; }
}

/// <summary>What a client's machine must have.</summary>
internal sealed record ClientSetup
{
    public IReadOnlyList<ClientFile> Files { get; init; } = [];

    public IReadOnlyList<ClientCommand> Commands { get; init; } = [];

    /// <summary>Files for other cases, in the place of those above; <see cref="ClientFile.When"/> says which.</summary>
    public IReadOnlyList<ClientFile> Alternatives { get; init; } = [];

    public IReadOnlyList<string> Notes { get; init; } = [];

    public object Facts(string client, string mode) => new
    {
        client,
        mode,
        files = Files.Select(Describe),
        commands = Commands.Select(command => new { command.Run, command.Undo, command.When }),
        alternatives = Alternatives.Select(Describe),
        notes = Notes,
    };

    public async Task PrintAsync(TextWriter output)
    {
        foreach (var file in Files)
            await PrintAsync(output, file, file.When is null ? "" : $" ({file.When})");
        await PrintCommandsAsync(output);
        foreach (var file in Alternatives)
            await PrintAsync(output, file, $" ({file.When})");
        await PrintNotesAsync(output);
    }

    public async Task PrintCommandsAsync(TextWriter output)
    {
        if (Commands.Count == 0)
            return;
        await output.WriteLineAsync("=== then run ===");
        foreach (var command in Commands)
        {
            await output.WriteLineAsync(command.When is null ? command.Run : $"{command.Run}   # {command.When}");
            await output.WriteLineAsync($"# undo: {command.Undo}");
        }

        await output.WriteLineAsync();
    }

    public async Task PrintNotesAsync(TextWriter output)
    {
        foreach (var note in Notes)
            await TextTable.WriteWrappedAsync(output, $"- {note}", "");
    }

    private static object Describe(ClientFile file) => new { file.Path, file.Content, file.Undo, file.When };

    private static async Task PrintAsync(TextWriter output, ClientFile file, string when)
    {
        await output.WriteLineAsync($"=== {file.Path}{when} ===");
        await output.WriteAsync(file.Content);
        if (!file.TakesComments)
            await output.WriteLineAsync($"# undo: {file.Undo}");
        await output.WriteLineAsync();
    }
}

/// <summary>Words of a POSIX shell's command line.</summary>
internal static class Shell
{
    public static string Word(string text) =>
        text.All(c => char.IsAsciiLetterOrDigit(c) || "/._:-,=@+%".Contains(c, StringComparison.Ordinal)) && text.Length > 0
            ? text
            : $"'{text.Replace("'", "'\\''", StringComparison.Ordinal)}'";
}
