using System.IO.Compression;
using System.Runtime.Versioning;
using System.Text;
using ImageAccess.Proxy.Foundation.Audit;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Tests.Foundation.Audit;

/// <summary>A trail on disk that a sink writes, and that somebody may lay hands on.</summary>
[UnsupportedOSPlatform("windows")]
internal sealed class TrailRoom : IDisposable
{
    private readonly TemporaryDirectory _directory = new();
    private readonly AuditFixture _fixture = new();
    private readonly long _maximumSize;
    private int _events;

    public TrailRoom(long maximumSize = 1024 * 1024 * 1024)
    {
        _maximumSize = maximumSize;
        Sink = NewSink();
    }

    public FileAuditSink Sink { get; private set; }

    public ManualTime Time => _fixture.Time;

    public LogLines<FileAuditSink> Log { get; } = new();

    public string Trail => _directory["audit.jsonl"];

    public string Head => _directory["audit.head"];

    public string Data => _directory["data"];

    public string this[string name] => _directory[name];

    public IReadOnlyList<string> Files => [.. Directory.GetFiles(_directory.Path, "audit.jsonl*").OrderBy(file => file.Length).ThenBy(file => file, StringComparer.Ordinal)];

    public PublicAuditKey Key
    {
        get
        {
            using var key = new AuditKey(new AuditOptions { DataDirectory = Data });
            return key.ReadPublic()!;
        }
    }

    public static string[] Lines(string file) => File.ReadAllLines(file);

    /// <summary>The file with its lines changed.</summary>
    public static void Edit(string file, Func<string[], IEnumerable<string>> change) => File.WriteAllText(file, string.Concat(change(Lines(file)).Select(line => line + "\n")));

    /// <summary>A batch of events.</summary>
    public async Task WriteAsync(int events = 3) => await Sink.WriteAsync(Encoding.UTF8.GetBytes(string.Concat(Enumerable.Range(0, events).Select(_ => Event()))), CancellationToken.None);

    public string Event() => $$"""{"id":"{{_events++:x16}}","time":"{{Time.GetUtcNow():yyyy-MM-dd'T'HH:mm:ss.fff'Z'}}","caller":"bob","outcome":"deny","reference":"{\"seq\":7}"}""" + "\n";

    /// <summary>Three days, each rotated away from the next, with a restart in the second.</summary>
    public async Task ThreeDaysAsync()
    {
        await WriteAsync();
        await WriteAsync();
        Time.Advance(TimeSpan.FromDays(1));
        await WriteAsync();
        await RestartAsync();
        await WriteAsync();
        Time.Advance(TimeSpan.FromDays(1));
        await WriteAsync();
    }

    public async Task RestartAsync()
    {
        Sink.Dispose();
        Sink = NewSink();
        await Sink.OpenAsync(CancellationToken.None);
    }

    /// <summary>The whole trail.</summary>
    public Task<VerifiedTrail> VerifyAsync(bool isComplete = false) => new TrailVerification([Key], isComplete).RunAsync(TrailFile.AllOf(Trail), Trail, CancellationToken.None);

    public Task<VerifiedTrail> VerifyAsync(params string[] files) => new TrailVerification([Key], isComplete: false).RunAsync(files, null, CancellationToken.None);

    public async Task ShouldBeGoodAsync(params string[] notes)
    {
        var verified = await VerifyAsync();
        Assert.Equal([], verified.Faults);
        Assert.Equal(notes, verified.Notes);
    }

    public async Task<string> FaultAsync() => Assert.Single((await VerifyAsync()).Faults);

    public static void Pack(string file)
    {
        using (var packed = new GZipStream(File.Create(file + ".gz"), CompressionLevel.Fastest))
            packed.Write(File.ReadAllBytes(file));
        File.Delete(file);
    }

    public void Dispose()
    {
        Sink.Dispose();
        _fixture.Dispose();
        _directory.Dispose();
    }

    private FileAuditSink NewSink() => new(
        Options.Create(new AuditOptions { File = Trail, MaximumSize = _maximumSize, DataDirectory = Data }), _fixture.Metrics, _fixture.Time, Log);
}
