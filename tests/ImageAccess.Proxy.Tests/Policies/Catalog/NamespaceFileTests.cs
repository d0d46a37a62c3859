using ImageAccess.FakeHubs;
using Microsoft.Extensions.Logging;

namespace ImageAccess.Proxy.Tests.Policies.Catalog;

public sealed class NamespaceFileTests : IAsyncLifetime
{
    private const string Bitnami =
        """{"namespace":"bitnami","badge":"verified_publisher","readAt":"2026-06-01T12:00:00+00:00","freshUntil":"2026-06-02T12:00:00+00:00"}""";

    private static readonly string[] Names = ["bitnami", "curl", "plain", "someuser", "nobody"];

    private CatalogSurroundings _here = null!;

    private string FilePath => _here.Data["catalog.records.jsonl"];

    public async Task InitializeAsync() => _here = await CatalogSurroundings.StartAsync();

    public async Task DisposeAsync() => await _here.DisposeAsync();

    [Fact]
    public async Task A_restart_asks_for_nothing_that_was_known()
    {
        var before = new List<string>();
        await using (var room = await _here.OpenAsync())
        {
            foreach (var name in Names)
                before.Add(await room.FindAsync(name));
        }

        _here.Hub.Requests.Clear();
        await using var restarted = await _here.OpenAsync();
        _here.Time.Advance(TimeSpan.FromMinutes(59));
        foreach (var (name, facts) in Names.Zip(before))
            Assert.Equal(facts, await restarted.FindAsync(name));
        Assert.Equal(0, _here.Asked);
        Assert.Contains(restarted.Log.At(LogLevel.Information), line => line.StartsWith("5 namespaces are known from", StringComparison.Ordinal));
    }

    [Fact]
    public async Task What_is_learnt_is_on_disk_within_a_moment_and_not_only_at_the_end()
    {
        await using var room = await _here.OpenAsync();
        await Eventually.TrueAsync(() => _here.Time.PendingTimers == 2);
        await room.FindAsync("bitnami");
        _here.Time.Advance(TimeSpan.FromSeconds(1));
        await Eventually.TrueAsync(() => File.Exists(FilePath) && File.ReadAllText(FilePath) == Bitnami + "\n");
    }

    [Fact]
    public async Task An_outage_after_a_restart_finds_the_last_known_records()
    {
        await using (var room = await _here.OpenAsync())
            await room.FindAsync("bitnami");

        _here.Hub.Faults.Add(Face.Hub, Fault.Status(403));
        _here.Time.Advance(TimeSpan.FromDays(6));
        await using var restarted = await _here.OpenAsync();
        Assert.Equal("VerifiedPublisher by hub", await restarted.FindAsync("bitnami"));
        Assert.Equal(2, _here.Asked);
    }

    [Fact]
    public async Task A_line_that_was_cut_off_costs_that_line_alone()
    {
        await File.WriteAllTextAsync(FilePath, $"{Bitnami}\n{Bitnami.Replace("bitnami", "curl", StringComparison.Ordinal)[..70]}");
        await using (var room = await _here.OpenAsync())
        {
            Assert.Equal("VerifiedPublisher by hub", await room.FindAsync("bitnami"));
            Assert.Equal(0, _here.Asked);
            Assert.Equal("OpenSource by hub", await room.FindAsync("curl"));
            Assert.Equal([$"{FilePath} holds 1 lines that cannot be read; those namespaces will be asked for again"], room.Log.At(LogLevel.Warning));
        }

        await using var restarted = await _here.OpenAsync();
        Assert.Empty(restarted.Log.At(LogLevel.Warning));
        Assert.Equal("OpenSource by hub", await restarted.FindAsync("curl"));
        Assert.Equal(1, _here.Asked);
    }

    [Fact]
    public async Task A_line_without_its_end_does_not_swallow_the_next()
    {
        await File.WriteAllTextAsync(FilePath, Bitnami);
        await using (var room = await _here.OpenAsync())
            await room.FindAsync("curl");

        await using var restarted = await _here.OpenAsync();
        Assert.Empty(restarted.Log.At(LogLevel.Warning));
        Assert.Equal("VerifiedPublisher by hub", await restarted.FindAsync("bitnami"));
        Assert.Equal("OpenSource by hub", await restarted.FindAsync("curl"));
        Assert.Equal(1, _here.Asked);
    }

    [Theory]
    [InlineData("")]
    [InlineData("null")]
    [InlineData("[]")]
    [InlineData("{}")]
    [InlineData("{\"namespace\":\"../x\",\"badge\":\"verified_publisher\",\"readAt\":\"2026-06-01T12:00:00Z\",\"freshUntil\":\"2026-06-02T12:00:00Z\"}")]
    [InlineData("{\"namespace\":\"bitnami\",\"badge\":\"golden\",\"readAt\":\"2026-06-01T12:00:00Z\",\"freshUntil\":\"2026-06-02T12:00:00Z\"}")]
    [InlineData("{\"namespace\":\"bitnami\",\"badge\":\"none\",\"readAt\":\"2026-06-01T12:00:00Z\",\"freshUntil\":\"2036-06-02T12:00:00Z\"}")]
    [InlineData("{\"namespace\":\"bitnami\",\"badge\":\"none\",\"readAt\":\"2026-06-01T12:00:01Z\",\"freshUntil\":\"2026-06-01T13:00:00Z\"}")]
    [InlineData("{\"namespace\":\"bitnami\",\"badge\":\"none\",\"readAt\":7,\"freshUntil\":\"2026-06-01T13:00:00Z\"}")]
    public async Task A_line_that_says_nothing_sound_is_left_out(string line)
    {
        await File.WriteAllTextAsync(FilePath, line + "\n");
        await using var room = await _here.OpenAsync();
        Assert.Single(room.Log.At(LogLevel.Warning));
        Assert.Equal("VerifiedPublisher by hub", await room.FindAsync("bitnami"));
        Assert.Equal(1, _here.Asked);
    }

    [Fact]
    public async Task What_is_too_old_to_serve_is_forgotten()
    {
        await File.WriteAllTextAsync(FilePath, Bitnami + "\n");
        _here.Time.Advance(TimeSpan.FromDays(7) + TimeSpan.FromSeconds(1));
        await using var room = await _here.OpenAsync();
        Assert.Equal(0, room.Memory.Badged);
    }

    [Fact]
    public async Task What_may_serve_for_ever_is_kept_for_ever()
    {
        await File.WriteAllTextAsync(FilePath, Bitnami + "\n");
        _here.Time.Advance(TimeSpan.FromDays(3000));
        await using var room = await _here.OpenAsync(("Catalog:StaleFor", "999999.00:00:00"));
        _here.Hub.Faults.Add(Face.Hub, Fault.Status(403));
        Assert.Equal("VerifiedPublisher by hub", await room.FindAsync("bitnami"));
    }

    [Fact]
    public async Task The_last_line_of_a_namespace_counts_and_the_file_does_not_grow_for_ever()
    {
        var none = Bitnami.Replace("verified_publisher", "none", StringComparison.Ordinal);
        await File.WriteAllLinesAsync(FilePath, [.. Enumerable.Repeat(Bitnami, 5000), none]);
        await using (var room = await _here.OpenAsync())
        {
            Assert.Equal("None by hub", await room.FindAsync("bitnami"));
            await room.FindAsync("curl");
        }

        var lines = await File.ReadAllLinesAsync(FilePath);
        Assert.Equal(2, lines.Length);
        Assert.Contains(none, lines);
        Assert.False(File.Exists(FilePath + ".new"));
    }

    [Fact]
    public async Task A_disk_that_takes_nothing_is_told_and_tried_again()
    {
        Directory.CreateDirectory(FilePath);
        await using var room = await _here.OpenAsync();
        await Eventually.TrueAsync(() => _here.Time.PendingTimers == 2);
        Assert.Equal("VerifiedPublisher by hub", await room.FindAsync("bitnami"));
        _here.Time.Advance(TimeSpan.FromSeconds(1));
        await Eventually.TrueAsync(() => room.Log.At(LogLevel.Error).Count > 0);
        Assert.StartsWith("what is known of namespaces cannot be kept: ", await room.ConcernAsync(), StringComparison.Ordinal);

        Directory.Delete(FilePath);
        _here.Time.Advance(TimeSpan.FromSeconds(1));
        await Eventually.TrueAsync(() => File.Exists(FilePath) && File.ReadAllText(FilePath) == Bitnami + "\n");
        Assert.Null(await room.ConcernAsync());
        Assert.Single(room.Log.At(LogLevel.Error));
    }
}
