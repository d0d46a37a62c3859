using System.Runtime.Versioning;
using System.Text.Json;
using ImageAccess.Core.Hosts;
using ImageAccess.FakeHubs;
using ImageAccess.Proxy.Connections.Ingress.Egress;
using ImageAccess.Proxy.Policies.Store;
using ImageAccess.Proxy.Tests.Administration.Api;
using ImageAccess.Proxy.Tests.Administration.DockerApi;

namespace ImageAccess.Proxy.Tests.Walk;

/// <summary>Docker Hub's own switches through the whole program: pulls, what the pages of a machine say, and a restart.</summary>
[UnsupportedOSPlatform("windows")]
public sealed class FollowTests : IAsyncLifetime, IDisposable
{
    private const string Password = "canary-alices-password";

    private static readonly JsonSerializerOptions Readable = new() { Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private readonly TemporaryDirectory _secrets = new();
    private readonly ApiRoom _room = new();

    private Surroundings Here => _room.Here;

    private FakeNamespace Acme => Here.Hub.Namespaces.Find("acme")!;

    public async Task InitializeAsync()
    {
        var file = _secrets["secret"];
        await File.WriteAllTextAsync(file, Password);
        File.SetUnixFileMode(file, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        await _room.StartAsync(("Follow:Username", "alice"), ("Follow:SecretFile", file), ("Follow:Interval", "00:00:01"));
        Here.Hub.Users.Find("alice")!.Password = Password;
        await _room.ImportAsync(ApiRoom.Policy);
    }

    public Task DisposeAsync() => _room.DisposeAsync();

    public void Dispose() => _secrets.Dispose();

    [Fact]
    public async Task A_switch_is_in_force_after_the_next_reading_and_everybody_is_told_the_truth()
    {
        Acme.RestrictedImages = new FakeRestrictedImages(Enabled: true, AllowOfficialImages: false, AllowVerifiedPublishers: true);
        var (member, owner, other) = (await _room.TokenAsync("member"), await _room.TokenAsync("owner", person: "alice"), await _room.TokenAsync("auditor", "globex"));
        var section = await _room.SendAsync("GET", "/api/v1/organizations/acme/policy", owner);
        var following = section.Text.Replace("\"name\": \"acme\",", "\"name\": \"acme\", \"follow\": \"docker-hub\",", StringComparison.Ordinal);
        var done = await _room.SendAsync("PUT", "/api/v1/organizations/acme/policy?reason=one-place", owner, following, section.Tag);
        Assert.Equal((200, "organization acme: follows Docker Hub's own switches, which may open"), (done.Status, done.Json.GetProperty("done").GetProperty("opens")[0].GetString()));
        await PullsAsync(official: 403, verified: 200);

        // Who may look sees what holds, and who exports gets what was written.
        var version = _room.Service<IPolicyStore>().Current;
        Assert.Equal($"{version.DocumentVersion}.5", version.Version);
        var access = (await _room.SendAsync("GET", "/api/v1/organizations/acme/image-access", member)).Json;
        Assert.Equal(("enforce", false, true), (access.GetProperty("mode").GetString(), access.GetProperty("official").GetBoolean(), access.GetProperty("verifiedPublisher").GetBoolean()));
        Assert.Equal("on, official images denied, verified publisher images allowed", access.GetProperty("followed").GetProperty("switches").GetString());
        Assert.InRange(access.GetProperty("followed").GetProperty("ageSeconds").GetInt64(), 0, 100);
        Assert.Equal("deny", (await _room.SendAsync("GET", "/api/v1/images/library/nginx", member)).Json.GetProperty("image").GetProperty("verdict").GetString());
        Assert.Equal((done.Tag, true), ((await _room.SendAsync("GET", "/api/v1/organizations/acme/policy", member)).Tag, (await _room.SendAsync("GET", "/api/v1/organizations/acme/policy", member)).Text.Contains("\"official\": true", StringComparison.Ordinal)));
        var status = (await _room.SendAsync("GET", "/api/v1/status", owner)).Json;
        Assert.Equal("on, official images denied, verified publisher images allowed", status.GetProperty("followed").GetProperty("acme").GetProperty("switches").GetString());
        Assert.Empty((await _room.SendAsync("GET", "/api/v1/status", other)).Json.GetProperty("followed").EnumerateObject());
        Assert.Contains("\"ageSeconds\"", await ReadinessAsync(), StringComparison.Ordinal);

        // The three cannot be changed here, the rest can, and a draft says what it is judged by.
        var refused = await _room.SendAsync("PUT", "/api/v1/organizations/acme/policy?reason=because", owner, following.Replace("\"official\": true", "\"official\": false", StringComparison.Ordinal), done.Tag);
        Assert.Equal(
            (409, "acme follows Docker Hub's own switches: allow.official cannot be changed here; change it in Docker's Admin Console, or take \"follow\" out of the document in the same change"),
            (refused.Status, refused.Detail));
        var draft = (await _room.SendAsync("POST", "/api/v1/organizations/acme/policy/drafts", owner, following.Replace("\"official\": true", "\"official\": true, \"community\": true", StringComparison.Ordinal))).Json;
        Assert.Equal(
            ("acme follows Docker Hub's own switches: those that were read last count, and not the document's (on, official images denied, verified publisher images allowed)", "organization acme: community images allowed"),
            (draft.GetProperty("notes")[0].GetString(), draft.GetProperty("opens")[0].GetString()));

        // Nor by Docker's own API, also not to what the document says; what holds already is no change.
        var terraform = new DockerClient(_room, "ci", owner);
        Assert.Equal((200, DockerClient.Images(enabled: true, official: false, verifiedPublishers: true)), await SetAsync(official: false, verified: true));
        Assert.Equal(
            (409, "acme follows Docker Hub's own switches: allow.official, allow.verifiedPublisher cannot be changed here; change it in Docker's Admin Console, or take \"follow\" out of the document in the same change"),
            await SetAsync(official: true, verified: false));

        // The registries likewise: of a tunnel, and of Docker's own API.
        Acme.RegistryAccess = DockerClient.Registries(enabled: true, ("ghcr.io", "GitHub", true));
        await Eventually.TrueAsync(() => (Verdict("ghcr.io"), Verdict("quay.io")) == ("Tunnel", "Refuse"));
        var same = await terraform.SetRegistriesAsync(true, ("ghcr.io", "GitHub", true));
        Assert.Equal((200, DockerClient.Registries(enabled: true, ("ghcr.io", "GitHub", true))), (same.Status, same.Text));
        var registries = await terraform.SetRegistriesAsync(true, ("ghcr.io", "GitHub", true), ("quay.io", "", true));
        Assert.Equal(
            (409, "acme follows Docker Hub's own switches: registries cannot be changed here; change it in Docker's Admin Console, or take \"follow\" out of the document in the same change"),
            (registries.Status, registries.Detail));
        Acme.RegistryAccess = DockerClient.Registries(enabled: false);
        await Eventually.TrueAsync(() => Verdict("quay.io") == "Tunnel");

        // What was read stays while Docker Hub refuses, and over a restart; which is told.
        using (Here.Hub.Faults.Add(Face.Hub, "/settings", Fault.Status(403, """{"message":"token issued from personal access token"}""")))
        {
            Acme.RestrictedImages = new FakeRestrictedImages(Enabled: false, AllowOfficialImages: true, AllowVerifiedPublishers: true);
            await Eventually.TrueAsync(async () => (await ReadinessAsync()).Contains("Docker Hub refuses the settings of acme to alice (403)", StringComparison.Ordinal));
            await PullsAsync(official: 403, verified: 200);
            await Here.RestartAsync();
            _room.Reconnect();
            await PullsAsync(official: 403, verified: 200);
            await Eventually.TrueAsync(async () => (await ReadinessAsync()).Contains("Docker Hub refuses the settings of acme to alice (403)", StringComparison.Ordinal));
        }

        await PullsAsync(official: 200, verified: 200);
        Assert.Single(Here.Log.All, line => line.EndsWith(" opens: organization acme: disabled", StringComparison.Ordinal));
        await Eventually.TrueAsync(() => AuditText().Contains($"\"event\":\"follow\",\"organization\":\"acme\",\"policyVersion\":\"{version.DocumentVersion}.3\"", StringComparison.Ordinal));
        Assert.Contains($"\"policyVersion\":\"{version.DocumentVersion}.5\"", AuditText().Split('\n').First(line => line.Contains("\"outcome\":\"deny\"", StringComparison.Ordinal) && line.Contains("library/nginx", StringComparison.Ordinal)), StringComparison.Ordinal);
        Assert.DoesNotContain(Here.Log.Lines, line => line.Contains(Password, StringComparison.Ordinal));
        Assert.All(Directory.EnumerateFiles(Here.DataDirectory, "*.json*"), file => Assert.DoesNotContain(Password, File.ReadAllText(file), StringComparison.Ordinal));

        string Verdict(string host) => $"{_room.Service<EgressPolicy>().Decide(HostName.TryParse(host, out var name) ? name : throw new FormatException(host), HostAndPort.Https).Verdict}";

        async Task<(int, string?)> SetAsync(bool official, bool verified)
        {
            var answer = await terraform.SetImagesAsync(enabled: true, official, verified);
            return (answer.Status, answer.Status == 200 ? answer.Text : answer.Detail);
        }
    }

    private string AuditText()
    {
        using var reader = new StreamReader(new FileStream(Here.AuditFile, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete));
        return reader.ReadToEnd();
    }

    private async Task PullsAsync(int official, int verified)
    {
        await Eventually.TrueAsync(async () => await StatusOfAsync("library/nginx") == official);
        await Eventually.TrueAsync(async () => await StatusOfAsync("bitnami/redis") == verified);
    }

    private async Task<int> StatusOfAsync(string repository) =>
        (await Here.AskAsync("GET", $"/v2/{repository}/manifests/latest", await Here.PullTokenAsync("bob", repository))).Status;

    private async Task<string> ReadinessAsync()
    {
        using var admin = Surroundings.NewClient(Here.Admin);
        return JsonSerializer.Serialize(JsonSerializer.Deserialize<JsonElement>(await admin.GetStringAsync("/readyz")), Readable);
    }
}
