using System.Collections.Concurrent;
using ImageAccess.Proxy.Connections.Ingress;
using ImageAccess.Proxy.Policies.Catalog;
using ImageAccess.Proxy.Policies.Store;
using Microsoft.Extensions.Logging.Console;

namespace ImageAccess.Proxy.Hosting;

/// <summary>
/// The console, with a limit for each kind of line: so many in a minute, and then how many more there were. Whoever can cause a line must not
/// be able to fill the disk with it, or to hide the others in it. What tells of a file that administrators write has no limit: only they cause
/// it, at most once a look, and who corrects the file again and again reads each time what is wrong with it.
/// </summary>
internal sealed class RepeatedLines : ILoggerProvider, ISupportExternalScope
{
    /// <summary>Lines of one kind in a minute.</summary>
    public const int Most = 20;

    private static readonly TimeSpan Period = TimeSpan.FromMinutes(1);

    private static readonly string[] OfAdministrators = [typeof(PolicyStore).FullName!, typeof(FileCatalogSource).FullName!, typeof(ProxyUsers).FullName!];

    private readonly ILoggerProvider _console;
    private readonly ConcurrentDictionary<string, Limited> _loggers = new(StringComparer.Ordinal);
    private readonly ITimer _timer;

    public RepeatedLines(ConsoleLoggerProvider console, TimeProvider time)
        : this((ILoggerProvider)console, time)
    {
    }

    internal RepeatedLines(ILoggerProvider console, TimeProvider time)
    {
        _console = console;
        _timer = time.CreateTimer(_ => Sum(), null, Period, Period);
    }

    public ILogger CreateLogger(string categoryName) => OfAdministrators.Contains(categoryName)
        ? _console.CreateLogger(categoryName)
        : _loggers.GetOrAdd(categoryName, name => new Limited(_console.CreateLogger(name)));

    public void SetScopeProvider(IExternalScopeProvider scopeProvider) => (_console as ISupportExternalScope)?.SetScopeProvider(scopeProvider);

    public void Dispose()
    {
        _timer.Dispose();
        Sum();
    }

    private void Sum()
    {
        foreach (var (_, logger) in _loggers)
            logger.Sum();
    }

    private sealed class Limited(ILogger console) : ILogger
    {
        private readonly ConcurrentDictionary<(LogLevel Level, int Event), int> _written = new();

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => console.BeginScope(state);

        public bool IsEnabled(LogLevel logLevel) => console.IsEnabled(logLevel);

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            if (_written.AddOrUpdate((logLevel, eventId.Id), 1, static (_, number) => number + 1) <= Most)
                console.Log(logLevel, eventId, state, exception, formatter);
        }

        /// <summary>Begins another minute.</summary>
        public void Sum()
        {
            foreach (var (kind, _) in _written)
            {
                if (_written.TryRemove(kind, out var number) && number > Most)
                    console.LeftOut(kind.Level, number - Most, kind.Event);
            }
        }
    }
}

internal static partial class RepeatedLinesLog
{
    [LoggerMessage(EventId = 99, Message = "{Count} more lines of the kind [{Kind}] were left out in the last minute")]
    public static partial void LeftOut(this ILogger logger, LogLevel level, int count, int kind);
}
