using ImageAccess.Proxy.Hosting;
using ImageAccess.Proxy.Tools.Verbs;

return CommandTree.Build().Parse(args) is { Errors.Count: > 0 } wrong
    ? Math.Max(await wrong.InvokeAsync(), Verb.Misused)
    : await CommandTree.Build().Parse(args).InvokeAsync();
