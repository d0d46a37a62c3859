using System.Diagnostics;

namespace ImageAccess.EndToEnd.Tests.Doctor;

/// <summary>
/// A network of its own, in which there is loopback and nothing else, with its own view of <c>/etc</c>, its own processes and three
/// kinds of people: root, the proxy's user and a client's user. When it ends, all of it is gone.
/// </summary>
internal sealed class ClientNetwork : IAsyncDisposable
{
    /// <summary>The user that the proxy runs as.</summary>
    public const string Proxy = "65532";

    /// <summary>The user that clients run as.</summary>
    public const string Client = "65533";

    private const string Root = "0";

    /// <summary>A client's own hosts file, where there is one: the proxy does not see it.</summary>
    private const string Hosts = "/mnt/hosts";

    private const string AsClient = """
        [ ! -e "$0" ] || mount --bind "$0" /etc/hosts
        user=$1; shift
        exec setpriv --reuid="$user" --regid="$user" --clear-groups "$@"
        """;

    private const string SetUp = """
        mount -t proc proc /proc
        mount -t tmpfs -o mode=755 tmpfs /mnt
        mkdir /mnt/upper /mnt/work /mnt/program /mnt/hub /mnt/home
        mount -t overlay overlay -o lowerdir=/etc,upperdir=/mnt/upper,workdir=/mnt/work /etc
        mount --bind "$PROGRAM" /mnt/program
        mount --bind "$HUB" /mnt/hub
        ip link set lo up
        echo 0 >/proc/sys/net/ipv4/ip_unprivileged_port_start
        ip addr add 198.51.100.10/32 dev lo
        ip -6 addr add 2001:db8::10/128 dev lo nodad
        echo ready
        exec sleep infinity
        """;

    private readonly Running _holder;
    private readonly List<Running> _daemons = [];
    private string _first = "";

    private ClientNetwork(Running holder) => _holder = holder;

    public static async Task<ClientNetwork> CreateAsync()
    {
        var start = new ProcessStartInfo("bash", Running.Guarded(
            ["sh", "-c", "echo $$; exec unshare --net --mount --propagation private --pid --fork --kill-child sh -euc \"$0\"", SetUp]).Skip(1));
        start.Environment["PROGRAM"] = OutputOf("src/ImageAccess.Proxy");
        start.Environment["HUB"] = OutputOf("tests/ImageAccess.FakeHub");
        var network = new ClientNetwork(Running.Start(start));
        try
        {
            await network._holder.ReadyAsync(_ => Task.FromResult(network._holder.Text.Contains("ready", StringComparison.Ordinal)), TimeSpan.FromSeconds(20));
            var outer = network._holder.Text.Split('\n')[0];
            network._first = (await File.ReadAllTextAsync($"/proc/{outer}/task/{outer}/children")).Trim();
            return network;
        }
        catch
        {
            await network.DisposeAsync();
            throw;
        }
    }

    /// <summary>Writes a file where all in here see it.</summary>
    public async Task WriteAsync(string path, string text) =>
        (await EnterAsync(Root, text, "sh", "-euc", "mkdir -p \"$(dirname \"$0\")\"; cat >\"$0\"", path)).Succeeded();

    /// <summary>What a client, and nobody else, finds in its hosts file.</summary>
    public Task WriteClientHostsAsync(string text) => WriteAsync(Hosts, text);

    /// <summary>Runs a command as root.</summary>
    public Task<Outcome> ArrangeAsync(params IReadOnlyList<string> command) => EnterAsync(Root, "", command);

    /// <summary>Runs a command as a client's ordinary user.</summary>
    public Task<Outcome> RunAsync(params IReadOnlyList<string> command) => EnterAsync(Client, "", command);

    /// <summary>Starts a program that runs as long as the network does, and waits for these words of its.</summary>
    public async Task StartAsync(string user, string words, params IReadOnlyList<string> command)
    {
        var daemon = Running.Start(Enter(user, Running.Guarded(command)));
        _daemons.Add(daemon);
        await daemon.ReadyAsync(_ => Task.FromResult(daemon.Text.Contains(words, StringComparison.Ordinal)), TimeSpan.FromSeconds(60));
    }

    public Task StartAsRootAsync(string words, params IReadOnlyList<string> command) => StartAsync(Root, words, command);

    public async ValueTask DisposeAsync()
    {
        foreach (var daemon in _daemons) await daemon.DisposeAsync();
        await _holder.DisposeAsync();
    }

    private Task<Outcome> EnterAsync(string user, string input, params IReadOnlyList<string> command) =>
        Running.ToEndAsync(Enter(user, command), string.Join(' ', command), input, TimeSpan.FromSeconds(90));

    private ProcessStartInfo Enter(string user, IReadOnlyList<string> command)
    {
        string[] entering = ["--target", _first, "--net", "--mount", "--pid", "--wdns=/mnt"];
        string[] becoming = user == Client
            ? ["unshare", "--mount", "--propagation", "private", "sh", "-euc", AsClient, Hosts, user]
            : ["setpriv", $"--reuid={user}", $"--regid={user}", "--clear-groups"];
        var start = new ProcessStartInfo("nsenter", [.. entering, .. becoming, .. command]);
        start.Environment.Clear();
        start.Environment["PATH"] = "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        start.Environment["LANG"] = "C.UTF-8";
        start.Environment["HOME"] = "/mnt/home";
        start.Environment["DOTNET_EnableDiagnostics"] = "0";
        return start;
    }

    /// <summary>The build of a program that belongs to the build of these tests.</summary>
    public static string OutputOf(string project)
    {
        var output = new DirectoryInfo(AppContext.BaseDirectory.TrimEnd('/'));
        return Path.Combine(ProxyUnderTest.Repository, project, "bin", output.Parent!.Name, output.Name);
    }
}
