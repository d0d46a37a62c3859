using ImageAccess.Proxy.Hosting;

return CommandTree.Build().Parse(args) is { Errors.Count: > 0 } wrong
    ? Math.Max(await wrong.InvokeAsync(), CommandTree.Misused)
    : await CommandTree.Build().Parse(args).InvokeAsync();
