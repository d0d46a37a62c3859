using System.Diagnostics;

namespace ImageAccess.EndToEnd.Tests;

/// <summary>
/// Where one client lives: its own mount and process namespaces, in which Docker Hub's names lead to the fake hub and only
/// the fake hub's certificate authority is trusted; optionally in another root. Nothing is mounted outside of it, and when
/// its first process ends, all the others end and every mount is gone.
/// </summary>
internal sealed class Cell
{
    /// <summary>Lays a tree's folders over those of the root; what is written there afterwards is gone with the cell.</summary>
    private const string Lay = """
        if [ -n "$TREE" ]; then
          mount -t tmpfs tmpfs "$CELL/laid"
          for folder in etc usr; do
            [ -d "$TREE/$folder" ] || continue
            mkdir "$CELL/laid/$folder" "$CELL/laid/$folder.work"
            mount -t overlay overlay -o "lowerdir=$TREE/$folder:$ROOT/$folder,upperdir=$CELL/laid/$folder,workdir=$CELL/laid/$folder.work" "$ROOT/$folder"
          done
        fi

        """;

    private const string Here = Lay + """
        mount --bind "$HOSTS" /etc/hosts
        mount --bind "$TRUST" /etc/ssl/certs/ca-certificates.crt
        mount -t proc proc /proc
        cd "$CELL"
        exec "$@"
        """;

    private const string InRoot = """
        mount --bind "$ROOT" "$ROOT"

        """ + Lay + """
        mount -t proc proc "$ROOT/proc"
        mount --rbind /sys "$ROOT/sys"
        mount --rbind /dev "$ROOT/dev"
        mount -t tmpfs tmpfs "$ROOT/run"
        mount -t tmpfs tmpfs "$ROOT/tmp"
        mkdir -p "$ROOT$FOLDER"
        mount --rbind "$FOLDER" "$ROOT$FOLDER"
        mount --bind "$HOSTS" "$ROOT/etc/hosts"
        mount --bind "$TRUST" "$ROOT/etc/ssl/certs/ca-certificates.crt"
        exec chroot "$ROOT" sh -euc 'cd "$CELL"; exec "$@"' sh "$@"
        """;

    private readonly Dictionary<string, string> _environment = [];
    private readonly string? _root;
    private string[] _entering = [];

    /// <param name="surroundings">The folder that all cells of a run share, with <c>hosts</c> and <c>trust.crt</c>.</param>
    /// <param name="name">Its own folder in there.</param>
    /// <param name="root">The root of another system, or none for this machine's.</param>
    public Cell(string surroundings, string name, string? root)
    {
        _root = root;
        Folder = Path.Combine(surroundings, name);
        Directory.CreateDirectory(Folder);
        _environment["PATH"] = "/usr/sbin:/usr/bin:/sbin:/bin";
        _environment["LANG"] = "C.UTF-8";
        _environment["HOME"] = Folder;
        _environment["TMPDIR"] = Folder;
        _environment["CELL"] = Folder;
        _environment["FOLDER"] = surroundings;
        _environment["HOSTS"] = Path.Combine(surroundings, "hosts");
        _environment["TRUST"] = Path.Combine(surroundings, "trust.crt");
        _environment["ROOT"] = root ?? "";
        _environment["TREE"] = "";
    }

    public string Folder { get; }

    public string PathOf(string file) => Path.Combine(Folder, file);

    public void Set(string variable, string value) => _environment[variable] = value;

    /// <summary>From now on programs find this tree's files at their places, <c>TREE/etc/x</c> at <c>/etc/x</c>.</summary>
    public void LayOver(string tree)
    {
        Directory.CreateDirectory(PathOf("laid"));
        _environment["TREE"] = tree;
    }

    /// <summary>From now on programs are in this network: a file below <c>/proc</c> or <c>/run/netns</c>.</summary>
    public void Join(string network) => _entering = ["nsenter", $"--net={network}"];

    /// <summary>Writes a file into the cell and tells where it is.</summary>
    public string Write(string file, string text)
    {
        var path = PathOf(file);
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        File.WriteAllText(path, text);
        return path;
    }

    /// <summary>Starts a daemon.</summary>
    public Running Start(params IReadOnlyList<string> command) => Running.Start(Enter(Running.Guarded(command)));

    public Task<Outcome> RunAsync(params IReadOnlyList<string> command) => RunWithInputAsync("", command);

    public Task<Outcome> RunWithInputAsync(string input, params IReadOnlyList<string> command) =>
        Running.ToEndAsync(Enter(command), string.Join(' ', command), input, TimeSpan.FromSeconds(90));

    private ProcessStartInfo Enter(IReadOnlyList<string> command)
    {
        string[] apart = [.. _entering, "unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child"];
        var start = new ProcessStartInfo(apart[0], [.. apart[1..], "sh", "-euc", _root is null ? Here : InRoot, "sh", .. command]);
        start.Environment.Clear();
        foreach (var (variable, value) in _environment) start.Environment[variable] = value;
        return start;
    }
}
