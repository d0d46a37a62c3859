namespace ImageAccess.FakeHubs;

/// <summary><c>registry-1.docker.io</c>: path, token, limit, and then the content.</summary>
internal sealed class RegistryFace(FakeHub hub, IRegistryContent content)
{
    private readonly PullLimit _limit = new(hub);

    public async Task ServeAsync(HttpContext http, string path)
    {
        http.Response.Headers["Docker-Distribution-Api-Version"] = "registry/2.0";
        if (http.Request.IsHttps)
            http.Response.Headers.StrictTransportSecurity = "max-age=31536000";

        var sent = http.Request.Headers.Authorization.ToString();
        var grant = sent.StartsWith("Bearer ", StringComparison.OrdinalIgnoreCase)
            ? TokenGrant.Read(hub.Signer, sent["Bearer ".Length..].Trim(), hub.Time.GetUtcNow())
            : null;
        var problem = sent.Length == 0 ? null : grant is null ? "invalid_token" : "insufficient_scope";

        if (path is "/v2/" or "/v2")
        {
            await (grant is null ? ChallengeAsync(http, scope: null, problem, detail: null) : http.AnswerJsonAsync(200, new { }));
            return;
        }

        if (path == "/v2/_catalog")
        {
            await ChallengeAsync(http, "registry:catalog:*", problem, Wanting("registry", "catalog", "*"));
            return;
        }

        if (RegistryTarget.Parse(path) is not { } target)
        {
            await http.AnswerAsync(404, "404 page not found\n", "text/plain; charset=utf-8");
            return;
        }

        if (!RegistryTarget.IsName(target.Repository))
        {
            await http.RefuseAsync(400, "NAME_INVALID", "invalid repository name", target.Repository);
            return;
        }

        var actions = ActionsFor(http.Request.Method, target.Kind);
        if (grant is null || !actions.All(action => grant.Allows(target.Repository, action)))
        {
            var scope = $"repository:{target.Repository}:{string.Join(',', actions)}";
            await ChallengeAsync(http, scope, problem, Wanting("repository", target.Repository, actions));
            return;
        }

        if (target.Kind is TargetKind.Manifest && actions is ["pull"] && !_limit.Admit(http, grant))
        {
            await http.TooManyRequestsAsync();
            return;
        }

        await content.ServeAsync(http, target, grant);
    }

    private static string[] ActionsFor(string method, TargetKind kind) => method switch
    {
        "GET" or "HEAD" => ["pull"],
        "DELETE" when kind is not TargetKind.Uploads => ["delete"],
        _ => ["pull", "push"],
    };

    private static Wanted[] Wanting(string type, string name, params string[] actions) =>
        [.. actions.Select(action => new Wanted(type, "", name, action))];

    private Task ChallengeAsync(HttpContext http, string? scope, string? problem, Wanted[]? detail)
    {
        var challenge = $"Bearer realm=\"{hub.RealmFor(http)}\",service=\"registry.docker.io\"";
        if (scope is not null)
            challenge += $",scope=\"{scope}\"";
        if (problem is not null)
            challenge += $",error=\"{problem}\"";
        http.Response.Headers.WWWAuthenticate = challenge;
        var error = new { code = "UNAUTHORIZED", message = "authentication required", detail };
        return http.AnswerJsonAsync(401, new { errors = new[] { error } });
    }

    private sealed record Wanted(string Type, string Class, string Name, string Action);
}
