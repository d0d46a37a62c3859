using System.Text;
using ImageAccess.Proxy.Tools.Verbs;

namespace ImageAccess.Proxy.Tools.Engines;

/// <summary>A set-up's files below a directory, with a script that undoes all of it on the client.</summary>
internal static class ClientTree
{
    private const string UndoName = "undo";

    private const UnixFileMode Readable = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.OtherRead;
    private const UnixFileMode Executable = Readable | UnixFileMode.UserExecute | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute;

    private const string UndoHead = """
        #!/bin/sh
        # Undoes on the client, as root, what this folder has put there. A file that is not as it was written stays and is named.
        tree=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
        status=0
        is_as_written() {
          [ -e "$1" ] || return 1
          cmp -s -- "$tree/$1" "$1" && return 0
          echo "kept: $1 is not as it was written; take out by hand what $tree/${1#/} has" >&2
          status=1
          return 1
        }

        """;

    /// <returns>The paths that were written. A file that was there already with the same content is not among them.</returns>
    /// <exception cref="MisuseException">A file is there with other content, or cannot be written. In the first case nothing was written.</exception>
    public static IReadOnlyList<string> Write(string directory, ClientSetup setup)
    {
        var files = setup.Files.Select(file => (Path: Path.Combine(directory, file.Path.TrimStart('/')), Text: file.Content, Mode: Readable))
            .Append((Path: Path.Combine(directory, UndoName), Text: UndoScript(setup), Mode: Executable))
            .ToList();
        try
        {
            var missing = files.Where(file => !IsThere(file.Path, file.Text)).ToList();
            var others = missing.Where(file => Path.Exists(file.Path)).ToList();
            if (others.Count > 0)
                throw new MisuseException([.. others.Select(file => $"{file.Path} is there with other content; nothing was written")]);

            foreach (var (path, text, mode) in missing)
                Create(path, text, mode);
            return [.. missing.Select(file => file.Path)];
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new MisuseException($"--write: {exception.Message}");
        }
    }

    private static string UndoScript(ClientSetup setup)
    {
        var script = new StringBuilder(UndoHead);
        foreach (var file in setup.Files)
            script.Append($"if is_as_written {Shell.Word(file.Path)}; then {file.Undo} || status=1; fi\n");
        foreach (var command in setup.Commands.Select(command => (command.Undo, command.Needs)).Distinct())
        {
            script.Append(command.Needs is { } program
                ? $"if command -v {program} >/dev/null; then {{ {command.Undo}; }} || status=1; fi\n"
                : $"{{ {command.Undo}; }} || status=1\n");
        }

        return script.Append("exit \"$status\"\n").ToString();
    }

    private static bool IsThere(string path, string text)
    {
        var file = new FileInfo(path);
        return file.Exists && file.Length == Encoding.UTF8.GetByteCount(text) && File.ReadAllText(path) == text;
    }

    private static void Create(string path, string text, UnixFileMode mode)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(Path.GetFullPath(path))!);
        var options = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write };
        if (!OperatingSystem.IsWindows())
            options.UnixCreateMode = mode;
        using var writer = new StreamWriter(path, new UTF8Encoding(encoderShouldEmitUTF8Identifier: false), options);
        writer.Write(text);
    }
}
