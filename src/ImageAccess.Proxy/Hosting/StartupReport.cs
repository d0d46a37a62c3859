using System.Globalization;
using ImageAccess.Proxy.Foundation.Configuration;
using ImageAccess.Proxy.Foundation.DockerHub;
using ImageAccess.Proxy.Foundation.Files;
using ImageAccess.Proxy.Foundation.Limits;
using ImageAccess.Proxy.Policies.Store;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Hosting;

/// <summary>What a person is told at the start: where it listens, whether image access is on, what to do next.</summary>
internal static class StartupReport
{
    /// <summary>How many organizations are named.</summary>
    private const int MaximumNamed = 10;

    public static string Write(IServiceProvider services) => string.Join('\n', Lines(services));

    /// <summary>The same as lines of the log, where that is read by programs alone.</summary>
    public static void Log(IServiceProvider services)
    {
        var logger = services.GetRequiredService<ILoggerFactory>().CreateLogger(typeof(StartupReport).FullName!);
        foreach (var line in Lines(services))
            logger.Started(line);
    }

    private static List<string> Lines(IServiceProvider services)
    {
        var addresses = services.GetRequiredService<IServer>().Features.GetRequiredFeature<IServerAddressesFeature>().Addresses.ToList();
        var upstream = services.GetRequiredService<IOptions<UpstreamOptions>>().Value;
        var policy = services.GetRequiredService<IPolicyStore>().Current;
        var today = DateOnly.FromDateTime(services.GetRequiredService<TimeProvider>().GetUtcNow().UtcDateTime);
        var listen = services.GetRequiredService<IOptions<ListenOptions>>().Value;

        var hub = upstream.Registry.GetLeftPart(UriPartial.Authority);
        var lines = listen.All().Zip(addresses, (wanted, bound) => (wanted.Listener, Address: Address(wanted.Address, bound))).Select(one => one.Listener switch
        {
            Listener.Mirror => $"mirror   {one.Address}  in front of {hub}",
            Listener.Admin => $"admin    {one.Address}/readyz",
            Listener.Console => $"console  {one.Address}/api/v1",
            Listener.Gateway => $"gateway  {one.Address}  under Docker Hub's own names",
            _ => $"proxy    {one.Address}  for HTTPS_PROXY",
        }).ToList();
        lines.Add(policy.IsEnabled
            ? $"policy   image access is ON: {PrintableText.ListOf([.. policy.Organizations.Select(o => $"{o.Name} ({o.Mode(today)})")], MaximumNamed)}"
            : "policy   image access is OFF: every image is allowed until an organization in the policy file is enabled");
        lines.Add(LimitsOf(services.GetRequiredService<IOptions<LimitOptions>>().Value));
        lines.Add("next     on clients: what `imageaccess clients ENGINE --mode mirror|gateway|forward-proxy` prints");
        if (ListenAddress.Parse(listen.Mirror) is { IsTls: false, IsLoopback: false })
            lines.Add("warning  plain http beyond loopback: classic dockerd sends Docker Hub credentials to a mirror in the clear");
        lines.AddRange(services.GetRequiredService<TrustReport>().Concerns().Select(concern => $"warning  {concern}"));
        if (services.GetRequiredService<EgressReport>().Concern is { } concern)
            lines.Add($"warning  {concern}");
        return lines;
    }

    private static string LimitsOf(LimitOptions limits) => string.Create(
        CultureInfo.InvariantCulture,
        $"limits   {limits.Connections} connections ({limits.ConnectionsPerClient} for each client), {limits.Tunnels} tunnels ({limits.TunnelsPerClient}), {limits.Requests} pulls and pushes ({limits.RequestsPerClient}): of {limits.Machine.Descriptors} files and {limits.Machine.Memory / 1024 / 1024} MiB");

    /// <summary>The port that was bound, with the configured scheme: the server does not know about TLS.</summary>
    private static string Address(string wanted, string bound) =>
        string.Concat(wanted.AsSpan(0, wanted.IndexOf(':', StringComparison.Ordinal)), bound.AsSpan(bound.IndexOf(':', StringComparison.Ordinal)));
}
