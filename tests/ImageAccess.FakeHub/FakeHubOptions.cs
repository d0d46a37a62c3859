using System.Net;

namespace ImageAccess.FakeHubs;

/// <summary>What is settled at the start of a <see cref="FakeHub"/>.</summary>
public sealed class FakeHubOptions
{
    internal const int PullWindowSeconds = 21600;

    public IPAddress Address { get; set; } = IPAddress.Loopback;

    /// <summary>Ports of the faces; 0 takes a free one.</summary>
    public int RegistryPort { get; set; }

    public int AuthPort { get; set; }

    public int HubPort { get; set; }

    public int CdnPort { get; set; }

    public int IndexPort { get; set; }

    /// <summary>The clock of tokens, signed links and pull windows.</summary>
    public TimeProvider Time { get; set; } = TimeProvider.System;

    public TokenAlgorithm TokenAlgorithm { get; set; } = TokenAlgorithm.RS256;

    /// <summary>The host that <c>Location</c> headers of uploads name; by default the registry face's own address.</summary>
    public Uri? PublicRegistry { get; set; }

    /// <summary>Manifests that an account or an address may GET in six hours; null reports limits and refuses nobody.</summary>
    public int? PullLimit { get; set; }

    /// <summary>A registry without authentication that holds the content in place of the memory of this process.</summary>
    public Uri? RegistryBackend { get; set; }

    /// <summary>Where to listen, besides, with TLS under Docker Hub's own names.</summary>
    public IPEndPoint? TlsEndPoint { get; set; }

    /// <summary>The same at further addresses.</summary>
    public IList<IPEndPoint> FurtherTlsEndPoints { get; } = [];

    /// <summary>Names of others that its certificate holds as well; requests for them are misdirected.</summary>
    public IList<string> FurtherTlsNames { get; } = [];

    /// <summary>Called when it is known how a request is answered, before the client sees the answer; when there is none, at its end.</summary>
    public Action<RecordedRequest>? Answering { get; set; }
}
