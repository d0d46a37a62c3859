using System.Net;
using ImageAccess.Core.Oci;
using ImageAccess.Proxy.Tools.Engines;

namespace ImageAccess.Proxy.Tools.Doctor;

/// <summary>What the user tells doctor, besides what it finds.</summary>
internal sealed record DoctorSettings
{
    /// <summary>A repository that the policy denies.</summary>
    public required RepositoryName Denied { get; init; }

    /// <summary>Addresses of Docker Hub's names that the user gave.</summary>
    public IReadOnlyDictionary<string, IReadOnlyList<IPAddress>> Addresses { get; init; } = new Dictionary<string, IReadOnlyList<IPAddress>>();

    /// <summary>A DNS server to ask besides the system's.</summary>
    public IPEndPoint? Resolver { get; init; }

    public IReadOnlyList<ProxyAddress> Proxies { get; init; } = [];

    public IReadOnlyList<MirrorAddress> Mirrors { get; init; } = [];
}
