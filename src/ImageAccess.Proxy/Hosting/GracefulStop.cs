using ImageAccess.Proxy.Foundation.Files;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Hosting;

/// <summary>How the program ends: the section <c>Shutdown</c>.</summary>
public sealed class ShutdownOptions
{
    public static readonly TimeSpan LongestGracePeriod = TimeSpan.FromHours(1);

    /// <summary>How long pulls, pushes and tunnels that are under way may go on.</summary>
    public TimeSpan GracePeriod { get; set; } = TimeSpan.FromSeconds(30);
}

/// <summary>
/// Ends the connections before any room stops. So the rooms work for what is under way until that has ended, and then have their own time to
/// write what they have learnt. They also write what they know at the signal: a service manager whose own timeout is shorter than the grace
/// period kills the program before its end.
/// </summary>
internal sealed class GracefulStop(
    IServer server,
    IEnumerable<IKept> learnt,
    IHostApplicationLifetime lifetime,
    IOptions<ShutdownOptions> options,
    TimeProvider time,
    ILogger<GracefulStop> logger) : IHostedLifecycleService
{
    /// <summary>For all rooms together, after the last connection has ended.</summary>
    private static readonly TimeSpan ForTheRooms = TimeSpan.FromSeconds(15);

    /// <remarks>It comes before the rooms: the host tells the last one first that the program stops, and this one last.</remarks>
    public static void Add(IServiceCollection services, IConfiguration configuration)
    {
        services.AddOptions<ShutdownOptions>()
            .Bind(configuration.GetSection("Shutdown"))
            .Validate(options => options.GracePeriod <= ShutdownOptions.LongestGracePeriod, "Shutdown:GracePeriod: choose at most 1h")
            .ValidateOnStart();
        services.AddOptions<HostOptions>().Configure<IOptions<ShutdownOptions>>((host, shutdown) => host.ShutdownTimeout = shutdown.Value.GracePeriod + ForTheRooms);
        services.AddHostedService<GracefulStop>();
        services.AddSingleton<IHostLifetime, Signals>();
    }

    public async Task StoppingAsync(CancellationToken cancellationToken)
    {
        lifetime.StopApplication(); // where no signal has done it
        using var grace = new CancellationTokenSource(options.Value.GracePeriod, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(grace.Token, cancellationToken);
        await using var closing = either.Token.Register(() => logger.Closing(options.Value.GracePeriod.TotalSeconds));
        var connections = server.StopAsync(either.Token);
        try
        {
            await Task.Run(Keep, CancellationToken.None);
        }
        finally
        {
            await connections;
        }
    }

    public Task StartingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StartedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    private void Keep()
    {
        foreach (var room in learnt)
            room.Keep();
    }
}
