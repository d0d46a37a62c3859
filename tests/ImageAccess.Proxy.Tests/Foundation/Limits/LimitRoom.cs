using System.Diagnostics.Metrics;
using ImageAccess.Proxy.Foundation.Limits;
using Microsoft.Extensions.DependencyInjection;

namespace ImageAccess.Proxy.Tests.Foundation.Limits;

/// <summary>The metrics of limits, and what they were told.</summary>
public sealed class LimitRoom : IDisposable
{
    private readonly ServiceProvider _services = new ServiceCollection().AddMetrics().BuildServiceProvider();
    private readonly MeterListener _listener = new();
    private readonly Dictionary<string, long> _limited = [];

    public LimitRoom()
    {
        var meters = _services.GetRequiredService<IMeterFactory>();
        _listener.InstrumentPublished = (instrument, listener) =>
        {
            if (instrument.Meter.Scope == meters && instrument.Name == "imageaccess.limited")
                listener.EnableMeasurementEvents(instrument);
        };
        _listener.SetMeasurementEventCallback<long>((_, value, tags, _) =>
        {
            lock (_limited)
            {
                var what = (string)tags[0].Value!;
                _limited[what] = _limited.GetValueOrDefault(what) + value;
            }
        });
        _listener.Start();
        Metrics = new LimitMetrics(meters);
    }

    public LimitMetrics Metrics { get; }

    /// <summary>How often this was refused.</summary>
    public long Limited(string what)
    {
        lock (_limited)
            return _limited.GetValueOrDefault(what);
    }

    public void Dispose()
    {
        _listener.Dispose();
        _services.Dispose();
    }
}
