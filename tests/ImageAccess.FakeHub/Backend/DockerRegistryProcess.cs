using System.Diagnostics;
using System.Text.RegularExpressions;

namespace ImageAccess.FakeHubs;

/// <summary>The real <c>docker-registry</c> (CNCF distribution), open to everybody, on a free port and in a folder of its own.</summary>
public sealed partial class DockerRegistryProcess : IAsyncDisposable
{
    private readonly string _folder;
    private readonly Process _process;

    private DockerRegistryProcess(string folder, Process process, Uri address)
    {
        _folder = folder;
        _process = process;
        Address = address;
    }

    public Uri Address { get; }

    public static async Task<DockerRegistryProcess> StartAsync(CancellationToken cancel = default)
    {
        var temporary = Directory.CreateTempSubdirectory("docker-registry-").FullName;
        var config = Path.Combine(temporary, "config.yml");
        await File.WriteAllTextAsync(
            config,
            $"""
            version: 0.1
            log:
              level: info
              accesslog:
                disabled: true
            storage:
              filesystem:
                rootdirectory: {Path.Combine(temporary, "content")}
              delete:
                enabled: true
            http:
              addr: 127.0.0.1:0
              secret: not-a-secret
            """,
            cancel);
        var start = new ProcessStartInfo("docker-registry", ["serve", config])
        {
            UseShellExecute = false,
            RedirectStandardError = true,
            RedirectStandardOutput = true,
        };
        var registry = new Process { StartInfo = start };
        try
        {
            registry.Start();
            return new DockerRegistryProcess(temporary, registry, await AddressOfAsync(registry, cancel));
        }
        catch
        {
            await StopAsync(registry, temporary);
            throw;
        }
    }

    public ValueTask DisposeAsync() => StopAsync(_process, _folder);

    /// <summary>The registry tells its port in its log, once it listens.</summary>
    private static async Task<Uri> AddressOfAsync(Process process, CancellationToken cancel)
    {
        var address = new TaskCompletionSource<Uri>(TaskCreationOptions.RunContinuationsAsynchronously);
        process.ErrorDataReceived += (_, line) =>
        {
            if (line.Data is null)
                address.TrySetException(new InvalidOperationException("docker-registry ended before it listened"));
            else if (Listening.Match(line.Data) is { Success: true } match)
                address.TrySetResult(new Uri($"http://{match.Groups["address"].Value}"));
        };
        process.BeginErrorReadLine();
        process.BeginOutputReadLine();
        return await address.Task.WaitAsync(TimeSpan.FromSeconds(60), TimeProvider.System, cancel);
    }

    private static async ValueTask StopAsync(Process process, string folder)
    {
        try
        {
            process.Kill();
            await process.WaitForExitAsync();
        }
        catch (InvalidOperationException)
        {
            // It never started, or has ended.
        }

        process.Dispose();
        Directory.Delete(folder, recursive: true);
    }

    [GeneratedRegex(@"listening on (?<address>127\.0\.0\.1:\d+)", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Listening { get; }
}
