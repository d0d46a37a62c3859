using System.Net;
using System.Net.Sockets;
using ImageAccess.FakeHubs;

namespace ImageAccess.EndToEnd.Tests;

/// <summary>The proxy as it is deployed: its own process, a configuration file, a policy file, a data folder.</summary>
internal sealed class ProxyUnderTest : IAsyncDisposable
{
    private readonly Running _process;
    private readonly string _folder;

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
    public static async Task<ProxyUnderTest> StartAsync(string folder, FakeHub hub, string policy, bool hold, Intercepting? intercepting = null, bool keeps = false)
    {
        Directory.CreateDirectory(folder);
        var mirror = new Uri($"http://127.0.0.1:{Ports.Free()}");
        var admin = new Uri($"http://127.0.0.1:{Ports.Free()}");
        await File.WriteAllTextAsync(Path.Combine(folder, "policy.json"), policy);
        var configuration = Path.Combine(folder, "imageaccess.json");
        await File.WriteAllTextAsync(configuration, $$"""
            {
              "Listen": { "Mirror": "http://{{mirror.Authority}}", "Admin": "http://{{admin.Authority}}"{{intercepting?.Settings}} },
              "Mirror": { "Hold": {{(hold ? "true" : "false")}} },
              "Upstream": {
                "Registry": "http://{{hub.Registry.Authority}}",
                "Auth": "http://{{hub.Auth.Authority}}",
                "Hub": "http://{{hub.Hub.Authority}}",
                "Index": "http://{{hub.Index.Authority}}",
                "RedirectHosts": [ "{{hub.Cdn.Authority}}" ]
              },
              "Policy": { "File": "policy.json" },
              "Cache": { "Enabled": {{(keeps ? "true" : "false")}} },
              "Data": { "Directory": "data" }
            }
            """);

        if (intercepting is not null)
            (await Running.ToEndAsync(new("dotnet", [Assembly(), "certificates", "create", "--config", configuration]), "certificates create", "", TimeSpan.FromSeconds(60))).Succeeded();
        var started = Running.StartDaemon(folder, "dotnet", Assembly(), "--config", configuration);
        var proxy = new ProxyUnderTest(started, folder, mirror, admin, intercepting);
        try
        {
            await proxy._process.ReadyAsync(proxy.IsReadyAsync, TimeSpan.FromSeconds(60));
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
        TimeSpan.FromSeconds(60));

    /// <summary>Ends it as an operator does, so that what it still had in hand is on disk.</summary>
    public Task<int> TerminateAsync() => _process.TerminateAsync();

    /// <summary>The audit trail as it is on disk.</summary>
    public string AuditText() =>
        string.Concat(Directory.EnumerateFiles(Path.Combine(_folder, "data"), "audit*").Order(StringComparer.Ordinal).Select(File.ReadAllText));

    /// <summary>Every file that it keeps.</summary>
    public IEnumerable<string> KeptFiles() => Directory.EnumerateFiles(_folder, "*", SearchOption.AllDirectories);

    public async Task<string> MetricsAsync()
    {
        using var client = new HttpClient();
        return await client.GetStringAsync(new Uri(Admin, "/metrics"));
    }

    public ValueTask DisposeAsync() => _process.DisposeAsync();

    private static DirectoryInfo Output => new(AppContext.BaseDirectory.TrimEnd('/'));

    /// <summary>The build of this proxy that belongs to the build of these tests.</summary>
    public static string Assembly()
    {
        var (framework, configuration) = (Output.Name, Output.Parent!.Name);
        return Path.Combine(Repository, "src", "ImageAccess.Proxy", "bin", configuration, framework, "imageaccess.dll");
    }

    private async Task<bool> IsReadyAsync(CancellationToken patience)
    {
        using var client = new HttpClient();
        try
        {
            using var answer = await client.GetAsync(new Uri(Admin, "/readyz"), patience);
            return answer.StatusCode == HttpStatusCode.OK;
        }
        catch (HttpRequestException)
        {
            return false;
        }
    }
}

/// <summary>The ways in under Docker Hub's own names: the gateway's address, on which it has port 443, and the forward proxy.</summary>
internal sealed record Intercepting(IPAddress Gateway, Uri ForwardProxy)
{
    public string Settings => $$""", "Gateway": "https://{{Gateway}}:443", "ForwardProxy": "http://{{ForwardProxy.Authority}}" """;
}

internal static class Ports
{
    /// <summary>A port of loopback that nobody listens on at this moment.</summary>
    public static int Free()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }
}
