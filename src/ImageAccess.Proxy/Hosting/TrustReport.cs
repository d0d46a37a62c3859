using System.Net;
using System.Net.NetworkInformation;
using ImageAccess.Proxy.Foundation.Configuration;
using ImageAccess.Proxy.Foundation.Files;
using ImageAccess.Proxy.Policies.Catalog;
using ImageAccess.Proxy.Policies.Store;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Hosting;

/// <summary>What an administrator is told at the start of whom this program believes: by which files, and by which forwarded headers.</summary>
internal sealed class TrustReport(
    IConfiguration configuration, IOptions<PolicyStoreOptions> policy, IOptions<CatalogOptions> catalog, IOptions<ListenOptions> listen) : IHealthCheck
{
    /// <summary>A network of fewer bits than these holds clients, whatever else it holds.</summary>
    private const int BroadV4 = 8;
    private const int BroadV6 = 16;

    private static readonly string[] Secrets = ["ForwardProxy:Users", "Identity:Directory:SecretFile", "Database:ConnectionStringFile", "Data:KeyFile", "Audit:KeyFile"];

    public IEnumerable<string> Concerns() =>
        Files().Select(file => Concern(file.Key, file.Path, FileRights.Of(file.Path))).OfType<string>().Concat(OfProxies(listen.Value, OwnNetworks()));

    /// <summary>A group that this program is not in can change these files, which are read all the same: who is in it is not known here.</summary>
    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
    {
        var concerns = Files().Select(file => (file.Key, file.Path, Rights: FileRights.Of(file.Path)))
            .Where(file => file.Rights is { IsWritableByGroup: true, IsOfOwnGroup: false })
            .Select(file => Concern(file.Key, file.Path, file.Rights))
            .ToList();
        return Task.FromResult(concerns.Count == 0 ? HealthCheckResult.Healthy() : HealthCheckResult.Degraded(string.Join("; ", concerns)));
    }

    /// <summary>What is wrong with who may change a file, or read it; null when nothing is.</summary>
    internal static string? Concern(string key, string path, FileRights? rights) => rights switch
    {
        { IsWritableByOthers: true } => $"{key}: {path} {FileRights.Fault} {path}",
        { IsWritableByGroup: true } => $"{key}: everybody in the group {rights.Group} can change {path}: chmod g-w {path}, or see who is in it",
        { IsAnothers: true } => $"{key}: {path} belongs to user {rights.Owner}, who is neither root nor the user of this program and can change it",
        { IsReadableByEverybody: true } when Secrets.Contains(key) => $"{key}: everybody on this machine can read {path}: chmod o-r {path}",
        _ => null,
    };

    private IEnumerable<(string Key, string Path)> Files()
    {
        var files = ConfigurationKey.All
            .Where(key => key.Kind == ConfigurationKind.Path && configuration[key.Name] is not null)
            .ToDictionary(key => key.Name, key => configuration[key.Name]!);
        files["Policy:File"] = policy.Value.DocumentPath;
        files["Catalog:File"] = catalog.Value.PinsPath;
        return files.OrderBy(file => file.Key, StringComparer.Ordinal).Select(file => (file.Key, file.Value));
    }

    /// <summary>Trusted proxies that cover clients: those could name any address as their own.</summary>
    /// <param name="listen">Where the mirror listens, and whom it trusts.</param>
    /// <param name="own">This machine's addresses, each with the bits of its network.</param>
    internal static IEnumerable<string> OfProxies(ListenOptions listen, IReadOnlyList<(IPAddress Address, int Bits)> own)
    {
        var mirror = ListenAddress.Parse(listen.Mirror).Host;
        var isAny = mirror is null || mirror.Equals(IPAddress.Any) || mirror.Equals(IPAddress.IPv6Any);
        var beside = own.Where(one => !IPAddress.IsLoopback(one.Address) && (isAny || one.Address.Equals(mirror))).ToList();
        foreach (var text in listen.TrustedProxies)
        {
            var (address, bits) = Parse(text);
            var network = new IPNetwork(Masked(address, bits), bits);
            if (bits < (address.GetAddressBytes().Length == 4 ? BroadV4 : BroadV6))
                yield return Told(text, "covers clients as well as proxies");
            else if (beside.FirstOrDefault(one => bits <= one.Bits && network.Contains(one.Address)).Address is { } neighbour)
                yield return Told(text, $"covers the whole network of {neighbour}, which the mirror listens on");
            else if (mirror is not null && IPAddress.IsLoopback(mirror) && network.Contains(mirror))
                yield return Told(text, "covers every program on this machine, and the mirror listens on loopback");
        }
    }

    private static string Told(string network, string why) =>
        $"Listen:TrustedProxies: {network} {why}: whoever is in it can name any address as the client's. Name the addresses of your reverse proxies alone";

    /// <summary>A network, or one address; a version 4 address that is written as version 6 is one of version 4.</summary>
    private static (IPAddress Address, int Bits) Parse(string text)
    {
        var (address, bits) = IPNetwork.TryParse(text, out var network) ? (network.BaseAddress, network.PrefixLength) : (IPAddress.Parse(text), -1);
        if (bits < 0)
            bits = address.GetAddressBytes().Length * 8;
        return address.IsIPv4MappedToIPv6 && bits >= 96 ? (address.MapToIPv4(), bits - 96) : (address, bits);
    }

    private static IPAddress Masked(IPAddress address, int bits)
    {
        var bytes = address.GetAddressBytes();
        for (var i = 0; i < bytes.Length; i++)
            bytes[i] &= (byte)(0xFF00 >> Math.Clamp(bits - (i * 8), 0, 8));
        return new IPAddress(bytes);
    }

    private static List<(IPAddress Address, int Bits)> OwnNetworks()
    {
        try
        {
            return [.. NetworkInterface.GetAllNetworkInterfaces()
                .SelectMany(one => one.GetIPProperties().UnicastAddresses)
                .Select(one => (one.Address, one.PrefixLength))];
        }
        catch (NetworkInformationException)
        {
            return []; // the system does not tell
        }
    }
}
