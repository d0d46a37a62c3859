using System.CommandLine;
using System.Net;
using System.Net.Sockets;
using ImageAccess.Core.Hosts;
using ImageAccess.Core.Oci;
using ImageAccess.Proxy.Administration.Api;
using ImageAccess.Proxy.Foundation.Configuration;
using ImageAccess.Proxy.Tools.Engines;
using ImageAccess.Proxy.Tools.Verbs;

namespace ImageAccess.Proxy.Tools.Doctor;

/// <summary><c>imageaccess doctor</c>: finds out on a client's machine whether any route leads past the policy.</summary>
internal static class DoctorCommand
{
    /// <summary>A well-known image of a personal account: such an account is never a verified publisher.</summary>
    public const string DefaultDenied = "jwilder/nginx-proxy";

    private const int DnsPort = 53;
    private const int MaximumGiven = 16;

    public static Command Build()
    {
        var denied = new Option<string>("--denied")
        {
            Description = "A repository of Docker Hub that the policy must deny, and that is there: each way is asked for its tag latest. A community image by default.",
            HelpName = "REPOSITORY",
            DefaultValueFactory = _ => DefaultDenied,
        };
        var resolve = new Option<string[]>("--resolve") { Description = "Real addresses of one of Docker Hub's names, as a client could write them into its hosts file.", HelpName = "NAME=ADDRESS[,ADDRESS]" };
        var resolver = new Option<string?>("--resolver") { Description = "A DNS server to ask for real addresses, besides the system's.", HelpName = "ADDRESS[:PORT]" };
        var proxies = new Option<string[]>("--proxy") { Description = "A forward proxy to try, besides HTTPS_PROXY and those in dockerd's configuration.", HelpName = "URL" };
        var mirrors = new Option<string[]>("--mirror") { Description = "A mirror to try, besides those in the configuration of this machine's engines.", HelpName = "URL" };
        var json = Verb.Json();

        var command = new Command(
            "doctor", "Tries every way to Docker Hub that a client on this machine could take, and tells which lead past the policy. Exit code 1 when one does; 2 when none does and --report failed.")
        {
            denied, resolve, resolver, proxies, mirrors, json,
        };
        var server = new ServerOptions("--report", "it is told what was found.");
        server.AddTo(command);
        Verb.SetAction(command, async (parsed, cancellationToken) =>
        {
            var settings = Read(parsed.GetValue(denied)!, parsed.GetValue(resolve) ?? [], parsed.GetValue(resolver), parsed.GetValue(proxies) ?? [], parsed.GetValue(mirrors) ?? []);
            using var api = server.Find(parsed);
            var progress = new ProgressLine(TimeProvider.System, Console.IsErrorRedirected ? TextWriter.Null : parsed.InvocationConfiguration.Error);
            var examination = new Examination(settings, ClientMachine.This(), TimeProvider.System, (done, all) => progress.Report($"{done} of {all} ways tried"));
            var report = await examination.RunAsync(cancellationToken);
            var output = parsed.InvocationConfiguration.Output;
            await (parsed.GetValue(json) ? Verb.WriteJsonAsync(output, report.Facts) : report.PrintAsync(output));
            bool? isTold = api is null ? null : await TellAsync(api, report, parsed.GetValue(json) ? TextWriter.Null : output, parsed.InvocationConfiguration.Error, cancellationToken);
            return ExitCode(report.HasOpenRoute, isTold);
        });
        return command;
    }

    /// <summary>An open way is told first, whatever became of the report: a script must not take it for wrong usage.</summary>
    /// <param name="isTold">Null where nobody was to be told.</param>
    internal static int ExitCode(bool hasOpenRoute, bool? isTold) => hasOpenRoute ? Verb.No : isTold == false ? Verb.Misused : Verb.Yes;

    /// <summary>Tells a proxy what was found. Whatever fails is one line of the error stream: what was found counts all the same.</summary>
    internal static async Task<bool> TellAsync(ServerApi api, DoctorReport report, TextWriter output, TextWriter error, CancellationToken cancellationToken)
    {
        try
        {
            var facts = report.ToFacts(Environment.MachineName, typeof(DoctorCommand).Assembly.GetName().Version?.ToString(3) ?? "");
            var kept = await api.PostAsync<ReportKept>("machines/reports", facts, cancellationToken);
            await output.WriteLineAsync(TextTable.Plain($"{api.Source} was told, as {kept.Name} at {kept.Address}"));
            return true;
        }
        catch (Exception exception) when (exception is MisuseException or PassingFaultException)
        {
            var problem = exception is MisuseException misuse ? misuse.Message : string.Join("; ", ((PassingFaultException)exception).Failures);
            await error.WriteLineAsync($"imageaccess: {TextTable.Plain($"the report was not told: {problem}")}");
            return false;
        }
    }

    /// <exception cref="MisuseException">Some options are wrong; the exception names them all.</exception>
    internal static DoctorSettings Read(string denied, string[] resolve, string? resolver, string[] proxies, string[] mirrors)
    {
        var problems = new List<string>();
        foreach (var (option, values) in new[] { ("--resolve", resolve), ("--proxy", proxies), ("--mirror", mirrors) })
        {
            if (values.Length > MaximumGiven)
                problems.Add($"{option}: at most {MaximumGiven}");
        }

        var repository = ReadRepository(denied, problems);
        var settings = new DoctorSettings
        {
            Denied = repository!,
            Addresses = ReadAddresses(resolve, problems),
            Resolver = resolver is null ? null : ReadResolver(resolver, problems),
            Proxies = ReadProxies(proxies, problems),
            Mirrors = ReadMirrors(mirrors, problems),
        };
        return problems.Count == 0 ? settings : throw new MisuseException(problems);
    }

    private static RepositoryName? ReadRepository(string text, List<string> problems)
    {
        if (ImageName.TryParse(text, out var image, out var problem) && image is { Repository: { } repository, Tag: null, Digest: null })
            return repository;
        problems.Add($"--denied '{text}' {(problem.Length > 0 ? problem : "is not the name of a repository of Docker Hub, without a tag")}");
        return null;
    }

    private static Dictionary<string, IReadOnlyList<IPAddress>> ReadAddresses(string[] texts, List<string> problems)
    {
        var addresses = new Dictionary<string, IReadOnlyList<IPAddress>>();
        foreach (var text in texts)
        {
            var equals = text.IndexOf('=', StringComparison.Ordinal);
            if (equals < 0 || !HostName.TryParse(text.AsSpan(0, equals), out var host) || !IsTried(host))
            {
                problems.Add($"--resolve {text}: NAME=ADDRESS[,ADDRESS], where the name is one of Docker Hub's, as {DockerHubHosts.Registry}");
                continue;
            }

            var parts = text[(equals + 1)..].Split(',');
            var known = parts.Select(ReadAddress).OfType<IPAddress>().ToList();
            if (known.Count < parts.Length || known.Count > MaximumGiven)
                problems.Add($"--resolve {text}: what follows = is not a list of at most {MaximumGiven} addresses");
            addresses[host.Value] = [.. addresses.GetValueOrDefault(host.Value, []), .. known];
        }

        return addresses;
    }

    private static bool IsTried(HostName host) =>
        DockerHubHosts.RoleOf(host) is DockerHubRole.Registry or DockerHubRole.TokenService or DockerHubRole.Content || DockerHubCopies.Include(host);

    /// <summary>Not <c>1</c> or <c>127.1</c>, which are addresses to some programs, and not <c>[::1]:53</c>, whose port would be lost.</summary>
    private static IPAddress? ReadAddress(string text) =>
        IPAddress.TryParse(text, out var address) && (address.AddressFamily == AddressFamily.InterNetworkV6 ? text[0] != '[' : address.ToString() == text) ? address : null;

    private static IPEndPoint? ReadResolver(string text, List<string> problems)
    {
        if (ReadAddress(text) is { } address)
            return new IPEndPoint(address, DnsPort);
        if (IPEndPoint.TryParse(text, out var server) && server.Port > 0 && text.Contains(server.Address.ToString(), StringComparison.OrdinalIgnoreCase))
            return server;
        problems.Add($"--resolver {text}: not an address, or an address and a port");
        return null;
    }

    private static List<ProxyAddress> ReadProxies(string[] texts, List<string> problems)
    {
        var proxies = new List<ProxyAddress>();
        foreach (var text in texts)
        {
            if (ProxyAddress.TryParse(text, "--proxy", out var proxy))
                proxies.Add(proxy);
            else
                problems.Add("--proxy: not an address as http://proxy.example.com:3128");
        }

        return proxies;
    }

    private static List<MirrorAddress> ReadMirrors(string[] texts, List<string> problems)
    {
        var mirrors = new List<MirrorAddress>();
        foreach (var text in texts)
        {
            if (MirrorAddress.TryParseUrl(text, isWholePath: false, out var mirror))
                mirrors.Add(mirror);
            else
                problems.Add("--mirror: not an address as https://mirror.example.com");
        }

        return mirrors;
    }
}
