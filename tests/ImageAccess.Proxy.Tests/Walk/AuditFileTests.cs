using System.Diagnostics;
using System.Net;
using System.Text.Json;
using ImageAccess.Proxy.Tests.Hosting;

namespace ImageAccess.Proxy.Tests.Walk;

/// <summary>The audit trail in a file that is another's: the program may write to it, and no more.</summary>
public abstract class AuditFileTests(string transport) : WalkTests(transport)
{
    /// <summary>Its time can be set to another than now by its owner alone.</summary>
    [Theory]
    [InlineData("65534:0", "660", "-fowner,-dac_override")]
    [InlineData("65534:65534", "606", "-fowner,-dac_override")]
    [InlineData("1:1", "600", "-fowner")]
    public async Task Each_event_is_written_once(string owner, string mode, string rights)
    {
        await using var room = await ProgramRoom.OpenAsync(Transport);
        room.Push(ProgramRoom.Repository);
        var trail = room["trail.jsonl"];
        await File.WriteAllTextAsync(trail, "");
        await RunAsync("chmod", mode, trail);
        await RunAsync("chown", owner, trail);
        await using var program = await room.StartAsync(""" "Audit": { "File": "trail.jsonl" } """, command: ["setpriv", "--bounding-set", rights]);
        var token = await room.Hub.TokenForAsync(null, $"repository:{ProgramRoom.Repository}:pull");
        for (var events = 1; events <= 3; events++)
        {
            using var answer = await program.AskAsync(HttpMethod.Get, $"/v2/{ProgramRoom.Repository}/manifests/latest", token);
            Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
            await Eventually.TrueAsync(() => IdsOf(trail).Distinct(StringComparer.Ordinal).Count() == events);
        }

        using var admin = Surroundings.NewClient(program.Admin);
        Assert.DoesNotContain("audit", await admin.GetStringAsync("/readyz"), StringComparison.Ordinal);
        program.Process.Terminate();
        var (code, output, _) = await program.Process.EndAsync();
        Assert.Equal((0, 3), (code, IdsOf(trail).Count));
        Assert.DoesNotContain("audit trail", output, StringComparison.Ordinal);
    }

    private static async Task RunAsync(string name, params string[] arguments)
    {
        using var process = Process.Start(name, arguments);
        await process.WaitForExitAsync();
        Assert.Equal(0, process.ExitCode);
    }

    private static List<string> IdsOf(string trail) =>
        [.. File.ReadAllText(trail).Split('\n').SkipLast(1).Where(line => !line.Contains("\"event\":\"checkpoint\"", StringComparison.Ordinal)).Select(line => JsonDocument.Parse(line).RootElement.GetProperty("id").GetString()!)];
}

public sealed class AuditFileTests_direct() : AuditFileTests(Direct);

public sealed class AuditFileTests_kestrel() : AuditFileTests(Kestrel);
