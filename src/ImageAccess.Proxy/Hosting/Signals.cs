using System.Runtime.InteropServices;
using ImageAccess.Proxy.Foundation.Files;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Hosting;

/// <summary>
/// SIGTERM, SIGINT and SIGQUIT stop the program, a second one of them ends it at once. SIGHUP reads again what rooms read from files.
/// </summary>
internal sealed class Signals(IHostApplicationLifetime lifetime, IServiceProvider services, IOptions<ShutdownOptions> options, ILogger<Signals> logger)
    : IHostLifetime, IDisposable
{
    private readonly List<PosixSignalRegistration> _registrations = [];
    private readonly Lock _reading = new();
    private int _stops;

    public Task WaitForStartAsync(CancellationToken cancellationToken)
    {
        foreach (var signal in new[] { PosixSignal.SIGTERM, PosixSignal.SIGINT, PosixSignal.SIGQUIT })
            _registrations.Add(PosixSignalRegistration.Create(signal, Stop));
        if (!OperatingSystem.IsWindows())
            _registrations.Add(PosixSignalRegistration.Create(PosixSignal.SIGHUP, ReadAgain));
        return Task.CompletedTask;
    }

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public void Dispose() => _registrations.ForEach(registration => registration.Dispose());

    private void Stop(PosixSignalContext context)
    {
        context.Cancel = true;
        if (Interlocked.Increment(ref _stops) == 1)
        {
            logger.Stopping(context.Signal, options.Value.GracePeriod.TotalSeconds);
            lifetime.StopApplication();
            return;
        }

        // The system's own handling would do nothing where the program is process 1 of a container.
        Environment.Exit(context.Signal switch { PosixSignal.SIGINT => 130, PosixSignal.SIGQUIT => 131, _ => 143 });
    }

    /// <summary>Before the start has ended everything is being read anyway.</summary>
    private void ReadAgain(PosixSignalContext context)
    {
        context.Cancel = true;
        if (!lifetime.ApplicationStarted.IsCancellationRequested)
            return;
        lock (_reading)
        {
            foreach (var file in services.GetServices<IReloadable>())
                ReadAgain(file);
        }
    }

    /// <summary>What fails here ends neither the program nor the reading of the other files.</summary>
    private void ReadAgain(IReloadable file)
    {
        try
        {
            if (file.Reload() is { } what)
                logger.ReadAgain(what);
        }
        catch (Exception exception)
        {
            logger.NotReadAgain(file.GetType().Name, exception.GetType().Name);
        }
    }
}
