using System.Diagnostics;
using System.Text;
using Xunit.Sdk;

namespace ImageAccess.EndToEnd.Tests;

/// <summary>A program that has ended: what it said, both streams in the order in which it said it.</summary>
internal sealed record Outcome(string Command, int ExitCode, string Text)
{
    public Outcome Succeeded() =>
        ExitCode == 0 ? this : throw new XunitException($"Expected success, exit code {ExitCode}: {this}");

    public Outcome Failed() =>
        ExitCode != 0 ? this : throw new XunitException($"Expected a failure, exit code 0: {this}");

    /// <summary>The client refused, and somewhere on one line it said exactly this.</summary>
    public Outcome FailedSaying(string text) => Failed().Saying(text);

    public Outcome Saying(string text) =>
        Text.Contains(text, StringComparison.Ordinal) ? this : throw new XunitException($"Expected to read '{text}': {this}");

    public override string ToString() => $"{Command}\n{Text}";
}

/// <summary>A program that is running. It is ended with its test, whatever becomes of that.</summary>
internal sealed class Running : IAsyncDisposable
{
    /// <summary>Ends its program when nobody holds its standard input any more: a test run that was killed leaves nothing behind.</summary>
    private const string Guard = """
        exec 3<&0
        "$@" </dev/null & program=$!
        cat <&3 >/dev/null & holder=$!
        wait -n
        kill -TERM $program 2>/dev/null
        wait $program
        status=$?
        kill $holder 2>/dev/null
        exit $status
        """;

    private readonly Process _process;
    private readonly string _command;
    private readonly StringBuilder _said = new();
    private readonly Lock _saying = new();

    private Running(ProcessStartInfo start)
    {
        _command = string.Join(' ', start.ArgumentList.Prepend(start.FileName));
        _process = new Process { StartInfo = start };
        _process.OutputDataReceived += (_, line) => Hear(line.Data);
        _process.ErrorDataReceived += (_, line) => Hear(line.Data);
    }

    public string Text
    {
        get
        {
            lock (_saying) return _said.ToString();
        }
    }

    public static Running Start(ProcessStartInfo start)
    {
        start.RedirectStandardInput = true;
        start.RedirectStandardOutput = true;
        start.RedirectStandardError = true;
        var running = new Running(start);
        running._process.Start();
        running._process.BeginOutputReadLine();
        running._process.BeginErrorReadLine();
        return running;
    }

    /// <summary>Starts a daemon, which ends when the test run does.</summary>
    public static Running StartDaemon(string workingDirectory, params IReadOnlyList<string> command) =>
        Start(new ProcessStartInfo("bash", Guarded(command).Skip(1)) { WorkingDirectory = workingDirectory });

    /// <summary>The command that runs this one for as long as a test holds its standard input.</summary>
    public static IReadOnlyList<string> Guarded(IReadOnlyList<string> command) => ["bash", "-c", Guard, command[0], .. command];

    /// <summary>Runs a program to its end, at most this long.</summary>
    public static async Task<Outcome> ToEndAsync(ProcessStartInfo start, string command, string input, TimeSpan limit)
    {
        await using var running = Start(start);
        await running._process.StandardInput.WriteAsync(input);
        running._process.StandardInput.Close();
        using var timeout = new CancellationTokenSource(limit);
        try
        {
            await running._process.WaitForExitAsync(timeout.Token);
        }
        catch (OperationCanceledException late)
        {
            throw new XunitException($"Not done after {limit.TotalSeconds:0} s: {command}\n{running.Text}", late);
        }

        return new Outcome(command, running._process.ExitCode, running.Text);
    }

    /// <summary>Asks again and again until the program is ready; its own words when it never is.</summary>
    public async Task<Running> ReadyAsync(Func<CancellationToken, Task<bool>> ready, TimeSpan limit)
    {
        using var timeout = new CancellationTokenSource(limit);
        using var tick = new PeriodicTimer(TimeSpan.FromMilliseconds(50));
        try
        {
            while (!await ready(timeout.Token))
            {
                if (_process.HasExited) throw new XunitException($"Ended with exit code {_process.ExitCode}: {_command}\n{Text}");
                await tick.WaitForNextTickAsync(timeout.Token);
            }
        }
        catch (OperationCanceledException late)
        {
            throw new XunitException($"Not ready after {limit.TotalSeconds:0} s: {_command}\n{Text}", late);
        }

        return this;
    }

    /// <summary>Asks a guarded program to end, as an operator does, and waits until it has.</summary>
    public async Task<int> TerminateAsync()
    {
        _process.StandardInput.Close();
        using var timeout = new CancellationTokenSource(TimeSpan.FromMinutes(2));
        await _process.WaitForExitAsync(timeout.Token);
        return _process.ExitCode;
    }

    public async ValueTask DisposeAsync()
    {
        try
        {
            if (!_process.HasExited) _process.Kill(entireProcessTree: true);
            await _process.WaitForExitAsync();
        }
        catch (InvalidOperationException)
        {
            // It never started, or has just ended.
        }

        _process.Dispose();
    }

    private void Hear(string? line)
    {
        if (line is null) return;
        lock (_saying) _said.Append(line).Append('\n');
    }
}
