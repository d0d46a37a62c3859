using System.Diagnostics;
using System.Security.Cryptography;
using ImageAccess.FakeHubs;
using ImageAccess.Proxy.Tests.Walk;

namespace ImageAccess.Proxy.Tests.Content.Serving;

/// <summary>The program in a process and on a disk of its own.</summary>
public sealed class ProcessTests : IAsyncLifetime, IDisposable
{
    private const long MostMemory = 300L * 1024 * 1024;

    private readonly TemporaryDirectory _directory = new();
    private FakeHub _hub = null!;

    public async Task InitializeAsync()
    {
        _hub = await FakeHub.StartAsync();
        await File.WriteAllTextAsync(_directory["imageaccess.json"], $$"""
            {
              "Listen": { "Mirror": "http://127.0.0.1:0", "Admin": "http://127.0.0.1:0" },
              "Upstream": { "Registry": "{{_hub.Registry}}", "Auth": "{{_hub.Auth}}", "Hub": "{{_hub.Hub}}", "RedirectHosts": [ "{{_hub.Cdn.Authority}}" ] },
              "Cache": { "Directory": "cache" }
            }
            """);
    }

    public async Task DisposeAsync() => await _hub.DisposeAsync();

    public void Dispose() => _directory.Dispose();

    [Fact]
    public async Task Two_hundred_clients_of_a_large_layer_cost_one_download_and_little_memory()
    {
        var layer = RandomNumberGenerator.GetBytes(200 * 1024 * 1024);
        var digest = _hub.Images.PushImage("library/large", "latest", [layer]).Layers[0];
        await using var program = new ImageAccessProcess(_directory.Path, []);
        using var client = await ClientAsync(program, "library/large");

        var right = await Task.WhenAll(Enumerable.Range(0, 200).Select(_ => IsSameAsync(client, $"/v2/library/large/blobs/{digest}", layer)));

        Assert.All(right, Assert.True);
        Assert.Single(_hub.Requests.Of(Face.Cdn));
        Assert.InRange(program.PeakMemory, 1, MostMemory);
    }

    [Fact]
    public async Task On_a_disk_of_50_MB_images_that_are_larger_are_pulled_all_the_same()
    {
        var folder = Directory.CreateDirectory(_directory["cache"]).FullName;
        await RunAsync("mount", "-t", "tmpfs", "-o", "size=50m", "tmpfs", folder);
        try
        {
            await using var program = new ImageAccessProcess(_directory.Path, []);
            _hub.Images.PushImage("library/many", "latest");
            using var client = await ClientAsync(program, "library/many");
            foreach (var megabytes in new[] { 10, 80, 20, 60, 25, 15, 49, 5, 120 })
            {
                var layer = RandomNumberGenerator.GetBytes(megabytes * 1024 * 1024);
                var digest = _hub.Images.PushImage("library/many", $"of-{megabytes}", [layer]).Layers[0];
                Assert.True(await IsSameAsync(client, $"/v2/library/many/blobs/{digest}", layer), $"{megabytes} MB");
                Assert.True(await IsSameAsync(client, $"/v2/library/many/blobs/{digest}", layer), $"{megabytes} MB once more");
            }
        }
        finally
        {
            await RunAsync("umount", "--lazy", folder);
        }
    }

    private async Task<HttpClient> ClientAsync(ImageAccessProcess program, string repository)
    {
        var client = Surroundings.NewClient(new Uri((await program.WaitForLineAsync("mirror ")).Split(' ', StringSplitOptions.RemoveEmptyEntries)[1]));
        client.Timeout = TimeSpan.FromMinutes(5);
        client.DefaultRequestHeaders.Add("Authorization", "Bearer " + await _hub.TokenForAsync(null, $"repository:{repository}:pull"));
        return client;
    }

    /// <summary>Compared as it comes: two hundred times two hundred megabytes are nowhere at once.</summary>
    private static async Task<bool> IsSameAsync(HttpClient client, string target, byte[] expected)
    {
        using var answer = await client.GetAsync(new Uri(target, UriKind.Relative), HttpCompletionOption.ResponseHeadersRead);
        await using var body = await answer.Content.ReadAsStreamAsync();
        var buffer = new byte[64 * 1024];
        var offset = 0;
        while (await body.ReadAsync(buffer) is > 0 and var count)
        {
            if (offset + count > expected.Length || !buffer.AsSpan(0, count).SequenceEqual(expected.AsSpan(offset, count)))
                return false;
            offset += count;
        }

        return offset == expected.Length;
    }

    private static async Task RunAsync(string command, params string[] arguments)
    {
        using var process = Process.Start(new ProcessStartInfo(command, arguments))!;
        await process.WaitForExitAsync();
        Assert.Equal(0, process.ExitCode);
    }
}
