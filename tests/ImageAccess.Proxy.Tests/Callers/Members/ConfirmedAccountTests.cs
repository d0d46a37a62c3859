using System.Text.Json;
using ImageAccess.FakeHubs;
using ImageAccess.Proxy.Administration.Changes;
using ImageAccess.Proxy.Administration.Roles;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Tests.Walk;
using Microsoft.Extensions.DependencyInjection;

namespace ImageAccess.Proxy.Tests.Callers.Members;

/// <summary>A pull after somebody has confirmed which account a name stands for: at once, after a restart, and without the database.</summary>
public sealed class ConfirmedAccountTests : IAsyncLifetime
{
    private const string Community = "/v2/someuser/custom-image/manifests/latest";

    private static readonly string Stranger = new('b', 32);

    private Surroundings _here = null!;

    public async Task InitializeAsync()
    {
        _here = await Surroundings.StartWithDatabaseAsync();
        await _here.Proxy.Services.GetRequiredService<DatabaseState>().Ready;
    }

    public async Task DisposeAsync() => await _here.DisposeAsync();

    [Fact]
    public async Task The_confirmed_account_has_what_the_name_is_granted_and_the_former_one_has_not()
    {
        Assert.Equal(200, await AskAsync(null));
        Assert.Equal(403, await AskAsync(Stranger));
        Assert.NotNull(await ConcernAsync());
        Assert.Equal(Core.Policies.Roles.None, Roles("alice", null)); // which of the two asks is not known
        Assert.Equal(Core.Policies.Roles.None, Roles("alice", Stranger));

        await _here.Proxy.Services.GetRequiredService<ChangeDesk>().ConfirmAccountAsync("alice", Stranger, new ChangeRequest(Actor.Server("root"), "she has a new account"), default);
        await Eventually.TrueAsync(async () => await AskAsync(Stranger) == 200);
        Assert.Equal(403, await AskAsync(null));
        Assert.Null(await ConcernAsync());
        Assert.True(Roles("alice", Stranger).HasFlag(Core.Policies.Roles.Owner));
        Assert.True(Roles("alice", null).HasFlag(Core.Policies.Roles.Owner));
        Assert.Equal(Core.Policies.Roles.None, Roles("alice", Own));

        IReadOnlyList<JsonElement> events = [];
        await Eventually.TrueAsync(async () => (events = [.. (await _here.AuditAsync(1)).Where(line => line.TryGetProperty("event", out var name) && name.GetString() == "account-confirmed")]).Count > 0);
        var told = Assert.Single(events);
        Assert.Equal(
            ("acme", "root", "alice", Stranger, "she has a new account"),
            (Text(told, "organization"), Text(told, "user"), Text(told, "caller"), Text(told, "account"), Text(told, "reason")));

        await _here.RestartAsync(() =>
        {
            File.Delete(Path.Combine(_here.DataDirectory, "imageaccess.db-wal"));
            File.Delete(Path.Combine(_here.DataDirectory, "imageaccess.db-shm"));
            File.WriteAllText(Path.Combine(_here.DataDirectory, "imageaccess.db"), new string('x', 5000));
            File.Delete(Path.Combine(_here.DataDirectory, "accounts.json"));
        });
        Assert.Equal(403, await AskAsync(null));
        Assert.Equal(200, await AskAsync(Stranger));
    }

    private static string Own => new FakeMember("alice", "Member").Id;

    private static string? Text(JsonElement line, string member) => line.GetProperty(member).GetString();

    private Core.Policies.Roles Roles(string name, string? account) => _here.Proxy.Services.GetRequiredService<RoleBook>().Of(new Actor { Name = name, Account = account }, "acme");

    private async Task<int> AskAsync(string? account)
    {
        _here.Hub.ShapeToken = draft => draft.Subject = account ?? draft.Subject;
        return (await _here.AskAsync("GET", Community, await _here.PullTokenAsync("alice", "someuser/custom-image"))).Status;
    }

    private async Task<string?> ConcernAsync()
    {
        using var admin = Surroundings.NewClient(_here.Admin);
        var ready = JsonSerializer.Deserialize<JsonElement>(await admin.GetStringAsync(new Uri("/readyz", UriKind.Relative)));
        return ready.GetProperty("degraded").TryGetProperty("accounts", out var concern) ? concern.GetString() : null;
    }
}
