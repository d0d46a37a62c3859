using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;

namespace ImageAccess.Proxy.Tests;

/// <summary>What is logged, at every level, kept for a test to read: a logger, and the provider of one for all categories.</summary>
public class LogLines : ILoggerProvider, ILogger
{
    private readonly ConcurrentQueue<(LogLevel Level, string Text, Exception? Exception)> _lines = new();

    /// <summary>The messages alone.</summary>
    public IReadOnlyList<string> All => [.. _lines.Where(line => line.Level != LogLevel.None).Select(line => line.Text)];

    /// <summary>Everything that a logger is told: the level, the message and the exception, and scopes.</summary>
    public IReadOnlyList<string> Lines => [.. _lines.Select(line => line.Level == LogLevel.None ? line.Text : $"{line.Level} {line.Text} {line.Exception}")];

    public IReadOnlyList<string> At(LogLevel level) => [.. _lines.Where(line => line.Level == level).Select(line => line.Text)];

    public void Clear() => _lines.Clear();

    public override string ToString() => string.Join('\n', Lines);

    public ILogger CreateLogger(string categoryName) => this;

    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull
    {
        _lines.Enqueue((LogLevel.None, $"scope {state}", null));
        return null;
    }

    public bool IsEnabled(LogLevel logLevel) => true;

    public void Log<TState>(
        LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
        _lines.Enqueue((logLevel, formatter(state, exception), exception));

    public void Dispose() => GC.SuppressFinalize(this);
}

/// <summary>The same for what asks for a logger of its own.</summary>
public sealed class LogLines<T> : LogLines, ILogger<T>;
