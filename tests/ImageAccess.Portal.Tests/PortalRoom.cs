using ImageAccess.Proxy.Tests.Administration.Api;

namespace ImageAccess.Portal.Tests;

/// <summary>The whole program in this process, with a database, a console, and Docker Hub simulated: what <see cref="ApiRoom"/> starts, and browsers that visit it.</summary>
public class PortalRoom : IAsyncLifetime
{
    protected virtual (string Key, string Value)[] Settings => [];

    public ApiRoom Api { get; } = new();

    /// <summary>Where its console listens; another one after each restart.</summary>
    public Uri Site => Api.Here.Further[^1];

    public async Task InitializeAsync() => await Api.StartAsync(Settings);

    public async Task DisposeAsync() => await Api.DisposeAsync();

    public Task<Visit> VisitAsync(Chromium chromium, View? view = null) => Visit.StartAsync(chromium.Browser, Site, view);
}
