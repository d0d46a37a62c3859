using System.Diagnostics;
using ImageAccess.Core.Oci;
using ImageAccess.Proxy.Content.Cache;
using ImageAccess.Proxy.Tests.Foundation.Database;
using static ImageAccess.Proxy.Tests.Content.Cache.CacheRoom;

namespace ImageAccess.Proxy.Tests.Content.Cache;

/// <summary>Kept content survives kill -9 at any moment.</summary>
public sealed class CrashTests : IDisposable
{
    private const int Kills = 50;

    private readonly TemporaryDirectory _directory = new();

    public void Dispose() => _directory.Dispose();

    [Fact]
    public async Task After_kills_at_random_moments_every_byte_verifies_and_nothing_temporary_remains()
    {
        var random = new Random(5);
        var (torn, served) = (0, 0);
        for (var kill = 0; kill < Kills; kill++)
        {
            await FillAndKillAsync(linesBefore: random.Next(1, 60));

            torn += Directory.GetFiles(_directory["cache/coming"]).Length;
            await using var room = CacheRoom.Closed(_directory["cache"], CrashingFill.MaximumSize);
            Assert.True(room.Store.TryOpen(), room.Store.Concern);
            Assert.Empty(room.ComingFiles());
            room.Store.Scan(CancellationToken.None);
            foreach (var line in room.Store.Links.Snapshot(() => { }))
                await VerifyAsync(room.Kept, line);
            foreach (var content in room.Store.Contents.All.ToList())
            {
                // The last links may be lost; what is served to those that come anew must be right as well.
                var link = new LinkLine(Repository("acme/again"), content.Digest, null, null);
                await room.Kept.LinkAsync(link.Repository, link.Digest, link.MediaType);
                served += await VerifyAsync(room.Kept, link);
            }

            Assert.Empty(room.Log.At(Microsoft.Extensions.Logging.LogLevel.Error));
            room.StartJournal();
        }

        Assert.InRange(torn, 5, int.MaxValue); // else the kills met nothing
        Assert.InRange(served, Kills, int.MaxValue);
    }

    private static async Task<int> VerifyAsync(KeptContents kept, JournalLine line)
    {
        if (line is TagLine tag)
            Assert.Equal(CrashingFill.TargetOf(tag.Tag), tag.Known.Digest);
        if (line is not LinkLine link || await kept.ReadAsync(link.Repository.Value, link.Digest) is not { } bytes)
            return 0;
        Assert.True(DigestCheck.Verifies(link.Digest, bytes), link.Digest.Value);
        return 1;
    }

    private async Task FillAndKillAsync(int linesBefore)
    {
        using var process = Process.Start(new ProcessStartInfo("dotnet", ["exec", typeof(CrashingFill).Assembly.Location, _directory["cache"]])
        {
            RedirectStandardOutput = true,
            UseShellExecute = false,
        })!;
        try
        {
            for (var line = 0; line < linesBefore; line++)
                Assert.NotNull(await process.StandardOutput.ReadLineAsync().WaitAsync(TimeSpan.FromSeconds(60)));
        }
        finally
        {
            process.Kill(); // SIGKILL
            await process.WaitForExitAsync();
        }
    }
}

/// <summary>The program: fills a cache, reads it, and evicts from it, until it is killed.</summary>
internal static class CrashingFill
{
    public const long MaximumSize = 8 * 1024 * 1024;

    public static Digest TargetOf(string tag) => Sha256(System.Text.Encoding.ASCII.GetBytes(tag));

    public static async Task Main(string[] args)
    {
        if (args[0] == CrashingWrite.Argument)
        {
            await CrashingWrite.RunAsync(args[1..]);
            return;
        }

        await using var room = CacheRoom.Open(args[0], MaximumSize);
        var evicting = Task.Run(async () =>
        {
            while (await room.Store.Budget.RoomWanted.WaitToReadAsync())
            {
                room.Store.Budget.RoomWanted.TryRead(out _);
                room.Store.MakeRoom();
            }
        });
        await Task.WhenAll([evicting, .. Enumerable.Range(0, 4).Select(number => Task.Run(() => FillAsync(room.Kept, new Random())))]);
    }

    private static async Task FillAsync(KeptContents kept, Random random)
    {
        while (true)
        {
            var bytes = Bytes(random.Next(3) == 0 ? random.Next(2000) : random.Next(1_500_000));
            var digest = Sha256(bytes);
            await kept.LinkAsync(Repository($"acme/app{random.Next(5)}"), digest, "application/x");
            var tag = $"v{random.Next(1000)}";
            await kept.RecordTagAsync(Repository("acme/app"), Tag(tag), "a", new KnownTag(TargetOf(tag), TimeProvider.System.GetUtcNow()));
            await using var writer = await kept.BeginAsync(digest, bytes.Length);
            if (writer is null)
                continue;
            foreach (var piece in bytes.Chunk(100_000))
                await writer.WriteAsync(piece, default);
            await Console.Out.WriteLineAsync("written");
            await writer.PublishAsync(default);
            await Console.Out.WriteLineAsync("published");
        }
    }
}
