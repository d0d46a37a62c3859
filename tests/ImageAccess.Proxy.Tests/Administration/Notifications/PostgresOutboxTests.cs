using ImageAccess.Proxy.Administration.Notifications;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Tests.Foundation.Database;
using Microsoft.EntityFrameworkCore;

namespace ImageAccess.Proxy.Tests.Administration.Notifications;

/// <summary>The same table on the other database.</summary>
[Collection(PostgresRoom.Name)]
public sealed class PostgresOutboxTests(PostgresServer server)
{
    [Fact]
    public async Task Of_two_replicas_one_tells_each_once_and_what_is_old_is_deleted()
    {
        await using var hook = await WebhookServer.StartAsync();
        using var room = await NotificationRoom.OpenAsync(PostgresServer.Open(await server.CreateDatabaseAsync()));
        using var otherData = new TemporaryDirectory();
        room.WithWebhook(hook);
        var (one, two) = (room.Start(), room.Start(otherData.Path));
        for (var i = 0; i < 10; i++)
            room.Audit.Trail.RecordPolicyChange($"a{i}", $"b{i}", ["x"]);
        await Task.WhenAll(one.WriteAsync(), two.WriteAsync());
        await Task.WhenAll(one.SendAsync(), two.SendAsync(), one.SendAsync(), two.SendAsync());
        Assert.Equal(10, hook.Requests.Count);
        Assert.Equal(10, hook.Requests.Select(request => request.Id).Distinct().Count());
        await Task.WhenAll(one.Looks.LookAsync(default), two.Looks.LookAsync(default));

        room.Settings["Notifications:Webhooks:0:Kinds:0"] = "policy";
        await room.Database.WriteAsync(
            async context =>
            {
                context.Outbox.Add(new OutboxRow { Id = "gone", Key = "gone", Origin = "o", Receiver = "Webhooks:9", Content = "x", State = OutboxRow.Waiting, CreatedMilliseconds = room.Time.GetUtcNow().ToUnixTimeMilliseconds() });
                await context.SaveChangesAsync();
            },
            default);
        room.Time.Advance(TimeSpan.FromDays(5));
        await one.WriteAsync();
        Assert.Equal(OutboxRow.GivenUp, (await room.RowsAsync()).Single(row => row.Id == "gone").State);
        Assert.Equal(1, (await room.Database.ReadAsync(context => new OutboxTable(context).CountGivenUpAsync(room.Time.GetUtcNow(), default), default))["Webhooks:9"]);
        room.Time.Advance(OutboxTable.Keep);
        await one.WriteAsync();
        Assert.Empty(await room.Database.ReadAsync(context => context.Outbox.ToListAsync(), default));
    }
}
