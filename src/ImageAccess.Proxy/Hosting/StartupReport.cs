using ImageAccess.Proxy.PolicyStore;
using ImageAccess.Proxy.Upstream;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Hosting;

/// <summary>What a person is told at the start: where it listens, whether image access is on, what to do next.</summary>
internal static class StartupReport
{
    public static string Write(IServiceProvider services)
    {
        var addresses = services.GetRequiredService<IServer>().Features.GetRequiredFeature<IServerAddressesFeature>().Addresses.ToList();
        var upstream = services.GetRequiredService<IOptions<UpstreamOptions>>().Value;
        var policy = services.GetRequiredService<IPolicyStore>().Current;
        var today = DateOnly.FromDateTime(services.GetRequiredService<TimeProvider>().GetUtcNow().UtcDateTime);
        var listen = services.GetRequiredService<IOptions<ListenOptions>>().Value;

        var lines = new List<string>
        {
            $"mirror   {addresses[0]}  in front of {upstream.Registry.GetLeftPart(UriPartial.Authority)}",
            $"admin    {addresses[1]}/readyz",
            policy.IsEnabled
                ? $"policy   image access is ON: {string.Join(", ", policy.Organizations.Select(o => $"{o.Name} ({o.Mode(today)})"))}"
                : "policy   image access is OFF: every image is allowed until an organization in the policy file is enabled",
            $"next     docker: {{ \"registry-mirrors\": [\"{addresses[0]}\"] }} in /etc/docker/daemon.json; others: deploy/clients/",
        };
        if (!ListenAddress.Parse(listen.Mirror).IsLoopback)
            lines.Add("warning  plain http beyond loopback: classic dockerd sends Docker Hub credentials to a mirror in the clear");
        return string.Join('\n', lines);
    }
}
