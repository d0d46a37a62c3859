using BenchmarkDotNet.Running;
using ImageAccess.Benchmarks;

if (args is ["kestrel", .. var rest])
    return await BareKestrel.RunAsync(rest);
if (args is ["replicas", .. var database])
    return await Replicas.RunAsync(database);
if (args is ["decisions", .. var size])
    return await Decisions.RunAsync(size);
if (args is ["docker-usage", .. var lines])
    return await DockerUsage.RunAsync(lines);

BenchmarkSwitcher.FromAssembly(typeof(BareKestrel).Assembly).Run(args);
return 0;
