using System.Diagnostics;
using System.Diagnostics.Metrics;
using System.Net.Sockets;
using System.Text;
using ImageAccess.Core.Policies;
using ImageAccess.FakeHubs;
using ImageAccess.Proxy.Foundation.Audit;
using ImageAccess.Proxy.Tests.Foundation.Audit;
using ImageAccess.Proxy.Tests.Walk;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace ImageAccess.Proxy.Tests.Overload;

/// <summary>The disk of the audit trail, a small one of the test's own, is full while clients are denied.</summary>
public abstract class FullAuditDiskTests(string transport) : WalkTests(transport), IAsyncLifetime, IDisposable
{
    private readonly TemporaryDirectory _directory = new();
    private readonly ManualTime _time = new(TimeProvider.System.GetUtcNow());
    private readonly List<Socket> _clients = [];
    private Surroundings _here = null!;
    private MeterReadings _counts = null!;

    private string Disk => _directory["disk"];

    private string Filler => Path.Combine(Disk, "filler");

    private string Trail => Path.Combine(Disk, "audit.jsonl");

    public async Task InitializeAsync()
    {
        Directory.CreateDirectory(Disk);
        await RunAsync("mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", Disk);
        _here = await StartAsync(Surroundings.Policy, null, _time, ("Audit:File", Trail));
        _counts = new MeterReadings(_here.Proxy.Services.GetRequiredService<IMeterFactory>());
    }

    public async Task DisposeAsync()
    {
        _clients.ForEach(client => client.Dispose());
        File.Delete(Filler);
        _time.Advance(AuditWriter.RetryDelay);
        await _here.DisposeAsync();
        await RunAsync("umount", Disk);
    }

    public void Dispose()
    {
        _counts.Dispose();
        _directory.Dispose();
        GC.SuppressFinalize(this);
    }

    [Theory]
    [InlineData("GET", "manifests/latest")]
    [InlineData("HEAD", "manifests/latest")]
    [InlineData("GET", "tags/list")]
    public async Task Denied_clients_are_answered_leave_no_connection_and_their_events_are_written_once_there_is_space(string method, string rest)
    {
        await FillDiskAndQueueAsync();

        var ids = new List<string>();
        for (var i = 0; i < 30; i++)
        {
            var answer = AskAsync(method, $"someuser/image-{i}", rest);
            while (method == "HEAD" && !answer.IsCompleted)
            {
                _time.Advance(TimeSpan.FromMilliseconds(100)); // what has no body is sent when the event has its place
                await Task.WhenAny(answer, Task.Delay(TimeSpan.FromMilliseconds(5), TimeProvider.System));
            }

            ids.Add((await answer).Header("X-ImageAccess-Decision")!);
        }

        Assert.Equal(30, _counts["kestrel.active_connections"]);
        _clients.ForEach(client => client.Dispose());
        await Eventually.TrueAsync(() => _counts["kestrel.active_connections"] == 0);

        var health = (await HealthAsync()).Entries["audit"];
        Assert.Equal(HealthStatus.Degraded, health.Status);
        Assert.Contains("No space left on device", health.Description, StringComparison.Ordinal);
        Assert.Contains("the queue is full: allowed events are dropped, others wait in memory", health.Description, StringComparison.Ordinal);

        await FreeDiskAsync();
        Assert.All(ids, id => Assert.Contains($"\"id\":\"{id}\"", File.ReadAllText(Trail), StringComparison.Ordinal));
        Assert.Equal(0, _counts["imageaccess.audit.lost"]);
    }

    [Fact]
    public async Task A_client_that_stays_is_let_go_after_the_longest_wait()
    {
        await FillDiskAndQueueAsync();
        for (var i = 0; i < 10; i++)
            await AskAsync("GET", $"someuser/image-{i}", "manifests/latest", "Connection: close\r\n");
        Assert.Equal(10, _counts["kestrel.active_connections"]);

        await Eventually.TrueAsync(HasEnded); // an event may begin to wait only after its client has the answer
        await FreeDiskAsync();

        bool HasEnded()
        {
            _time.Advance(PendingEvents.MaximumWait);
            return _counts["kestrel.active_connections"] == 0;
        }
    }

    [Fact]
    public async Task A_disk_that_is_full_for_a_minute_under_load_leaks_no_connection_and_all_is_well_by_itself()
    {
        await FillDiskAndQueueAsync();
        for (var second = 0; second < 60; second++)
        {
            for (var i = 0; i < 3; i++)
                await AskAsync("GET", $"someuser/image-{second}-{i}", "manifests/latest");
            Assert.Equal(200, (await AskAsync("GET", "library/nginx", "manifests/latest")).Status);
            _clients.ForEach(client => client.Dispose());
            _clients.Clear();
            _time.Advance(TimeSpan.FromSeconds(1));
            await Eventually.TrueAsync(() => _counts["kestrel.active_connections"] == 0);
        }

        Assert.Equal(HealthStatus.Degraded, (await HealthAsync()).Entries["audit"].Status);
        await FreeDiskAsync();
        Assert.Equal(0, _counts["imageaccess.audit.lost"]);
        Assert.Equal(200, (await AskAsync("GET", "library/nginx", "manifests/latest")).Status);
    }

    private async Task FillDiskAndQueueAsync()
    {
        await using (var filler = new FileStream(Filler, FileMode.Create, FileAccess.Write, FileShare.None, bufferSize: 0))
        {
            try
            {
                while (true)
                    filler.Write(new byte[4096]);
            }
            catch (IOException)
            {
                // It is full.
            }
        }

        var trail = _here.Proxy.Services.GetRequiredService<AuditTrail>();
        var pending = _here.Proxy.Services.GetRequiredService<PendingEvents>();
        await FillUntilAsync(() => pending.IsOverflowing && _counts["imageaccess.audit.failures"] > 0);
        var dropped = _counts["imageaccess.audit.dropped"]; // what the writer took since is room in the queue
        await FillUntilAsync(() => _counts["imageaccess.audit.dropped"] > dropped);

        async Task FillUntilAsync(Func<bool> isFull)
        {
            while (!isFull())
            {
                await using var entry = trail.Open(AuditFixture.Http());
                entry.Caller = Caller.Anonymous;
                entry.Request = AuditFixture.Parse("GET", "/v2/library/nginx/manifests/latest");
                entry.Decision = AuditFixture.Decide("bob", "library/nginx");
            }
        }
    }

    private async Task FreeDiskAsync()
    {
        File.Delete(Filler);
        var pending = _here.Proxy.Services.GetRequiredService<PendingEvents>();
        await Eventually.TrueAsync(IsWritten); // a try that fails at this moment is followed by a delay of its own
        Assert.Equal(HealthStatus.Healthy, (await HealthAsync()).Entries["audit"].Status);

        bool IsWritten()
        {
            _time.Advance(AuditWriter.RetryDelay);
            return pending.Count == 0 && !pending.IsOverflowing;
        }
    }

    private Task<HealthReport> HealthAsync() => _here.Proxy.Services.GetRequiredService<HealthCheckService>().CheckHealthAsync();

    /// <summary>One request on a connection of its own, which stays open after the answer.</summary>
    private async Task<RawAnswer> AskAsync(string method, string repository, string rest, string header = "")
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        var token = _here.Hub.Signer.IssueToken(draft =>
        {
            draft.Access = [new TokenAccess(repository, "pull")];
            draft.Expires += TimeSpan.FromDays(1);
            draft.For(_here.Hub.Users.Find("bob")!);
        });
        var client = new Socket(SocketType.Stream, ProtocolType.Tcp);
        _clients.Add(client);
        await client.ConnectAsync(_here.Mirror.Host, _here.Mirror.Port, limit.Token);
        await client.SendAsync(
            Encoding.ASCII.GetBytes(
                $"{method} /v2/{repository}/{rest} HTTP/1.1\r\nHost: {_here.Mirror.Authority}\r\nUser-Agent: oras/1\r\n{header}Authorization: Bearer {token}\r\n\r\n"),
            limit.Token);
        var (text, buffer) = ("", new byte[4096]);
        while (!IsWhole(text, method))
        {
            var count = await client.ReceiveAsync(buffer, limit.Token);
            Assert.NotEqual(0, count);
            text += Encoding.Latin1.GetString(buffer, 0, count);
        }

        return RawAnswer.Parse(text);
    }

    private static bool IsWhole(string text, string method)
    {
        var end = text.IndexOf("\r\n\r\n", StringComparison.Ordinal);
        return end >= 0 && (method == "HEAD" || text.Length - end - 4 >= int.Parse(
            RawAnswer.Parse(text).Header("Content-Length")!, System.Globalization.CultureInfo.InvariantCulture));
    }

    private static async Task RunAsync(string program, params string[] arguments)
    {
        using var process = Process.Start(program, arguments);
        await process.WaitForExitAsync();
        Assert.Equal(0, process.ExitCode);
    }
}

public sealed class FullAuditDiskTests_direct() : FullAuditDiskTests(Direct);

public sealed class FullAuditDiskTests_kestrel() : FullAuditDiskTests(Kestrel);
