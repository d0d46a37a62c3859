using ImageAccess.Proxy.Administration.Tokens;
using ImageAccess.Proxy.Callers.Members;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Tests.Walk;
using Microsoft.Extensions.DependencyInjection;

namespace ImageAccess.Proxy.Tests.Administration.Api;

/// <summary>A role that nobody has because no member list names the account is told to whoever reads the status of that organization.</summary>
public sealed class LostRolesTests
{
    private const string Policy = """
        {
          "companyOwners": [ "zoe" ],
          "organizations": [
            { "name": "acme", "owners": [ "alice" ], "roles": { "auditors": [ "a1", "a2", "a3", "a4", "a5", "a6", "a7" ], "approvers": [ "bob" ] } },
            { "name": "globex", "owners": [ "gail" ] }
          ]
        }
        """;

    [Fact]
    public async Task They_are_told_of_the_organization_that_the_token_is_for()
    {
        await using var here = await Surroundings.StartWithDatabaseAsync(
            ("Listen:Console", "http://127.0.0.1:0"), ("Identity:Directory:Organization", "acme"), ("Identity:Directory:Username", "acme"), ("Identity:Directory:Secret", "dckr_oat_acme"));
        await here.WritePolicyAsync(Policy);
        await here.Proxy.Services.GetRequiredService<DatabaseState>().Ready;
        await Eventually.TrueAsync(() => here.Proxy.Services.GetRequiredService<MembershipDirectory>().Book.Lists.Count == 1);

        Assert.Equal("acme auditor a1 a2 a3 a4 a5 +2|- company-owner zoe +0", await LostAsync(here, null));
        Assert.Equal("acme auditor a1 a2 a3 a4 a5 +2", await LostAsync(here, "acme"));
        Assert.Equal("", await LostAsync(here, "globex"));
    }

    private static async Task<string> LostAsync(Surroundings here, string? organization)
    {
        var grant = new TokenGrant { Role = "auditor", Organization = organization, Label = "a test", Lifetime = TimeSpan.FromDays(1) };
        var (_, secret) = await new TokenChanges(here.Proxy.Services.GetRequiredService<SqlDatabase>(), TimeProvider.System).CreateAsync(grant, "root", default);
        using var client = Surroundings.NewClient(here.Further[^1]);
        client.DefaultRequestHeaders.Add("Authorization", $"Bearer {secret}");
        var status = System.Text.Json.JsonSerializer.Deserialize<System.Text.Json.JsonElement>(await client.GetStringAsync(new Uri("/api/v1/status", UriKind.Relative)));
        return string.Join('|', status.GetProperty("lostRoles").EnumerateArray().Select(role =>
            $"{(role.TryGetProperty("organization", out var one) ? one.GetString() : "-")} {role.GetProperty("role").GetString()} {string.Join(' ', role.GetProperty("names").EnumerateArray())} +{role.GetProperty("more").GetInt32()}"));
    }
}
