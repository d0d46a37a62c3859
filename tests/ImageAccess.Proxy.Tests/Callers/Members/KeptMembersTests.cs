using System.Text.Json;
using ImageAccess.Core.Policies;

namespace ImageAccess.Proxy.Tests.Callers.Members;

public sealed class KeptMembersTests : IAsyncLifetime
{
    private static readonly string Stranger = new('b', 32);

    private DirectoryRoom _room = null!;

    public async Task InitializeAsync()
    {
        _room = await DirectoryRoom.OpenAsync();
        await _room.ReadAsync();
    }

    public async Task DisposeAsync() => await _room.DisposeAsync();

    [Fact]
    public void The_list_is_for_this_user_alone_and_holds_no_secret()
    {
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, new FileInfo(_room.KeptFile).UnixFileMode);
        var text = File.ReadAllText(_room.KeptFile);
        Assert.Contains("\"alice\"", text, StringComparison.Ordinal);
        Assert.DoesNotContain("dckr_", text, StringComparison.Ordinal);
        Assert.DoesNotContain("ey", text, StringComparison.Ordinal); // a token begins so
        Assert.False(File.Exists(_room.KeptFile + ".new"));
    }

    /// <summary>What an earlier start has read has none: they are told again by Docker Hub, or not known.</summary>
    [Fact]
    public async Task Mail_addresses_are_in_memory_alone()
    {
        Assert.Equal("alice@example.com", _room.Directory.Book.AddressOf("alice", "acme", out var isRead));
        Assert.True(isRead);
        Assert.Null(_room.Directory.Book.AddressOf("nobody", "acme", out isRead));
        Assert.True(isRead);
        Assert.Null(_room.Directory.Book.AddressOf("alice", "globex", out isRead)); // which has no list
        Assert.True(isRead);
        Assert.All(Directory.GetFiles(Path.GetDirectoryName(_room.KeptFile)!), file => Assert.DoesNotContain("@example.com", File.ReadAllText(file), StringComparison.Ordinal));
        Assert.DoesNotContain("@example.com", $"{_room.Directory.Book.Lists["acme"]} {string.Join(' ', _room.Directory.Book.Lists["acme"].Members)}", StringComparison.Ordinal);
        await _room.RestartAsync();
        Assert.Null(_room.Directory.Book.AddressOf("alice", "acme", out isRead));
        Assert.False(isRead);
    }

    [Fact]
    public async Task A_change_of_hands_outlives_a_restart_and_a_change_of_the_policy()
    {
        await _room.StartAsync();
        Assert.True(_room.Describe("alice", Stranger).IsNameSuspended);
        await _room.RestartAsync();
        Assert.True(_room.Describe("alice", Stranger).IsNameSuspended);
        Assert.Null(_room.NextChange()); // told before
        _room.Policy = DirectoryRoom.PolicyWith("\"alice\", \"carol\"");
        Assert.True(_room.Describe("alice", Stranger).IsNameSuspended);
    }

    [Fact]
    public async Task Who_left_is_still_known_after_a_restart()
    {
        _room.Acme.RemoveMember("bob");
        await _room.ReadAsync();
        await _room.RestartAsync();
        Assert.True(_room.Describe("bob", Stranger).IsNameSuspended);
    }

    [Theory]
    [InlineData("")]
    [InlineData("null")]
    [InlineData("[]")]
    [InlineData("<html>")]
    [InlineData("{}")]
    [InlineData("""{"lists":null,"former":[],"takeovers":[]}""")]
    [InlineData("""{"lists":[{"organization":"acme","readAt":"2026-06-01T12:00:00+00:00","members":[{"id":"x","username":"alice","role":2}]}],"former":[],"takeovers":[]}""")]
    public async Task What_cannot_be_read_is_said_and_replaced(string kept)
    {
        await File.WriteAllTextAsync(_room.KeptFile, kept);
        await _room.RestartAsync();
        await Eventually.TrueAsync(() => _room.RoleOf("alice") == OrganizationRole.Owner);
        Assert.Contains(_room.Logs.Lines, line => line.StartsWith("Error The kept member lists cannot be used", StringComparison.Ordinal));
        await Eventually.TrueAsync(() => File.ReadAllText(_room.KeptFile).Contains("alice", StringComparison.Ordinal) && File.ReadAllText(_room.KeptFile) != kept);
        using var json = JsonDocument.Parse(File.ReadAllText(_room.KeptFile));
    }

    [Fact]
    public async Task A_disk_that_takes_nothing_is_told_and_the_list_counts()
    {
        File.Delete(_room.KeptFile);
        Directory.CreateDirectory(Path.Combine(_room.KeptFile, "in the way"));
        _room.Acme.AddMember("carol");
        await _room.ReadAsync();
        Assert.Equal(OrganizationRole.Member, _room.RoleOf("carol"));
        Assert.StartsWith("the member lists would not outlive a restart: ", await _room.ConcernAsync(), StringComparison.Ordinal);

        Directory.Delete(_room.KeptFile, recursive: true);
        await _room.ReadAsync();
        Assert.Null(await _room.ConcernAsync());
    }
}
