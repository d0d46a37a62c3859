using System.Text.Json;
using ImageAccess.FakeHubs;
using ImageAccess.Proxy.Tests.Walk;

namespace ImageAccess.Proxy.Tests.Policies.Catalog;

/// <summary>The whole proxy while the Hub API is out of order, by the real clock.</summary>
public sealed class OutageTests
{
    private const string Policy =
        """
        { "organizations": [ { "name": "acme", "members": [ "bob" ], "enabled": true, "allow": { "official": true, "verifiedPublisher": true } } ] }
        """;

    private const string Unknown = "image access unavailable: the publisher of someuser could not be verified, try again";

    public static TheoryData<string, Func<Fault>> Outages => new()
    {
        { "it closes", Fault.CloseConnection },
        { "it accepts and never answers", Fault.NeverAnswer },
        { "it fails", () => Fault.Status(500) },
    };

    /// <summary>A question that fails at once is asked twice more.</summary>
    private const int QuestionsForOne = 3;

    [Theory]
    [MemberData(nameof(Outages))]
    public async Task A_community_image_is_refused_in_time_and_the_others_are_served(string what, Func<Fault> outage)
    {
        await using var surroundings = await Surroundings.StartAsync(Policy);
        surroundings.Hub.Faults.Add(Face.Hub, outage());

        Assert.Equal(200, (await GetAsync(surroundings, "library/nginx")).Status);
        Assert.Equal(200, (await GetAsync(surroundings, "acme/app")).Status);
        Assert.Empty(surroundings.Hub.Requests.Of(Face.Hub));

        // As a pull asks: HEAD, then GET.
        var head = await AskAsync(surroundings, "HEAD", "someuser/custom-image");
        var get = await GetAsync(surroundings, "someuser/custom-image");
        Assert.Equal((what, 503, Unknown), (what, head.Status, head.Phrase));
        Assert.Equal((503, Unknown), (get.Status, get.Message));
        Assert.InRange(surroundings.Hub.Requests.Of(Face.Hub).Count, 1, 2 * QuestionsForOne); // none of them waits longer than five seconds

        // A second namespace is enough to know: then the answer is at once.
        await GetAsync(surroundings, "otheruser/image");
        var asked = surroundings.Hub.Requests.Of(Face.Hub).Count;
        Assert.Equal(503, (await GetAsync(surroundings, "thirduser/image")).Status);
        Assert.Equal((what, asked), (what, surroundings.Hub.Requests.Of(Face.Hub).Count));

        var ready = await ReadyAsync(surroundings);
        Assert.StartsWith("the Hub API", ready.GetProperty("degraded").GetProperty("catalog").GetString(), StringComparison.Ordinal);
        Assert.Equal("degraded", ready.GetProperty("status").GetString());
    }

    [Fact]
    public async Task With_facts_on_disk_everything_is_as_before()
    {
        using var data = new TemporaryDirectory();
        await File.WriteAllTextAsync(data["policy.json"], Policy);
        string[] repositories = ["library/nginx", "acme/app", "bitnami/redis", "someuser/custom-image"];
        int[] expected = [200, 200, 200, 403];

        await using (var before = await Surroundings.StartAsync(Policy, null, ("Data:Directory", data.Path)))
            Assert.Equal(expected, await StatusesAsync(before));

        await using var after = await Surroundings.StartAsync(Policy, null, ("Data:Directory", data.Path));
        after.Hub.Faults.Add(Face.Hub, Fault.CloseConnection());
        Assert.Equal(expected, await StatusesAsync(after));
        Assert.Empty(after.Hub.Requests.Of(Face.Hub));

        async Task<List<int>> StatusesAsync(Surroundings surroundings)
        {
            var statuses = new List<int>();
            foreach (var repository in repositories)
                statuses.Add((await GetAsync(surroundings, repository)).Status);
            return statuses;
        }
    }

    [Fact]
    public async Task Metrics_tell_lookups_requests_and_what_is_remembered()
    {
        await using var surroundings = await Surroundings.StartAsync(Policy);
        await GetAsync(surroundings, "bitnami/redis");
        await GetAsync(surroundings, "bitnami/redis");

        using var admin = Surroundings.NewClient(surroundings.Admin);
        var metrics = await admin.GetStringAsync("/metrics");
        Assert.Contains("imageaccess_catalog_lookups_total{result=\"asked\",source=\"hub\"} 1\n", metrics, StringComparison.Ordinal);
        Assert.Contains("imageaccess_catalog_lookups_total{result=\"known\",source=\"hub\"} 1\n", metrics, StringComparison.Ordinal);
        Assert.Contains("imageaccess_catalog_requests_total{status=\"200\"} 1\n", metrics, StringComparison.Ordinal);
        Assert.Contains("imageaccess_catalog_namespaces{badge=\"true\"} 1\n", metrics, StringComparison.Ordinal);
    }

    private static Task<RawAnswer> GetAsync(Surroundings surroundings, string repository) => AskAsync(surroundings, "GET", repository);

    private static async Task<RawAnswer> AskAsync(Surroundings surroundings, string method, string repository) =>
        await surroundings.AskAsync(method, $"/v2/{repository}/manifests/latest", await surroundings.PullTokenAsync("bob", repository));

    private static async Task<JsonElement> ReadyAsync(Surroundings surroundings)
    {
        using var admin = Surroundings.NewClient(surroundings.Admin);
        return JsonSerializer.Deserialize<JsonElement>(await admin.GetStringAsync("/readyz"));
    }
}
