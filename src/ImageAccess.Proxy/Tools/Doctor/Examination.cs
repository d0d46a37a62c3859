using ImageAccess.Core.Hosts;
using ImageAccess.Proxy.Foundation.DockerHub;
using ImageAccess.Proxy.Tools.Doctor.Probes;
using ImageAccess.Proxy.Tools.Doctor.Ways;
using ImageAccess.Proxy.Tools.Engines;

namespace ImageAccess.Proxy.Tools.Doctor;

/// <summary>Finds the ways that clients of a machine have to Docker Hub, takes them all, and tells what became of each.</summary>
internal sealed class Examination(DoctorSettings settings, ClientMachine machine, TimeProvider time, Action<int, int> progress)
{
    private const int AtOnce = 32;

    private static readonly string[] ProxyVariables = ["HTTPS_PROXY", "https_proxy"];

    private readonly Patience _patience = new(time);
    private readonly List<string> _notes = [];

    public async Task<DoctorReport> RunAsync(CancellationToken cancellationToken)
    {
        var files = new ConfigurationFiles(machine.Root, machine.Home);
        var configurations = ClientConfigurations.Read(files);
        _notes.AddRange(files.Remarks);
        var proxies = FindProxies(configurations);
        var books = await FindAddressesAsync(cancellationToken);

        var others = new OtherRegistries(machine, _patience).FindAsync(proxies, cancellationToken);
        var findings = await TakeAsync([.. FindWays(configurations, proxies, books)], cancellationToken);
        if (await others is { } note)
            _notes.Add(note);
        return new DoctorReport(settings.Denied.Value, [.. findings, .. Fallbacks(configurations, findings)], _notes);
    }

    private List<ProxyAddress> FindProxies(IReadOnlyList<ClientConfiguration> configurations)
    {
        var proxies = new List<ProxyAddress>();
        foreach (var variable in ProxyVariables)
        {
            if (machine.Environment(variable) is not { Length: > 0 } text)
                continue;
            if (ProxyAddress.TryParseVariable(text, variable, out var proxy))
                Add(proxy);
            else
                _notes.Add($"{variable} is no http or https address; it was not tried");
        }

        foreach (var proxy in configurations.SelectMany(configuration => configuration.Proxies).Concat(settings.Proxies))
            Add(proxy);
        return proxies;

        void Add(ProxyAddress proxy)
        {
            if (!proxies.Exists(proxy.IsSameAs))
                proxies.Add(proxy);
        }
    }

    /// <summary>As the system says, and as who asks does.</summary>
    private async Task<IReadOnlyList<AddressBook>> FindAddressesAsync(CancellationToken cancellationToken)
    {
        var found = new AddressBook("direct", isGiven: false);
        var given = new AddressBook("given", isGiven: true);
        var finding = found.FillAsync(Questions.Hosts, machine.Names, _patience, cancellationToken);
        if (settings.Resolver is { } resolver)
            await given.FillAsync(Questions.Hosts, new DnsServer(resolver), _patience, cancellationToken);
        foreach (var (host, addresses) in settings.Addresses)
            given.Add(host, addresses);
        await finding;
        return [found, given];
    }

    private IEnumerable<Way> FindWays(IReadOnlyList<ClientConfiguration> configurations, IReadOnlyList<ProxyAddress> proxies, IReadOnlyList<AddressBook> books)
    {
        var questions = new Questions(settings.Denied, _patience);
        var (direct, proxied, mirrored, quic) = (
            new DirectWays(machine, questions, _patience), new ProxyWays(machine, questions, _patience),
            new MirrorWays(machine, questions, _patience), new QuicWays(machine, _patience));
        var address = books.Reverse().Select(book => book.FirstOf(DockerHubHosts.Registry)).FirstOrDefault(address => address is not null);
        return
        [
            .. books.SelectMany(direct.Of),
            .. proxies.SelectMany(proxy => proxied.Of(proxy, address)),
            .. configurations.SelectMany(configuration => configuration.Mirrors.Select(mirror => (Mirror: mirror, Source: configuration.File)))
                .Concat(settings.Mirrors.Select(mirror => (Mirror: mirror, Source: "--mirror")))
                .GroupBy(pair => pair.Mirror, pair => pair.Source)
                .Select(group => mirrored.Of(group.Key, group.Distinct())),
            .. books.SelectMany(quic.Of),
        ];
    }

    private async Task<IReadOnlyList<Finding>> TakeAsync(IReadOnlyList<Way> ways, CancellationToken cancellationToken)
    {
        using var slots = new SemaphoreSlim(AtOnce);
        var takings = ways.Select(TakeAsync).ToList();
        var done = 0;
        await foreach (var _ in Task.WhenEach(takings).WithCancellation(cancellationToken))
            progress(++done, ways.Count);
        return await Task.WhenAll(takings);

        async Task<Finding> TakeAsync(Way way)
        {
            await slots.WaitAsync(cancellationToken);
            try
            {
                return new Finding(way, await _patience.LimitAsync(Patience.Way, way.TryAsync, cancellationToken));
            }
            catch (WayClosedException closed)
            {
                return new Finding(way, closed.Outcome);
            }
            catch (TimeoutException late)
            {
                return new Finding(way, Outcome.NotReachable(late.Message));
            }
            finally
            {
                slots.Release();
            }
        }
    }

    /// <summary>A fallback is as open as what it falls back to.</summary>
    private static IEnumerable<Finding> Fallbacks(IReadOnlyList<ClientConfiguration> configurations, IReadOnlyList<Finding> findings)
    {
        var open = findings.FirstOrDefault(finding => finding.Way.ServesFallbacks && finding.Verdict == WayVerdict.Open);
        return configurations.Where(configuration => configuration.Fallback is not null).Select(configuration =>
        {
            var text = $"{configuration.File}: {configuration.Fallback!.Why}";
            var outcome = (configuration.Fallback, open) switch
            {
                ({ IsToDockerHub: false }, _) => Outcome.Enforced(text),
                (_, null) => Outcome.Enforced($"{text}; closed egress holds it"),
                _ => Outcome.Open($"{text}, which is open: {open.Way.Kind}, {open.Way.Host}", open.Outcome.Command!),
            };
            return new Finding(new Way("fallback", configuration.Engine, _ => Task.FromResult(outcome)), outcome);
        });
    }
}
