using ImageAccess.Proxy.Hosting;

return await CommandTree.RunAsync(args);
