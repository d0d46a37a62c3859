using System.Net;
using ImageAccess.FakeHubs;
using ImageAccess.Proxy.Callers.Members;
using ImageAccess.Proxy.Tests.Walk;
using Microsoft.Extensions.DependencyInjection;

namespace ImageAccess.Proxy.Tests.Hosting;

/// <summary>What was learnt is on disk when the program has ended, and already while something that is under way holds its end up.</summary>
public abstract class LearntTests(string transport) : WalkTests(transport)
{
    private const string VerifiedPublishers = """
        { "organizations": [ { "name": "acme", "enabled": true, "allow": { "official": true, "verifiedPublisher": true } } ] }
        """;

    private static readonly string Stranger = new('b', 32);

    [Theory]
    [InlineData("bitnami/redis", "\"namespace\":\"bitnami\",\"badge\":\"verified_publisher\"")]
    [InlineData("someuser/custom-image", "\"namespace\":\"someuser\",\"badge\":\"none\"")]
    public async Task Namespaces_are_written_at_the_signal(string repository, string line)
    {
        await using var here = await StartAtAsync(VerifiedPublishers);
        await here.AskAsync("GET", $"/v2/{repository}/manifests/latest", await here.PullTokenAsync("bob", repository));
        await StopWhileAPullRunsAsync(here, () => Holds(here, "catalog.records.jsonl", line));
    }

    [Fact]
    public async Task A_key_that_the_token_service_began_to_sign_with_is_written_at_the_signal()
    {
        await using var here = await StartAtAsync();
        await here.AskAsync("GET", Token);
        await Eventually.TrueAsync(() => File.Exists(FileOf(here, "token-keys.json")));
        var former = await File.ReadAllTextAsync(FileOf(here, "token-keys.json"));
        here.Hub.Signer.Rotate();
        await here.AskAsync("GET", Token);
        Assert.Equal(former, await File.ReadAllTextAsync(FileOf(here, "token-keys.json"))); // not yet: one write a minute

        await StopWhileAPullRunsAsync(here, () => File.ReadAllText(FileOf(here, "token-keys.json")) != former);
    }

    [Fact]
    public async Task A_name_that_went_to_another_account_is_written_at_the_signal()
    {
        const string Secret = "dckr_pat_the-directorys-own";
        await using var here = await StartAtAsync(
            Surroundings.Policy, ("Identity:Directory:Organization", "acme"), ("Identity:Directory:Username", "bob"), ("Identity:Directory:Secret", Secret));
        await Eventually.TrueAsync(() => here.Log.ToString().Contains("member list", StringComparison.Ordinal)); // the first reading, which is refused, is over
        here.Hub.Users.Find("bob")!.AccessTokens.Add(Secret);
        await here.Proxy.Services.GetRequiredService<MembershipRefresh>().ReadAllAsync(CancellationToken.None);
        here.Hub.ShapeToken = draft => draft.Subject = draft.Username == "alice" ? Guid.ParseExact(Stranger, "N").ToString("D") : draft.Subject;
        Assert.Equal(403, (await here.AskAsync("GET", "/v2/someuser/custom-image/manifests/latest", await here.PullTokenAsync("alice", "someuser/custom-image"))).Status);
        Assert.False(Holds(here, "members.json", Stranger));

        await StopWhileAPullRunsAsync(here, () => Holds(here, "members.json", Stranger));
    }

    /// <summary>With the program itself, at every store at once: pull, SIGTERM, and the same again while nothing answers in Docker Hub's place.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_restart_without_Docker_Hub_knows_what_was_known_before(bool isHeldUp)
    {
        await using var room = await ProgramRoom.OpenAsync(Transport);
        await File.WriteAllTextAsync(room["policy.json"], VerifiedPublishers);
        room.Hub.Namespaces.Add("bitnami", "verified_publisher");
        room.Hub.Namespaces.Add("someuser", "", NamespaceKind.User);
        var (layer, digest) = room.Push("bitnami/redis");
        room.Push("someuser/custom-image");
        var (_, slow) = room.Push(ProgramRoom.Repository);
        var (allowed, denied) = (await room.Hub.TokenForAsync(null, "repository:bitnami/redis:pull"), await room.Hub.TokenForAsync(null, "repository:someuser/custom-image:pull"));
        const string Settings = """ "Shutdown": { "GracePeriod": "1s" }, "Cache": { "TagFreshness": "1s" } """;

        await using (var before = await room.StartAsync(Settings))
        {
            using var endless = isHeldUp ? await HoldUpAsync(room, before, slow) : null;
            await JudgesAsync(before);
            before.Process.Terminate();
            Assert.Equal(0, (await before.Process.EndAsync()).Code);
        }

        var events = await File.ReadAllTextAsync(room["data/audit.jsonl"]);
        Assert.Contains("\"repository\":\"someuser/custom-image\"", events, StringComparison.Ordinal);
        Assert.Contains("\"repository\":\"bitnami/redis\"", events, StringComparison.Ordinal);
        File.Delete(room["policy.json"]);
        foreach (var face in Enum.GetValues<Face>())
            room.Hub.Faults.Add(face, Fault.CloseConnection());
        await using var after = await room.StartAsync(Settings);
        await JudgesAsync(after);

        async Task JudgesAsync(RunningProgram program)
        {
            using var manifest = await program.AskAsync(HttpMethod.Get, "/v2/bitnami/redis/manifests/latest", allowed);
            Assert.Equal(HttpStatusCode.OK, manifest.StatusCode);
            using var blob = await program.AskAsync(HttpMethod.Get, $"/v2/bitnami/redis/blobs/{digest}", allowed);
            Assert.Equal(layer, await blob.Content.ReadAsByteArrayAsync());
            using var refused = await program.AskAsync(HttpMethod.Get, "/v2/someuser/custom-image/manifests/latest", denied);
            Assert.Equal(HttpStatusCode.Forbidden, refused.StatusCode);
        }
    }

    private const string Token = "/token?service=registry.docker.io&scope=repository:library/nginx:pull";

    private static async Task<HttpResponseMessage> HoldUpAsync(ProgramRoom room, RunningProgram program, string digest)
    {
        room.Hub.Faults.Add(Face.Registry, digest, Fault.Drip(1, TimeSpan.FromMilliseconds(100)));
        room.Hub.Faults.Add(Face.Cdn, request => request.RawTarget.Contains(digest[7..], StringComparison.Ordinal), Fault.Drip(1, TimeSpan.FromMilliseconds(100)));
        var answer = await program.AskAsync(
            HttpMethod.Get, $"/v2/{ProgramRoom.Repository}/blobs/{digest}", await room.Hub.TokenForAsync(null, $"repository:{ProgramRoom.Repository}:pull"));
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        return answer;
    }

    /// <summary>No timer of the program ever ends: what is written is written because it stops.</summary>
    private Task<Surroundings> StartAtAsync(string policy = Surroundings.Policy, params (string Key, string Value)[] settings)
    {
        var time = new ManualTime(TimeProvider.System.GetUtcNow());
        return StartAsync(policy, hub => hub.Time = time, time, settings);
    }

    private static async Task StopWhileAPullRunsAsync(Surroundings here, Func<bool> isWritten)
    {
        var release = new TaskCompletionSource();
        var held = here.Hub.Faults.Add(Face.Registry, "/v2/library/nginx/manifests/latest", Fault.HoldUntil(release.Task));
        var pull = here.AskAsync("GET", "/v2/library/nginx/manifests/latest", await here.PullTokenAsync("bob", "library/nginx"));
        await Eventually.TrueAsync(() => held.Hits > 0);
        var stopping = here.Proxy.StopAsync();
        await Eventually.TrueAsync(isWritten);
        Assert.False(stopping.IsCompleted);

        release.SetResult();
        Assert.Equal(200, (await pull).Status);
        await stopping;
    }

    private static bool Holds(Surroundings here, string name, string text) => File.Exists(FileOf(here, name)) && File.ReadAllText(FileOf(here, name)).Contains(text, StringComparison.Ordinal);

    private static string FileOf(Surroundings here, string name) => Path.Combine(Path.GetDirectoryName(here.AuditFile)!, name);
}

public sealed class LearntTests_direct() : LearntTests(Direct);

public sealed class LearntTests_kestrel() : LearntTests(Kestrel);
