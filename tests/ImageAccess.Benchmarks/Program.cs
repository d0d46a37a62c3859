using BenchmarkDotNet.Running;
using ImageAccess.Benchmarks;

if (args is ["kestrel", .. var rest])
    return await BareKestrel.RunAsync(rest);

BenchmarkSwitcher.FromAssembly(typeof(BareKestrel).Assembly).Run(args);
return 0;
