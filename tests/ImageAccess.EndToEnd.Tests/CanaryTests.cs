using System.Text;
using System.Text.RegularExpressions;

namespace ImageAccess.EndToEnd.Tests;

/// <summary>After passwords, access tokens and bearer tokens were used, they are found nowhere.</summary>
[Collection(nameof(Surroundings))]
public sealed partial class CanaryTests(Surroundings world)
{
    [Fact]
    public async Task Credentials_of_pulls_and_pushes_occur_in_no_log_audit_metric_or_error_text()
    {
        var proxy = await world.ProxyAsync("canaries", Surroundings.Policy);
        var host = proxy.Mirror.Authority;
        var docker = await world.DockerAsync("dockerd 20.10", proxy);
        var podman = await world.PodmanAsync("podman 4", proxy);
        var said = new StringBuilder();
        world.Hub.Requests.Clear();

        foreach (var (user, secret) in Secrets())
        {
            said.Append((await docker.LoginAsync(user, secret, host)).Succeeded());
            said.Append(await docker.PullAsync($"{host}/library/hello"));
            said.Append(await docker.PullAsync($"{host}/someuser/custom-image"));
            said.Append(await docker.PullAsync($"{host}/library/missing"));
            said.Append(await docker.RunAsync("tag", $"{host}/library/hello", $"{host}/{user}/pushed"));
            said.Append(await docker.RunAsync("push", $"{host}/{user}/pushed"));
            said.Append(await docker.LogoutAsync(host));
            said.Append((await podman.LoginAsync(user, secret, host)).Succeeded());
            said.Append(await podman.PullAsync($"{host}/library/hello"));
            said.Append(await podman.PullAsync($"{host}/someuser/custom-image"));
            said.Append(await docker.LoginAsync(user, secret + "-wrong", host));
        }

        said.Append(await proxy.MetricsAsync());
        await proxy.TerminateAsync();
        said.Append(proxy.Log);
        foreach (var file in proxy.KeptFiles()) said.Append(await File.ReadAllTextAsync(file));
        var text = said.ToString();

        // What is looked through is the run itself, and not an empty file.
        Assert.Contains("someuser/custom-image", proxy.AuditText(), StringComparison.Ordinal);
        Assert.Contains(Surroundings.Denied, text, StringComparison.Ordinal);
        var tokens = BearerTokens();
        Assert.NotEmpty(tokens);
        foreach (var (user, secret) in Secrets())
        {
            Assert.DoesNotContain(secret, text, StringComparison.Ordinal);
            Assert.DoesNotContain(Convert.ToBase64String(Encoding.UTF8.GetBytes($"{user}:{secret}")), text, StringComparison.Ordinal);
        }

        Assert.All(tokens, token => Assert.DoesNotContain(token, text, StringComparison.Ordinal));
        Assert.DoesNotMatch(AnyToken(), text);
    }

    private static (string User, string Secret)[] Secrets() =>
    [
        ("alice", Canaries.PasswordOf("alice")),
        ("alice", Canaries.TokenOf("alice")),
        ("bob", Canaries.TokenOf("bob")),
        ("carol", Canaries.PasswordOf("carol")),
        ("acme", Canaries.OrganizationToken),
    ];

    /// <summary>The start of every JSON Web Token, and of what Docker Hub's access tokens begin with.</summary>
    [GeneratedRegex(@"eyJ[A-Za-z0-9_-]{8,}\.|dckr_[po]at_|canary", RegexOptions.None, matchTimeoutMilliseconds: 10_000)]
    private static partial Regex AnyToken();

    /// <summary>Their signatures, which no other text contains.</summary>
    private string[] BearerTokens() =>
        [.. world.Hub.Requests.All.Select(request => request.Authorization ?? "")
            .Where(header => header.StartsWith("Bearer ", StringComparison.Ordinal))
            .Select(header => header.Split('.')[^1]).Distinct(StringComparer.Ordinal)];
}
