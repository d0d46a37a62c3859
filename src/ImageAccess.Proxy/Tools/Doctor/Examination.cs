using ImageAccess.Core.Hosts;
using ImageAccess.Proxy.Foundation.DockerHub;
using ImageAccess.Proxy.Tools.Doctor.Routes;
using ImageAccess.Proxy.Tools.Engines;

namespace ImageAccess.Proxy.Tools.Doctor;

/// <summary>Finds the routes to Docker Hub that clients of a machine have, tries them all, and tells what became of each.</summary>
internal sealed class Examination(DoctorSettings settings, ClientMachine machine, TimeProvider time, Action<int, int> progress)
{
    private const int AtOnce = 32;

    private static readonly string[] ProxyVariables = ["HTTPS_PROXY", "https_proxy"];

    private readonly Timeouts _timeouts = new(time);
    private readonly List<string> _notes = [];

    public async Task<DoctorReport> RunAsync(CancellationToken cancellationToken)
    {
        var files = new ConfigurationFiles(machine.Root, machine.Home);
        var configurations = KnownEngines.Read(files);
        _notes.AddRange(files.Remarks);
        var proxies = FindProxies(configurations);
        var books = await FindAddressesAsync(cancellationToken);

        var others = new OtherRegistries(machine, _timeouts).FindAsync(proxies, cancellationToken);
        var findings = await TryAsync([.. FindRoutes(configurations, proxies, books)], cancellationToken);
        if (await others is { } note)
            _notes.Add(note);
        return new DoctorReport(settings.Denied.Value, [.. findings, .. Fallbacks(configurations, findings)], _notes) { Engines = [.. configurations.Select(configuration => configuration.Engine).Distinct()] };
    }

    private List<ProxyAddress> FindProxies(IReadOnlyList<EngineConfiguration> configurations)
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

    /// <summary>The addresses that the system knows, and those that the user gave.</summary>
    private async Task<IReadOnlyList<AddressBook>> FindAddressesAsync(CancellationToken cancellationToken)
    {
        var found = new AddressBook("direct", isGiven: false);
        var given = new AddressBook("given", isGiven: true);
        var finding = found.FillAsync(HostProbe.Hosts, machine.Names, _timeouts, cancellationToken);
        if (settings.Resolver is { } resolver)
            await given.FillAsync(HostProbe.Hosts, new DnsResolver(resolver), _timeouts, cancellationToken);
        foreach (var (host, addresses) in settings.Addresses)
            given.Add(host, addresses);
        await finding;
        return [found, given];
    }

    private IEnumerable<Route> FindRoutes(IReadOnlyList<EngineConfiguration> configurations, IReadOnlyList<ProxyAddress> proxies, IReadOnlyList<AddressBook> books)
    {
        var probe = new HostProbe(settings.Denied, _timeouts);
        var (direct, proxied, mirrored, quic) = (
            new DirectRoutes(machine, probe, _timeouts), new ProxyRoutes(machine, probe, _timeouts),
            new MirrorRoutes(machine, probe, _timeouts), new QuicRoutes(machine, _timeouts));
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

    private async Task<IReadOnlyList<Finding>> TryAsync(IReadOnlyList<Route> routes, CancellationToken cancellationToken)
    {
        using var slots = new SemaphoreSlim(AtOnce);
        var attempts = routes.Select(TryAsync).ToList();
        var done = 0;
        await foreach (var _ in Task.WhenEach(attempts).WithCancellation(cancellationToken))
            progress(++done, routes.Count);
        return await Task.WhenAll(attempts);

        async Task<Finding> TryAsync(Route route)
        {
            await slots.WaitAsync(cancellationToken);
            try
            {
                return new Finding(route, await _timeouts.LimitAsync(Timeouts.Route, route.TryAsync, cancellationToken));
            }
            catch (RouteClosedException closed)
            {
                return new Finding(route, closed.Outcome);
            }
            catch (TimeoutException late)
            {
                return new Finding(route, Outcome.NotReachable(late.Message));
            }
            finally
            {
                slots.Release();
            }
        }
    }

    /// <summary>A fallback is as open as what it falls back to.</summary>
    private static IEnumerable<Finding> Fallbacks(IReadOnlyList<EngineConfiguration> configurations, IReadOnlyList<Finding> findings)
    {
        var open = findings.FirstOrDefault(finding => finding.Route.ServesFallbacks && finding.Verdict == RouteVerdict.Open);
        return configurations.Where(configuration => configuration.Fallback is not null).Select(configuration =>
        {
            var text = $"{configuration.File}: {configuration.Fallback!.Why}";
            var outcome = (configuration.Fallback, open) switch
            {
                ({ IsToDockerHub: false }, _) => Outcome.Enforced(text),
                (_, null) => Outcome.Enforced($"{text}; closed egress holds it"),
                _ => Outcome.Open($"{text}, which is open: {open.Route.Kind}, {open.Route.Host}", open.Outcome.Command!),
            };
            return new Finding(new Route(Route.Fallback, configuration.Engine, _ => Task.FromResult(outcome)), outcome);
        });
    }
}
