using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using ImageAccess.Proxy.Callers.Members;
using ImageAccess.Proxy.Tests.HouseRules;
using ImageAccess.Proxy.Tests.Walk;
using Microsoft.Extensions.DependencyInjection;

namespace ImageAccess.Proxy.Tests.Callers.Identity;

/// <summary>Runs every row of every file in <c>Cases/</c> against a whole proxy, once for each source of membership.</summary>
public sealed class MembershipCaseTests
{
    private const string Password = "a password";

    private static readonly (string User, string Organization, string Role)[] Roles =
    [
        ("olga", "acme", "Owner"), ("ed", "acme", "Editor"), ("mia", "acme", "Member"), ("ivan", "acme", "Invitee"),
        ("tina", "acme", "Member"), ("tina", "beta", "Member"), ("toni", "acme", "Member"), ("toni", "beta", "Owner"),
    ];

    private static readonly string[] Sources = ["claim", "lists", "directory"];

    public static TheoryData<string, string> FilesAndSources()
    {
        var data = new TheoryData<string, string>();
        foreach (var file in Directory.GetFiles(Folder(), "*.case").Order(StringComparer.Ordinal))
        {
            foreach (var source in Sources)
                data.Add(Path.GetFileName(file), source);
        }

        return data;
    }

    [Theory]
    [MemberData(nameof(FilesAndSources))]
    public async Task The_walk_answers_as_written(string file, string source)
    {
        var lines = await File.ReadAllLinesAsync(Path.Combine(Folder(), file));
        var policy = string.Join('\n', lines.TakeWhile(line => line != "---").Where(line => !line.StartsWith('#')));
        var rows = lines.SkipWhile(line => line != "---").Skip(2).Where(line => line.Length > 0 && !line.StartsWith('#'))
            .Select(line => line.Split('|', StringSplitOptions.TrimEntries))
            .ToList();
        Assert.NotEmpty(rows);
        Assert.All(rows, row => Assert.Equal(5, row.Length));

        await using var here = await StartAsync(policy, source);
        var expected = rows.Select(row => $"{row[0]} | {row[1]} | {Expected(row, source)}");
        var answered = new List<string>();
        foreach (var row in rows)
            answered.Add($"{row[0]} | {row[1]} | {await PullAsync(here, row[0], row[1], answered.Count)}");
        Assert.Equal(expected, answered);
    }

    private static string Folder() => RepositoryRoot.Find("tests/ImageAccess.Proxy.Tests/Callers/Identity/Cases");

    private static string Expected(string[] row, string source)
    {
        var column = 2 + Array.IndexOf(Sources, source);
        while (row[column] == "same")
            column--;
        return row[column];
    }

    private static async Task<Surroundings> StartAsync(string policy, string source)
    {
        (string, string)[] settings = source switch
        {
            "claim" => [("Identity:OrganizationClaim", "/https:~1~1auth.docker.io/organizations")],
            "directory" =>
            [
                ("Identity:Directory:Organization:0", "acme"), ("Identity:Directory:Organization:1", "beta"),
                ("Identity:Directory:Username", "reader"), ("Identity:Directory:Secret", Password),
            ],
            _ => [],
        };
        var here = await Surroundings.StartAsync(source == "lists" ? WithLists(policy) : policy, settings: settings);
        foreach (var name in Roles.Select(role => role.User).Distinct().Append("otto").Append("reader"))
            here.Hub.Users.Add(name, Password);
        here.Hub.Users.AddOrganization("beta");
        here.Hub.Users.AddOrganization("gamma", "", "dckr_oat_gamma");
        foreach (var (user, organization, role) in Roles)
        {
            here.Hub.Namespaces.Find(organization)!.AddMember(user, role);
            if (source == "claim" && role != "Invitee")
            {
                var claims = here.Hub.Users.Find(user)!.HubClaims;
                ((JsonArray)(claims["organizations"] ??= new JsonArray())).Add(organization);
            }
        }

        foreach (var organization in new[] { "acme", "beta" })
            here.Hub.Namespaces.Find(organization)!.AddMember("reader");
        if (source == "directory")
        {
            var directory = here.Proxy.Services.GetRequiredService<MembershipRefresh>();
            await directory.ReadAllAsync(CancellationToken.None);
            Assert.Null(directory.TroubleWith("acme") ?? directory.TroubleWith("beta"));
        }

        return here;
    }

    /// <summary>The policy with the roles in its own lists.</summary>
    private static string WithLists(string policy)
    {
        var document = JsonNode.Parse(policy)!;
        foreach (var organization in document["organizations"]!.AsArray())
        {
            organization!["owners"] = Names("Owner");
            organization["members"] = Names("Editor", "Member");

            JsonArray Names(params string[] roles) =>
                [.. Roles.Where(r => r.Organization == (string?)organization["name"] && roles.Contains(r.Role)).Select(r => JsonValue.Create(r.User))];
        }

        return document.ToJsonString();
    }

    /// <summary>A token from the proxy's token endpoint, a pull with it, and what the audit says of it.</summary>
    private static async Task<string> PullAsync(Surroundings here, string caller, string repository, int before)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, $"/token?service=registry.docker.io&scope=repository:{repository}:pull");
        if (caller != "anonymous")
        {
            var secret = caller.EndsWith(" token", StringComparison.Ordinal) ? $"dckr_oat_{caller.Split(' ')[0]}" : Password;
            request.Headers.Authorization = new AuthenticationHeaderValue(
                "Basic", Convert.ToBase64String(Encoding.UTF8.GetBytes($"{caller.Split(' ')[0]}:{secret}")));
        }

        using var answer = await here.Client.SendAsync(request);
        Assert.True(answer.IsSuccessStatusCode, $"{caller} is given no token");
        var token = JsonSerializer.Deserialize<JsonElement>(await answer.Content.ReadAsStringAsync()).GetProperty("token").GetString();

        var pulled = await here.AskAsync("GET", $"/v2/{repository}/manifests/latest", token);
        var recorded = (await here.AuditAsync(before + 1))[before];
        var verdict = $"{recorded.GetProperty("outcome").GetString()} {recorded.GetProperty("rule").GetString()}";
        Assert.Equal((verdict, verdict.StartsWith("deny", StringComparison.Ordinal) ? 403 : 200), (verdict, pulled.Status));
        Assert.Equal(caller.Split(' ')[0], recorded.GetProperty("caller").GetString());
        return verdict;
    }
}
