using System.Diagnostics;
using System.Globalization;
using System.Text;
using ImageAccess.Proxy.Hosting;

namespace ImageAccess.Proxy.Tests.Walk;

/// <summary>The program as people start it, in a working directory of its own.</summary>
public sealed class ImageAccessProcess : IAsyncDisposable
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);

    private readonly Process _process;
    private readonly StringBuilder _output = new();
    private readonly Lock _gate = new();
    private readonly Task<string> _error;
    private readonly Task _reading;
    private TaskCompletionSource _changed = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public ImageAccessProcess(string directory, IReadOnlyList<string> arguments, params (string Name, string Value)[] environment)
        : this(["dotnet"], directory, arguments, environment)
    {
    }

    /// <param name="command">What runs it: <c>dotnet</c>, with what comes before it.</param>
    public ImageAccessProcess(IReadOnlyList<string> command, string directory, IReadOnlyList<string> arguments, params (string Name, string Value)[] environment)
    {
        var start = new ProcessStartInfo(command[0], command.Skip(1))
        {
            WorkingDirectory = directory,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            UseShellExecute = false,
        };
        start.ArgumentList.Add(typeof(ProxyHost).Assembly.Location);
        foreach (var argument in arguments)
            start.ArgumentList.Add(argument);
        foreach (var name in start.Environment.Keys.Where(name => name.StartsWith("IMAGEACCESS_", StringComparison.OrdinalIgnoreCase)).ToList())
            start.Environment.Remove(name);
        start.Environment["IMAGEACCESS_Listen__Console"] = "off"; // the default is one port of the machine
        foreach (var (name, value) in environment)
            start.Environment[name] = value;
        _process = Process.Start(start)!;
        _error = _process.StandardError.ReadToEndAsync();
        _reading = ReadAsync();
    }

    /// <summary>The most memory that it ever had resident, in bytes.</summary>
    public long PeakMemory => MemoryOf("VmHWM:");

    /// <summary>The memory that it has resident at the moment, in bytes.</summary>
    public long Memory => MemoryOf("VmRSS:");

    /// <summary>In a shell with <c>ulimit -n</c>.</summary>
    public static ImageAccessProcess WithDescriptors(int limit, string directory, params (string Name, string Value)[] environment) =>
        new(["prlimit", string.Create(CultureInfo.InvariantCulture, $"--nofile={limit}"), "dotnet"], directory, [], environment);

    /// <summary>Everything that it has said so far.</summary>
    public string Output
    {
        get
        {
            lock (_gate)
                return _output.ToString();
        }
    }

    public bool HasEnded => _process.HasExited;

    /// <summary>SIGTERM, as a service manager sends it.</summary>
    public void Terminate() => Signal("TERM");

    public void Signal(string name)
    {
        using var kill = Process.Start("kill", [$"-{name}", $"{_process.Id}"]);
        kill.WaitForExit();
    }

    /// <summary>The first line of standard output, past or to come, that begins so.</summary>
    public Task<string> WaitForLineAsync(string start) => WaitForLineAsync(line => line.StartsWith(start, StringComparison.Ordinal));

    public async Task<string> WaitForLineAsync(Func<string, bool> isMeant)
    {
        using var limit = new CancellationTokenSource(Limit);
        while (true)
        {
            Task changed;
            lock (_gate)
            {
                if (_output.ToString().Split('\n').SkipLast(1).FirstOrDefault(isMeant) is { } found)
                    return found;
                changed = _changed.Task;
            }

            if (await Task.WhenAny(changed, _reading).WaitAsync(limit.Token) == _reading && !changed.IsCompleted)
                throw new InvalidOperationException($"It has ended without this line:\n{Output}\n{await _error}");
        }
    }

    public async Task<(int Code, string Output, string Error)> EndAsync()
    {
        using var limit = new CancellationTokenSource(Limit);
        await _process.WaitForExitAsync(limit.Token);
        await _reading;
        return (_process.ExitCode, _output.ToString(), await _error);
    }

    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited)
            _process.Kill();
        await _process.WaitForExitAsync();
        _process.Dispose();
    }

    private long MemoryOf(string line) => long.Parse(
        File.ReadLines($"/proc/{_process.Id}/status").Single(all => all.StartsWith(line, StringComparison.Ordinal)).Split(' ', StringSplitOptions.RemoveEmptyEntries)[1],
        CultureInfo.InvariantCulture) * 1024;

    private async Task ReadAsync()
    {
        while (await _process.StandardOutput.ReadLineAsync() is { } line)
        {
            TaskCompletionSource changed;
            lock (_gate)
            {
                _output.Append(line).Append('\n');
                (changed, _changed) = (_changed, new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
            }

            changed.SetResult();
        }
    }
}
