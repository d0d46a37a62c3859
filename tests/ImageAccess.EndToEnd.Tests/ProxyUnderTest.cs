using System.Globalization;
using System.Net;
using System.Net.Sockets;
using ImageAccess.FakeHubs;

namespace ImageAccess.EndToEnd.Tests;

/// <summary>The proxy as it is deployed: its own process, a configuration file, a policy file, a data folder.</summary>
internal sealed class ProxyUnderTest : IAsyncDisposable
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);

    private readonly Running _process;
    private readonly string _folder;
    private string? _program;

    private ProxyUnderTest(Running process, string folder, Uri mirror, Uri admin, Intercepting? intercepting)
    {
        Intercepting = intercepting;
        _process = process;
        _folder = folder;
        Mirror = mirror;
        Admin = admin;
    }

    /// <summary>The folder of the whole project: tests/ImageAccess.EndToEnd.Tests/bin/Configuration/framework is in it.</summary>
    public static string Repository => Output.Parent!.Parent!.Parent!.Parent!.Parent!.FullName;

    public Uri Mirror { get; }

    public Uri Admin { get; }

    /// <summary>Where it answers under Docker Hub's own names, if it does.</summary>
    public Intercepting? Intercepting { get; }

    /// <summary>The CA that its clients trust then.</summary>
    public string AuthorityFile => Path.Combine(_folder, "data", "certificates", "ca.crt");

    /// <summary>Everything that it has written to its standard streams.</summary>
    public string Log => _process.Text;

    /// <summary>Starts one in its own folder, in front of this hub, with this policy.</summary>
    public static async Task<ProxyUnderTest> StartAsync(string folder, FakeHub hub, string policy, ProxySetup setup)
    {
        string AddressOf(string key, Uri address) => setup.Instead is { } other && other.Key == key ? other.Address : $"http://{address.Authority}";
        Directory.CreateDirectory(folder);
        var mirror = new Uri($"http://127.0.0.1:{Ports.Free()}");
        var admin = new Uri($"http://127.0.0.1:{Ports.Free()}");
        await File.WriteAllTextAsync(Path.Combine(folder, "policy.json"), policy);
        var configuration = Path.Combine(folder, "imageaccess.json");
        await File.WriteAllTextAsync(configuration, $$"""
            {
              "Listen": { "Mirror": "http://{{mirror.Authority}}", "Admin": "http://{{admin.Authority}}", "Console": "{{(setup.Console is null ? "off" : $"http://{setup.Console.Authority}")}}"{{setup.Intercepting?.Settings}} },
              "Mirror": { "Hold": {{(setup.Hold ? "true" : "false")}} },
              "Upstream": {
                "Registry": "{{AddressOf("Registry", hub.Registry)}}",
                "Auth": "{{AddressOf("Auth", hub.Auth)}}",
                "Hub": "{{AddressOf("Hub", hub.Hub)}}",
                "Index": "http://{{hub.Index.Authority}}",
                "RedirectHosts": [ "{{hub.Cdn.Authority}}" ],
                "Probe": {{(setup.Instead is null ? "false" : "true")}}
              },
              "ForwardProxy": { {{(setup.ProxyUsers is null ? "" : "\"Users\": \"proxy-users\"")}} },
              "Policy": { {{(setup.ImportsPolicy ? "" : "\"File\": \"policy.json\"")}} },
              "Follow": { {{(setup.Follows is null ? "" : $"\"Username\": \"{setup.Follows}\", \"SecretFile\": \"hub-secret\", \"Interval\": \"1s\"")}} },
              "Cache": { "Enabled": {{(setup.Keeps ? "true" : "false")}} },
              "Data": { "Directory": "data" }
            }
            """);

        if (setup.ProxyUsers is not null)
            await File.WriteAllTextAsync(Path.Combine(folder, "proxy-users"), setup.ProxyUsers);
        if (setup.Follows is { } owner)
        {
            await File.WriteAllTextAsync(Path.Combine(folder, "hub-secret"), Canaries.PasswordOf(owner));
            if (!OperatingSystem.IsWindows())
                File.SetUnixFileMode(Path.Combine(folder, "hub-secret"), UnixFileMode.UserRead | UnixFileMode.UserWrite);
        }

        if (setup.Intercepting is not null)
            (await Running.ToEndAsync(new("dotnet", [Assembly(), "certificates", "create", "--config", configuration]), "certificates create", "", Limit)).Succeeded();
        Directory.CreateDirectory(Path.Combine(folder, "data"));
        string[] command = ["dotnet", Assembly(), "--config", configuration];
        if (setup.Disk is { } size)
            command = ["unshare", "--mount", "--propagation", "private", "sh", "-euc", $"mount -t tmpfs -o size={size},mode=700 tmpfs data; exec \"$@\"", "sh", .. command];
        var proxy = new ProxyUnderTest(Running.StartDaemon(folder, command), folder, mirror, admin, setup.Intercepting);
        try
        {
            await proxy._process.ReadyAsync(proxy.IsReadyAsync, Limit);
        }
        catch
        {
            await proxy.DisposeAsync();
            throw;
        }

        return proxy;
    }

    /// <summary>Runs a verb to its end, in this folder.</summary>
    public static Task<Outcome> RunAsync(string folder, params IReadOnlyList<string> verb) => Running.ToEndAsync(
        new System.Diagnostics.ProcessStartInfo("dotnet", [Assembly(), .. verb]) { WorkingDirectory = folder },
        string.Join(' ', verb),
        "",
        Limit);

    /// <summary>Runs a verb with its configuration.</summary>
    public Task<Outcome> VerbAsync(params string[] verb) => RunAsync(_folder, [.. verb, "--config", Path.Combine(_folder, "imageaccess.json")]);

    /// <summary>Ends it as an operator does, so that what it still had in hand is on disk.</summary>
    public Task<int> TerminateAsync() => _process.TerminateAsync();

    /// <summary>Starts the same once more, beside it, and waits until that has ended.</summary>
    public Task<Outcome> StartAgainAsync() => RunAsync(_folder, "--config", Path.Combine(_folder, "imageaccess.json"));

    /// <summary>Whether somebody takes connections where the mirror was.</summary>
    public async Task<bool> ListensAsync()
    {
        using var client = new TcpClient();
        try
        {
            await client.ConnectAsync(Mirror.Host, Mirror.Port);
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }

    /// <summary>Sends the process a signal, by its name.</summary>
    public Task SignalAsync(string name) => ShellAsync("kill", $"-{name}", Path.GetFileName(Program));

    /// <summary>Runs a script in the data folder, as the process sees it.</summary>
    public Task OnItsDiskAsync(string script) => ShellAsync("nsenter", $"--mount={Program}/ns/mnt", "sh", "-uc", "cd \"$0\" || exit; " + script, $"{_folder}/data");

    /// <summary>Waits until this is so.</summary>
    public Task UntilAsync(Func<Task<bool>> condition) => _process.ReadyAsync(_ => condition(), Limit);

    /// <summary>What the process uses at this moment.</summary>
    public Vitals Vitals()
    {
        var status = File.ReadLines(Path.Combine(Program, "status")).Select(line => line.Split(':', 2)).ToDictionary(line => line[0], line => line[1]);
        return new Vitals(Bytes("VmRSS"), Bytes("VmHWM"), Directory.EnumerateFiles(Path.Combine(Program, "fd")).Count());

        long Bytes(string name) => long.Parse(status[name].Trim().Split(' ')[0], CultureInfo.InvariantCulture) * 1024;
    }

    /// <summary>What <c>/readyz</c> says.</summary>
    public async Task<string> ReadinessAsync()
    {
        using var client = new HttpClient();
        return await client.GetStringAsync(new Uri(Admin, "/readyz"));
    }

    /// <summary>The audit trail as it is on disk.</summary>
    public string AuditText() =>
        string.Concat(Directory.EnumerateFiles(Path.Combine(_folder, "data"), "audit*").Order(StringComparer.Ordinal).Select(File.ReadAllText));

    /// <summary>A file for its tests, which others cannot read.</summary>
    public string WriteSecret(string name, string text)
    {
        var file = Path.Combine(_folder, name);
        File.WriteAllText(file, text);
        if (!OperatingSystem.IsWindows())
            File.SetUnixFileMode(file, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        return file;
    }

    /// <summary>Every file that it keeps.</summary>
    public IEnumerable<string> KeptFiles() => Directory.EnumerateFiles(_folder, "*", SearchOption.AllDirectories);

    public async Task<string> MetricsAsync()
    {
        using var client = new HttpClient();
        return await client.GetStringAsync(new Uri(Admin, "/metrics"));
    }

    /// <summary>What a metric says at the moment; 0 where it says nothing.</summary>
    public async Task<long> MeterAsync(string sample) =>
        (await MetricsAsync()).Split('\n').FirstOrDefault(line => line.StartsWith(sample + " ", StringComparison.Ordinal)) is { } line
            ? long.Parse(line.AsSpan(sample.Length + 1), CultureInfo.InvariantCulture)
            : 0;

    public ValueTask DisposeAsync() => _process.DisposeAsync();

    private static DirectoryInfo Output => new(AppContext.BaseDirectory.TrimEnd('/'));

    /// <summary>The build of this proxy that belongs to the build of these tests.</summary>
    public static string Assembly()
    {
        var (framework, configuration) = (Output.Name, Output.Parent!.Name);
        return Path.Combine(Repository, "src", "ImageAccess.Proxy", "bin", configuration, framework, "imageaccess.dll");
    }

    /// <summary>The folder of the process itself below <c>/proc</c>.</summary>
    private string Program => _program ??= Directory.EnumerateDirectories("/proc").Where(process => char.IsAsciiDigit(Path.GetFileName(process)[0])).First(IsThisProgram);

    private bool IsThisProgram(string process)
    {
        try
        {
            return File.ReadAllText(Path.Combine(process, "cmdline")).Split('\0') is ["dotnet", .., "--config", var configuration, ""]
                && configuration == Path.Combine(_folder, "imageaccess.json");
        }
        catch (Exception gone) when (gone is IOException or UnauthorizedAccessException)
        {
            return false; // the process has ended
        }
    }

    private static async Task ShellAsync(params string[] command) =>
        (await Running.ToEndAsync(new(command[0], command[1..]), string.Join(' ', command), "", Limit)).Succeeded();

    private async Task<bool> IsReadyAsync(CancellationToken timeout)
    {
        using var client = new HttpClient();
        try
        {
            using var answer = await client.GetAsync(new Uri(Admin, "/readyz"), timeout);
            return answer.StatusCode == HttpStatusCode.OK;
        }
        catch (HttpRequestException)
        {
            return false;
        }
    }
}

/// <summary>How a proxy of a test is set up.</summary>
internal sealed record ProxySetup
{
    /// <summary>Whether denials hold the clients of the mirror.</summary>
    public bool Hold { get; init; } = true;

    /// <summary>Whether it keeps what it hands out.</summary>
    public bool Keeps { get; init; }

    public Intercepting? Intercepting { get; init; }

    /// <summary>What answers in the place of one of the hub's services: its key, and its address.</summary>
    public (string Key, string Address)? Instead { get; init; }

    /// <summary>The file of the forward proxy's users.</summary>
    public string? ProxyUsers { get; init; }

    /// <summary>Where it has its HTTP API, if anywhere.</summary>
    public Uri? Console { get; init; }

    /// <summary>Whether the policy document may be brought into the database; until then it is the file.</summary>
    public bool ImportsPolicy { get; init; }

    /// <summary>As whom it reads Docker Hub's own switches, each second, with the account's password.</summary>
    public string? Follows { get; init; }

    /// <summary>The size of a disk of its own for the data folder, as <c>mount</c> takes it.</summary>
    public string? Disk { get; init; }
}

/// <summary>What a process uses: memory that is resident, the most that ever was (bytes), open descriptors.</summary>
internal sealed record Vitals(long Memory, long PeakMemory, int Descriptors);

/// <summary>The ways in under Docker Hub's own names: the gateway's address, on which it has port 443, and the forward proxy.</summary>
internal sealed record Intercepting(IPAddress Gateway, Uri ForwardProxy)
{
    public string Settings => $$""", "Gateway": "https://{{Gateway}}:443", "ForwardProxy": "http://{{ForwardProxy.Authority}}" """;
}

internal static class Ports
{
    private const int First = 10_000;

    /// <summary>Above are those that the system gives to connections (ip_local_port_range): one of them may be taken before a program listens on it.</summary>
    private const int Last = 32_000;

    private static int _taken = Environment.ProcessId;

    /// <summary>A port of loopback that nobody listens on at this moment, and that this process gives to nobody else.</summary>
    public static int Free()
    {
        while (true)
        {
            var port = First + (int)((uint)Interlocked.Increment(ref _taken) % (Last - First));
            try
            {
                using var listener = new TcpListener(IPAddress.Loopback, port);
                listener.Start();
                return port;
            }
            catch (SocketException)
            {
                // Somebody listens there.
            }
        }
    }
}
