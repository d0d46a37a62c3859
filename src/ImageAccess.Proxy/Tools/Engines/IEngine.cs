namespace ImageAccess.Proxy.Tools.Engines;

/// <summary>
/// A program that pulls images. Its folder has all that is known about it: the files that it reads are named once, <c>clients</c>
/// writes them and <c>doctor</c> reads them. A new engine is a folder and a line in <see cref="KnownEngines"/>.
/// </summary>
internal interface IEngine
{
    /// <summary>As <c>clients</c> takes it on the command line.</summary>
    string Name { get; }

    /// <summary>The name, and the other programs that the same files serve.</summary>
    string Description => Name;

    /// <summary>The files that <see cref="Read"/> reads.</summary>
    IReadOnlyList<EngineFile> Files { get; }

    ClientSetup Mirror(MirrorWay way);

    ClientSetup Gateway(GatewayWay way);

    ClientSetup ForwardProxy(ForwardProxyWay way);

    /// <summary>What a machine's files tell this engine about Docker Hub.</summary>
    IEnumerable<EngineConfiguration> Read(ConfigurationFiles files);
}
