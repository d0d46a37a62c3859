using System.Text;
using System.Text.Json.Nodes;
using ImageAccess.FakeHubs;

namespace ImageAccess.Proxy.Tests.Walk;

/// <summary>No credential of a full run is found in logs at their most talkative, audit, metrics or error texts.</summary>
public abstract class CanaryTests(string transport) : WalkTests(transport)
{
    private const string Form = "Content-Type: application/x-www-form-urlencoded\r\n";

    [Fact]
    public async Task Credentials_are_found_nowhere()
    {
        await using var surroundings = await StartAsync();
        var canaries = new List<string>();
        var errors = new StringBuilder();
        foreach (var (user, secret) in new[] { ("bob", "bobs-password"), ("bob", "dckr_pat_bob"), ("acme", "dckr_oat_acme"), ("bob", "wrong-password-canary") })
        {
            var basic = Convert.ToBase64String(Encoding.UTF8.GetBytes($"{user}:{secret}"));
            canaries.AddRange([secret, basic]);
            var form = $"grant_type=password&service=registry.docker.io&scope=repository:someuser/custom-image:pull&access_type=offline&username={user}&password={secret}";
            canaries.AddRange(Tokens(await SendAsync($"GET /token?service=registry.docker.io&scope=repository:acme/app:pull,push&account={user}&offline_token=true HTTP/1.1\r\nAuthorization: Basic {basic}\r\n")));
            canaries.AddRange(Tokens(await SendAsync($"POST /token HTTP/1.1\r\n{Form}Content-Length: {form.Length}\r\n", form)));
            await SendAsync($"GET /v2/acme/app/manifests/latest HTTP/1.1\r\nAuthorization: Basic {basic}\r\n");
        }

        var bearers = canaries.Where(canary => canary.Split('.').Length == 3).Append("eyJhbGciOiJub25lIn0.e30.forged-canary").ToList();
        canaries.Add("forged-canary");
        await PullAsync();
        using (surroundings.Hub.Faults.Add(Face.Registry, Fault.CloseConnection()))
            await PullAsync();
        using (surroundings.Hub.Faults.Add(Face.Cdn, Fault.Truncate(3)))
            await PullAsync();
        using (surroundings.Hub.Faults.Add(Face.Cdn, Fault.Status(403)))
            await PullAsync();
        using (surroundings.Hub.Faults.Add(Face.Registry, Fault.Redirect("http://user:redirect-canary@evil.example.com/x?Signature=redirect-canary")))
            await PullAsync();
        using (surroundings.Hub.Faults.Add(Face.Auth, Fault.CloseConnection()))
            await SendAsync("GET /token?service=registry.docker.io HTTP/1.1\r\nAuthorization: Basic Ym9iOmJvYnMtcGFzc3dvcmQ=\r\n");
        using (surroundings.Hub.Faults.Add(Face.Hub, Fault.Status(500)))
            await PullAsync();
        canaries.AddRange(["redirect-canary", "Ym9iOmJvYnMtcGFzc3dvcmQ="]);
        canaries.AddRange(bearers.Select(bearer => bearer.Split('.')[2]));
        Assert.True(canaries.Count > 20);

        await surroundings.AuditAsync(5);
        using var admin = Surroundings.NewClient(surroundings.Admin);
        var metrics = await admin.GetStringAsync("/metrics");
        var readiness = await (await admin.GetAsync("/readyz")).Content.ReadAsStringAsync();
        await surroundings.Proxy.StopAsync();
        foreach (var (place, text) in new[]
                 {
                     ("log", surroundings.Log.ToString()), ("audit", await File.ReadAllTextAsync(surroundings.AuditFile)), ("metrics", metrics), ("readiness", readiness), ("errors", errors.ToString()),
                 })
        {
            Assert.True(text.Length > 100, place);
            Assert.All(canaries, canary => Assert.False(text.Contains(canary, StringComparison.Ordinal), $"{place} has {canary}"));
        }

        async Task PullAsync()
        {
            foreach (var bearer in bearers)
            {
                foreach (var repository in new[] { "acme/app", "someuser/custom-image", "bitnami/redis" })
                {
                    var layer = surroundings.Hub.Images.FindManifest(repository, "latest")!.Layers[0];
                    foreach (var target in new[] { "", $"{repository}/manifests/latest", $"{repository}/blobs/{layer}", $"{repository}/tags/list", $"{repository}/manifests/.x" })
                        await SendAsync($"GET /v2/{target} HTTP/1.1\r\nAuthorization: Bearer {bearer}\r\n");
                }
            }
        }

        async Task<string> SendAsync(string head, string body = "")
        {
            var text = await surroundings.ExchangeAsync($"{head}Host: {surroundings.Mirror.Authority}\r\nConnection: close\r\n\r\n{body}");
            if (!text.StartsWith("HTTP/1.1 200 ", StringComparison.Ordinal))
                errors.Append(text);
            return text;
        }
    }

    private static IEnumerable<string> Tokens(string text)
    {
        var answer = RawAnswer.Parse(text);
        return answer.Status != 200
            ? []
            : JsonNode.Parse(answer.Body)!.AsObject().Where(member => member.Key.EndsWith("token", StringComparison.Ordinal)).Select(member => member.Value!.GetValue<string>());
    }
}

public sealed class CanaryTests_direct() : CanaryTests(Direct);

public sealed class CanaryTests_kestrel() : CanaryTests(Kestrel);
