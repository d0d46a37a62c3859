using ImageAccess.FakeHubs;

namespace ImageAccess.Proxy.Tests.Walk;

/// <summary>Two organizations in one policy: apart, and as one company.</summary>
public abstract class CompanyTests(string transport) : WalkTests(transport), IAsyncLifetime
{
    private const string Apart = """
        { "organizations": [
            { "name": "acme", "owners": [ "alice" ], "members": [ "bob" ], "enabled": true, "allow": { "official": true } },
            { "name": "beta", "members": [ "carol" ], "enabled": true, "allow": { "official": true } } ] }
        """;

    private static readonly string Company = Apart.Replace("{ \"organizations\"", "{ \"company\": true, \"organizations\"", StringComparison.Ordinal);

    private Surroundings _here = null!;

    public async Task InitializeAsync()
    {
        _here = await StartAsync(Apart);
        _here.Hub.Users.AddOrganization("beta");
        _here.Hub.Images.PushImage("beta/app", "latest", ["a layer of beta/app"u8.ToArray()]);
    }

    public async Task DisposeAsync() => await _here.DisposeAsync();

    [Theory]
    [InlineData(null, "acme/app")]
    [InlineData(null, "beta/app")]
    [InlineData("bob", "beta/app")]
    [InlineData("carol", "acme/app")]
    public async Task The_public_images_of_each_are_everybodys_once_they_are_one_company(string? caller, string repository)
    {
        var apart = await PullAsync(caller, repository);
        Assert.Equal((403, "image access denied: community images not allowed"), (apart.Status, apart.Message));
        Assert.Empty(_here.Hub.Requests.Of(Face.Registry));
        _here.Hub.Requests.Clear();

        await _here.WritePolicyAsync(Company);

        var pulled = await PullAsync(caller, repository);
        Assert.Equal((200, _here.Hub.Images.FindManifest(repository, "latest")!.Digest), (pulled.Status, pulled.Header("Docker-Content-Digest")));
        Assert.Equal(200, Assert.Single(_here.Hub.Requests.Of(Face.Registry)).Status);
        Assert.Empty(_here.Hub.Requests.Of(Face.Hub)); // nobody needs to know who publishes it
        var recorded = Assert.Single(
            await _here.AuditAsync(3), line => line.TryGetProperty("outcome", out var outcome) && outcome.GetString() == "allow");
        Assert.Equal(("organization", "organization"), (recorded.GetProperty("rule").GetString(), recorded.GetProperty("category").GetString()));
    }

    [Theory]
    [InlineData(null, "someuser/custom-image", 403)]
    [InlineData("bob", "someuser/custom-image", 403)]
    [InlineData("alice", "someuser/custom-image", 200)]
    [InlineData(null, "library/nginx", 200)]
    public async Task Other_images_are_judged_as_before(string? caller, string repository, int status)
    {
        Assert.Equal(status, (await PullAsync(caller, repository)).Status);
        await _here.WritePolicyAsync(Company);
        Assert.Equal(status, (await PullAsync(caller, repository)).Status);
    }

    [Theory]
    [InlineData(null)]
    [InlineData("carol")]
    public async Task A_private_image_stays_its_readers(string? caller)
    {
        await _here.WritePolicyAsync(Company);
        Assert.Equal(200, (await PullAsync("bob", "acme/secret")).Status);
        _here.Hub.Requests.Clear();

        Assert.Equal(401, (await PullAsync(caller, "acme/secret")).Status);
        Assert.DoesNotContain(_here.Hub.Requests.Of(Face.Registry), request => request.Status == 200);
    }

    private async Task<RawAnswer> PullAsync(string? caller, string repository) =>
        await _here.AskAsync("GET", $"/v2/{repository}/manifests/latest", await _here.PullTokenAsync(caller, repository));
}

public sealed class CompanyTests_direct() : CompanyTests(Direct);

public sealed class CompanyTests_kestrel() : CompanyTests(Kestrel);
