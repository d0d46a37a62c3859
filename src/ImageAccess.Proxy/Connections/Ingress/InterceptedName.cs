using ImageAccess.Core.Hosts;

namespace ImageAccess.Proxy.Connections.Ingress;

/// <summary>
/// The feature of a connection that this program answers under one of Docker Hub's names: the name that the client asked for, and the way
/// in that it took.
/// </summary>
public sealed record InterceptedName(HostName Host, DockerHubRole Role, string WayIn);
