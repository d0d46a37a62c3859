using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using ImageAccess.Core.Oci;
using ImageAccess.Proxy.Foundation.DockerHub;
using ImageAccess.Proxy.Tools.Doctor;
using ImageAccess.Proxy.Tools.Engines;

namespace ImageAccess.Proxy.Tests.Tools.Doctor;

/// <summary>A client's machine of a test: its files, its variables, its names, and the port where its registries are.</summary>
internal sealed class ExaminedMachine : IHostResolver, IDisposable
{
    public const string Denied = "someuser/custom-image";

    private readonly TemporaryDirectory _root = new();
    private readonly Dictionary<string, string> _variables = [];
    private readonly Dictionary<string, IPAddress[]> _names = [];
    private readonly HashSet<string> _asked = [];
    private readonly Lock _gate = new();

    public int Port { get; set; } = 1;

    public IReadOnlyList<ProxyAddress> Proxies { get; set; } = [];

    public IReadOnlyList<MirrorAddress> Mirrors { get; set; } = [];

    public Dictionary<string, IReadOnlyList<IPAddress>> Given { get; } = [];

    public IPEndPoint? Resolver { get; set; }

    public TimeProvider Time { get; set; } = TimeProvider.System;

    /// <summary>Every name that was looked up.</summary>
    public IReadOnlyCollection<string> Asked => _asked;

    public ExaminedMachine With(string file, string text)
    {
        var path = _root[file.TrimStart('/')];
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        File.WriteAllText(path, text);
        return this;
    }

    public ExaminedMachine WithVariable(string name, string value)
    {
        _variables[name] = value;
        return this;
    }

    /// <summary>These names lead to a server on loopback.</summary>
    public ExaminedMachine Leading(IPEndPoint server, params IEnumerable<string> names)
    {
        Port = server.Port;
        foreach (var name in names)
            _names[name] = [server.Address];
        return this;
    }

    public ConfigurationFiles Files() => new(_root.Path, "/home/someone");

    public async Task<DoctorReport> ExamineAsync()
    {
        Assert.True(RepositoryName.TryParse(Denied, out var denied));
        var settings = new DoctorSettings { Denied = denied, Proxies = Proxies, Mirrors = Mirrors, Addresses = Given, Resolver = Resolver };
        var machine = new ClientMachine { Root = _root.Path, Home = "/home/someone", Environment = _variables.GetValueOrDefault, Names = this, HttpsPort = Port };
        return await new Examination(settings, machine, Time, (_, _) => { }).RunAsync(CancellationToken.None);
    }

    public Task<IPAddress[]> ResolveAsync(string host, CancellationToken cancellationToken)
    {
        lock (_gate)
            _asked.Add(host);
        return host == "localhost" ? Task.FromResult<IPAddress[]>([IPAddress.Loopback])
            : _names.TryGetValue(host, out var addresses) ? Task.FromResult(addresses)
            : throw new SocketException((int)SocketError.HostNotFound);
    }

    public void Dispose() => _root.Dispose();
}

internal static class Reports
{
    public static Finding Row(this DoctorReport report, string way, string host) =>
        Assert.Single(report.Findings, finding => finding.Route.Kind == way && finding.Route.Host == host);

    /// <summary>Types the command of each open way into a shell: it succeeds.</summary>
    public static async Task AssertShownAsync(this DoctorReport report, params IEnumerable<(string Name, string Value)> variables)
    {
        var commands = report.Findings.Where(finding => finding.Verdict == RouteVerdict.Open).Select(finding => finding.Outcome.Command!).Distinct().ToList();
        Assert.NotEmpty(commands);
        foreach (var command in commands)
        {
            var start = new ProcessStartInfo("sh", ["-c", command]) { UseShellExecute = false, RedirectStandardError = true, RedirectStandardOutput = true };
            foreach (var (name, value) in variables)
                start.Environment[name] = value;
            using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(60));
            using var shell = Process.Start(start)!;
            var said = shell.StandardError.ReadToEndAsync(limit.Token);
            await shell.StandardOutput.ReadToEndAsync(limit.Token);
            await shell.WaitForExitAsync(limit.Token);
            Assert.True(shell.ExitCode == 0, $"{command}\n{await said}");
        }
    }

    public static async Task<string> TextAsync(this DoctorReport report)
    {
        var output = new StringWriter();
        await report.PrintAsync(output);
        return output.ToString();
    }
}

/// <summary>A clock on which twenty seconds pass in one.</summary>
internal sealed class HastyTime : TimeProvider
{
    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period) =>
        base.CreateTimer(callback, state, dueTime > TimeSpan.Zero ? dueTime / 20 : dueTime, period > TimeSpan.Zero ? period / 20 : period);
}
