using System.Collections.Concurrent;
using System.Text;
using System.Text.Json.Nodes;

namespace ImageAccess.FakeHubs;

/// <summary><c>auth.docker.io</c>: GET with Basic or anonymous, POST with a form.</summary>
internal sealed class TokenFace(FakeHub hub, Entitlements entitlements)
{
    private const int AnonymousPullLimit = 100;
    private const int SignedInPullLimit = 200;
    private readonly ConcurrentDictionary<string, FakeAccount> _refreshTokens = new(StringComparer.Ordinal);

    public Task ServeAsync(HttpContext http)
    {
        if (http.Request.Path != "/token")
            return http.AnswerAsync(StatusCodes.Status404NotFound, "404 page not found\n", "text/plain; charset=utf-8");
        if (HttpMethods.IsGet(http.Request.Method))
            return GetAsync(http);
        if (HttpMethods.IsPost(http.Request.Method) && http.Request.HasFormContentType)
            return PostAsync(http);
        return http.AnswerEmptyAsync(StatusCodes.Status405MethodNotAllowed);
    }

    public async Task<string> IssueAsync(FakeAccount? account, string? service, IEnumerable<string> scopes, CancellationToken cancel)
    {
        var access = new List<TokenAccess>();
        foreach (var scope in scopes)
        {
            if (await GrantAsync(account, scope, cancel) is { } granted)
                access.Add(granted);
        }

        return hub.Signer.IssueToken(draft =>
        {
            draft.Audience = service ?? "";
            draft.Access = access;
            if (account is not null)
                draft.For(account);
            hub.ShapeToken?.Invoke(draft);
        });
    }

    private async Task GetAsync(HttpContext http)
    {
        FakeAccount? account = null;
        var authorization = http.Request.Headers.Authorization.ToString();
        if (authorization.Length > 0)
        {
            account = SignIn(authorization);
            if (account is null)
            {
                await RefuseAsync(http);
                return;
            }
        }

        var query = http.Request.Query;
        await AnswerAsync(http, account, query["service"], [.. query["scope"]], offline: query["offline_token"] == "true");
    }

    private async Task PostAsync(HttpContext http)
    {
        var form = await http.Request.ReadFormAsync(http.RequestAborted);
        string? grant = form["grant_type"];
        if (grant is not ("password" or "refresh_token"))
        {
            await http.AnswerJsonAsync(StatusCodes.Status400BadRequest, new { details = "unsupported grant type" });
            return;
        }

        var account = grant is "password"
            ? hub.Users.SignIn(form["username"], form["password"])
            : _refreshTokens.GetValueOrDefault(form["refresh_token"].ToString());
        if (account is null)
        {
            await RefuseAsync(http);
            return;
        }

        await AnswerAsync(http, account, form["service"], [.. form["scope"]], offline: form["access_type"] == "offline");
    }

    private async Task AnswerAsync(HttpContext http, FakeAccount? account, string? service, string?[] scopes, bool offline)
    {
        var wanted = scopes.SelectMany(scope => (scope ?? "").Split(' ', StringSplitOptions.RemoveEmptyEntries));
        var token = await IssueAsync(account, service, wanted, http.RequestAborted);
        var answer = new JsonObject
        {
            ["token"] = token,
            ["access_token"] = token,
            ["expires_in"] = (int)hub.Signer.Lifetime.TotalSeconds,
            ["issued_at"] = hub.Time.GetUtcNow().ToString("yyyy-MM-ddTHH:mm:ss.fffffff", null) + "Z",
        };
        if (offline && account is not null)
        {
            var refresh = RandomText.Next(48);
            _refreshTokens[refresh] = account;
            answer["refresh_token"] = refresh;
        }

        await http.AnswerJsonAsync(StatusCodes.Status200OK, answer);
    }

    /// <summary>What of <c>repository:NAME:ACTIONS</c> the account has; fewer actions than asked are no error.</summary>
    private async ValueTask<TokenAccess?> GrantAsync(FakeAccount? account, string scope, CancellationToken cancel)
    {
        if (scope.Split(':') is not ["repository", var name, var actions])
            return null;
        var granted = new List<string>();
        foreach (var action in actions.Split(',', StringSplitOptions.RemoveEmptyEntries))
        {
            if (await entitlements.AllowsAsync(account, name, action, cancel))
                granted.Add(action);
        }

        var limited = granted.Contains("pull", StringComparer.Ordinal) && account is null or { Plan: "free" };
        int? limit = limited ? hub.Options.PullLimit ?? (account is null ? AnonymousPullLimit : SignedInPullLimit) : null;
        return new TokenAccess(name, granted) { PullLimit = limit };
    }

    private FakeAccount? SignIn(string authorization)
    {
        const string Basic = "Basic ";
        if (!authorization.StartsWith(Basic, StringComparison.OrdinalIgnoreCase))
            return null;
        var bytes = new byte[authorization.Length];
        if (!Convert.TryFromBase64String(authorization[Basic.Length..].Trim(), bytes, out var length))
            return null;
        return Encoding.UTF8.GetString(bytes, 0, length).Split(':', 2) is [var name, var secret] ? hub.Users.SignIn(name, secret) : null;
    }

    private static Task RefuseAsync(HttpContext http) =>
        http.AnswerJsonAsync(StatusCodes.Status401Unauthorized, new { details = "incorrect username or password" });
}
