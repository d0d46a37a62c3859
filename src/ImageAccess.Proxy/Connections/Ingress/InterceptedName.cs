using ImageAccess.Core.Hosts;

namespace ImageAccess.Proxy.Connections.Ingress;

/// <summary>A feature of connections that this program answers under one of Docker Hub's names: the name that the client was promised.</summary>
public sealed record InterceptedName(HostName Host, DockerHubRole Role);
