using System.Diagnostics;
using System.Globalization;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Hosting;
using ImageAccess.Proxy.Policies.Exceptions;
using ImageAccess.Proxy.Policies.Store;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace ImageAccess.Benchmarks;

/// <summary>
/// How long a change of one replica takes until another enforces it, on an empty database of PostgreSQL, beside what <c>NOTIFY</c> takes by
/// itself in the same run. With a command that restarts the server it measures again afterwards.
/// </summary>
internal static class Replicas
{
    private const int Rounds = 50;

    /// <param name="arguments">The connection string, and perhaps the command with its arguments.</param>
    public static async Task<int> RunAsync(string[] arguments)
    {
        if (arguments is not [var connection, .. var restart])
        {
            await Console.Error.WriteLineAsync("replicas CONNECTIONSTRING [RESTARTCOMMAND...]");
            return 2;
        }

        var folder = Directory.CreateTempSubdirectory("imageaccess-replicas-");
        try
        {
            await using var one = await StartAsync(folder, "one", connection);
            await using var two = await StartAsync(folder, "two", connection);
            await MeasureAsync(one, two, connection, "");
            if (restart.Length == 0)
                return 0;
            using (var process = Process.Start(restart[0], restart[1..]))
                await process.WaitForExitAsync();
            foreach (var replica in new[] { one, two })
                await UntilAsync(() => replica.Services.GetRequiredService<DatabaseState>().Concern is null && replica.Services.GetRequiredService<ExceptionStore>().Concern is null);
            NpgsqlConnection.ClearAllPools();
            await MeasureAsync(one, two, connection, " after a restart");
            return 0;
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    private static async Task<WebApplication> StartAsync(DirectoryInfo folder, string name, string connection)
    {
        var data = folder.CreateSubdirectory(name).FullName;
        await File.WriteAllTextAsync(Path.Combine(data, "policy.json"), """{ "organizations": [ { "name": "acme", "enabled": true } ] }""");
        var app = ProxyHost.Build(
            new ConfigurationBuilder().AddInMemoryCollection(new Dictionary<string, string?>
            {
                ["Listen:Mirror"] = "http://127.0.0.1:0",
                ["Listen:Admin"] = "http://127.0.0.1:0",
                ["Data:Directory"] = data,
                ["Upstream:Probe"] = "false",
                ["Database:ConnectionString"] = connection,
            }).Build(),
            builder => builder.Logging.ClearProviders());
        await app.StartAsync();
        await app.Services.GetRequiredService<DatabaseState>().Ready;
        await UntilAsync(() => app.Services.GetRequiredService<ExceptionStore>().IsRead);
        return app;
    }

    private static async Task MeasureAsync(WebApplication one, WebApplication two, string connection, string when)
    {
        var notify = await NotifyAsync(connection);
        Print($"NOTIFY by itself{when}", notify, notify);
        Print($"an exception{when}", await ExceptionsAsync(one, two), notify);
        Print($"a block{when}", await BlocksAsync(one, two), notify);
    }

    private static async Task<double[]> NotifyAsync(string connection)
    {
        await using var listener = new NpgsqlConnection(connection);
        await using var teller = new NpgsqlConnection(connection);
        await listener.OpenAsync();
        await teller.OpenAsync();
        await using (var listen = new NpgsqlCommand("LISTEN benchmark", listener))
            await listen.ExecuteNonQueryAsync();
        return await RepeatAsync(async _ =>
        {
            await using var notify = new NpgsqlCommand("NOTIFY benchmark", teller);
            var told = listener.WaitAsync();
            await notify.ExecuteNonQueryAsync();
            await told;
        });
    }

    private static Task<double[]> ExceptionsAsync(WebApplication one, WebApplication two)
    {
        var (changes, policies) = (new ExceptionChanges(one.Services.GetRequiredService<SqlDatabase>(), TimeProvider.System), two.Services.GetRequiredService<IPolicyStore>());
        return RepeatAsync(async round =>
        {
            var row = await changes.AddAsync(new GrantedException(0, "acme", Pattern(round), null, Follow: false, "r", "a", "b", changes.Now, null), default);
            await UntilAsync(() => policies.Current.Exceptions.All.Any(exception => exception.Id == row.Id));
        });
    }

    private static Task<double[]> BlocksAsync(WebApplication one, WebApplication two)
    {
        var file = new BlocksOnDisk(new PolicyStoreOptions { DataDirectory = one.Configuration["Data:Directory"]! });
        var policies = two.Services.GetRequiredService<IPolicyStore>();
        return RepeatAsync(async round =>
        {
            var pattern = Pattern(round);
            await file.ChangeAsync(before => before.Add(pattern, "r", "b", TimeProvider.System.GetUtcNow()), default);
            await UntilAsync(() => policies.Current.Blocks.Find(pattern) is not null);
        });
    }

    private static ImagePattern Pattern(string round) =>
        ImagePattern.TryParse($"acme/{round}", out var pattern, out var problem) ? pattern : throw new FormatException(problem);

    /// <summary>In milliseconds, sorted; the first rounds, which load what they need, do not count.</summary>
    private static async Task<double[]> RepeatAsync(Func<string, Task> round)
    {
        var times = new List<double>();
        for (var i = -5; i < Rounds; i++)
        {
            var started = Stopwatch.GetTimestamp();
            await round(Guid.NewGuid().ToString("N"));
            if (i >= 0)
                times.Add(Stopwatch.GetElapsedTime(started).TotalMilliseconds);
        }

        times.Sort();
        return [.. times];
    }

    private static async Task UntilAsync(Func<bool> condition)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        while (!condition())
            await Task.Delay(TimeSpan.FromMilliseconds(1), TimeProvider.System, limit.Token);
    }

    private static void Print(string what, double[] times, double[] peer) => Console.WriteLine(string.Create(
        CultureInfo.InvariantCulture,
        $"{what,-36} median {times[Rounds / 2],8:F1} ms   95 % {times[Rounds * 95 / 100],8:F1} ms   longest {times[^1],8:F1} ms   {times[Rounds / 2] / peer[Rounds / 2],8:F1} times NOTIFY"));
}
