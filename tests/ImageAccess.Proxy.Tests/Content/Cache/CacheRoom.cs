using System.Diagnostics.Metrics;
using System.Security.Cryptography;
using ImageAccess.Core.Classification;
using ImageAccess.Core.Oci;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Content.Cache;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Tests.Content.Cache;

/// <summary>A directory store as the program has it, without a host: a test does by hand what the background does.</summary>
internal sealed class CacheRoom : IAsyncDisposable
{
    private readonly ServiceProvider _services = new ServiceCollection().AddMetrics().BuildServiceProvider();
    private readonly CancellationTokenSource _stopping = new();
    private Task _journal = Task.CompletedTask;

    private CacheRoom(string directory, long maximumSize, TimeProvider time)
    {
        Meters = _services.GetRequiredService<IMeterFactory>();
        Store = new DirectoryStore(Options.Create(new CacheOptions { Directory = directory, MaximumSize = maximumSize }), new CacheMetrics(Meters), time, Log);
        Directory = directory;
        Kept = new KeptContents(Store, Store.Links);
    }

    public DirectoryStore Store { get; }

    /// <summary>The store as the program sees it.</summary>
    public KeptContents Kept { get; }

    public string Directory { get; }

    public IMeterFactory Meters { get; }

    public LogLines<DirectoryStore> Log { get; } = new();

    public static RepositoryName Repository(string name) => RepositoryName.TryParse(name, out var repository) ? repository : throw new ArgumentException(name, nameof(name));

    public static Tag Tag(string text) => Core.Oci.Tag.TryParse(text, out var tag) ? tag : throw new ArgumentException(text, nameof(text));

    public static Permit Permit(string repository) =>
        PolicyEngine.Decide(Policy.Off, Caller.Anonymous, Repository(repository), PublisherFacts.NotAsked, now: default).Permit!;

    public static Digest Sha256(ReadOnlySpan<byte> bytes) => Parse("sha256:" + Convert.ToHexStringLower(SHA256.HashData(bytes)));

    public static Digest Sha512(ReadOnlySpan<byte> bytes) => Parse("sha512:" + Convert.ToHexStringLower(SHA512.HashData(bytes)));

    /// <summary>Bytes that no other content has.</summary>
    public static byte[] Bytes(int length) => RandomNumberGenerator.GetBytes(length);

    public static CacheRoom Closed(string directory, long maximumSize = 1L << 30, TimeProvider? time = null) => new(directory, maximumSize, time ?? TimeProvider.System);

    /// <summary>Opened, scanned, and with its journal running.</summary>
    public static CacheRoom Open(string directory, long maximumSize = 1L << 30, TimeProvider? time = null)
    {
        var room = Closed(directory, maximumSize, time);
        Assert.True(room.Store.TryOpen(), string.Join('\n', room.Log.All));
        room.Store.Scan(CancellationToken.None);
        room.StartJournal();
        return room;
    }

    public void StartJournal() => _journal = Store.WriteJournalAsync(_stopping.Token);

    public string PathOf(Digest digest) => new CacheDirectory(Directory).PathOf(digest);

    public IReadOnlyList<string> ComingFiles() => System.IO.Directory.GetFiles(Path.Combine(Directory, "coming"));

    /// <summary>As the program ends.</summary>
    public async ValueTask DisposeAsync()
    {
        Store.CompleteJournal();
        await _journal.WaitAsync(TimeSpan.FromSeconds(60));
        Store.Dispose();
        _stopping.Dispose();
        await _services.DisposeAsync();
    }

    private static Digest Parse(string text) => Digest.TryParse(text, out var digest) ? digest : throw new ArgumentException(text, nameof(text));
}
