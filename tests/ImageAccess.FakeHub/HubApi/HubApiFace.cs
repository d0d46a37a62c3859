using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace ImageAccess.FakeHubs;

/// <summary><c>hub.docker.com</c>: the calls that tell about namespaces, members and repositories.</summary>
internal sealed class HubApiFace(FakeHub hub, Entitlements entitlements, IRegistryContent content)
{
    private const string Issuer = "https://api.docker.com/";
    private const int RequestsPerMinute = 180;

    public Task ServeAsync(HttpContext http)
    {
        var headers = http.Response.Headers;
        headers["X-RateLimit-Limit"] = $"{RequestsPerMinute}";
        headers["X-RateLimit-Remaining"] = $"{RequestsPerMinute - 1}";
        headers["X-RateLimit-Reset"] = hub.Time.GetUtcNow().AddMinutes(1).ToUnixTimeSeconds().ToString(CultureInfo.InvariantCulture);

        var parts = (http.Request.Path.Value ?? "").Split('/', StringSplitOptions.RemoveEmptyEntries);
        return (http.Request.Method, parts) switch
        {
            ("POST", ["v2", "auth", "token"]) => SignInAsync(http),
            ("GET", ["v2", "orgs", var name]) => NamespaceAsync(http, name, NamespaceKind.Organization),
            ("GET", ["v2", "users", var name]) => NamespaceAsync(http, name, NamespaceKind.User),
            ("GET", ["v2", "orgs", var name, "members"]) => MembersAsync(http, name),
            ("GET" or "PUT", ["v2", "orgs", var name, "settings"]) => SettingsAsync(http, name, AnswerSettingsAsync),
            ("GET" or "PUT", ["v2", "orgs", var name, "settings", "registry-access-management"]) => SettingsAsync(http, name, AnswerRegistriesAsync),
            ("GET", ["v2", "namespaces", var name, "repositories", var repository]) => RepositoryAsync(http, name + "/" + repository),
            ("GET", ["v2", "repositories", var name, var repository]) => RepositoryAsync(http, name + "/" + repository),
            _ => NotFoundAsync(http),
        };
    }

    private async Task SignInAsync(HttpContext http)
    {
        var sent = await ReadAsync(http);
        var secret = Text(sent?["secret"]);
        if (hub.Users.SignIn(Text(sent?["identifier"]), secret) is not { } account)
        {
            await http.AnswerJsonAsync(401, new { detail = "Incorrect authentication credentials" });
            return;
        }

        var token = hub.Signer.IssueToken(draft =>
        {
            draft.For(account);
            draft.Issuer = Issuer;
            draft.Audience = "https://hub.docker.com";
            draft.Expires = draft.IssuedAt.AddMinutes(10);
            draft.Claims["source"] = secret == account.Password ? "password" : "access_token";
        });
        await http.AnswerJsonAsync(200, new { access_token = token });
    }

    private Task NamespaceAsync(HttpContext http, string name, NamespaceKind asked)
    {
        if (hub.Namespaces.Find(name) is not { } found)
            return NotFoundAsync(http);
        if (found.Kind != asked)
        {
            http.Response.Headers.Location = found.Kind is NamespaceKind.User ? $"/v2/users/{name}/" : $"/v2/orgs/{name}/";
            return http.AnswerEmptyAsync(308);
        }

        var id = FakeAccount.IdOf(name);
        var answer = new JsonObject
        {
            ["id"] = id.ToString("N"),
            ["uuid"] = id.ToString("D"),
            [asked is NamespaceKind.User ? "username" : "orgname"] = name,
            ["full_name"] = name,
            ["location"] = "",
            ["company"] = "",
            ["profile_url"] = "",
            ["date_joined"] = "2019-04-25T12:00:00Z",
            ["gravatar_url"] = "",
            ["gravatar_email"] = "",
            ["type"] = asked is NamespaceKind.User ? "User" : "Organization",
            ["is_active"] = true,
        };
        if (found.Badge is { } badge)
            answer["badge"] = badge;
        return http.AnswerJsonAsync(200, answer);
    }

    private Task MembersAsync(HttpContext http, string name)
    {
        if (Caller(http) is not { } caller)
            return UnauthorizedAsync(http);
        if (hub.Namespaces.Find(name) is not { Kind: NamespaceKind.Organization } organization)
            return NotFoundAsync(http);
        if (caller.Name != name && organization.Member(caller.Name) is null)
            return http.AnswerJsonAsync(403, new { message = "access denied", errinfo = new { } });

        var page = Number(http.Request.Query["page"], 1);
        var size = Math.Min(100, Number(http.Request.Query["page_size"], 10));
        var members = organization.Members;
        return http.AnswerJsonAsync(200, new
        {
            count = members.Count,
            next = page * size < members.Count ? PageUri(http, name, page + 1, size) : null,
            previous = page > 1 ? PageUri(http, name, page - 1, size) : null,
            results = members.Skip((page - 1) * size).Take(size).Select(member => new
            {
                id = member.Id,
                username = member.Username,
                full_name = member.Username,
                email = $"{member.Username}@example.com",
                type = "User",
                role = member.Role,
                groups = member.Groups,
                is_guest = member.IsGuest,
                primary_email = $"{member.Username}@example.com",
                date_joined = "2021-01-05T21:06:53.506400Z",
            }),
        });
    }

    private async Task SettingsAsync(HttpContext http, string name, Func<HttpContext, FakeNamespace, Task> answer)
    {
        var caller = Caller(http);
        var organization = hub.Namespaces.Find(name);
        if (caller is null)
            await UnauthorizedAsync(http);
        else if (caller.ByAccessToken)
            await http.AnswerJsonAsync(403, new { message = "token issued from personal access token" });
        else if (organization is null)
            await NotFoundAsync(http);
        else if (organization.Member(caller.Name)?.Role.Equals("owner", StringComparison.OrdinalIgnoreCase) is not true)
            await http.AnswerJsonAsync(403, new { message = "access denied", errinfo = new { } });
        else
            await answer(http, organization);
    }

    /// <summary>What was put is given back as it is: Docker Hub's own checks of it are not known.</summary>
    private static async Task AnswerRegistriesAsync(HttpContext http, FakeNamespace organization)
    {
        if (HttpMethods.IsPut(http.Request.Method))
            organization.RegistryAccess = (await ReadAsync(http))?.ToJsonString() ?? organization.RegistryAccess;
        await http.AnswerJsonAsync(200, JsonNode.Parse(organization.RegistryAccess)!);
    }

    private static async Task AnswerSettingsAsync(HttpContext http, FakeNamespace organization)
    {
        if (HttpMethods.IsPut(http.Request.Method))
        {
            var sent = (await ReadAsync(http))?["restricted_images"];
            organization.RestrictedImages = new FakeRestrictedImages(
                Flag(sent, "enabled"),
                Flag(sent, "allow_official_images"),
                Flag(sent, "allow_verified_publishers"));
        }

        var settings = organization.RestrictedImages;
        await http.AnswerJsonAsync(200, new
        {
            restricted_images = new
            {
                enabled = settings.Enabled,
                allow_official_images = settings.AllowOfficialImages,
                allow_verified_publishers = settings.AllowVerifiedPublishers,
            },
        });
    }

    private async Task RepositoryAsync(HttpContext http, string repository)
    {
        var account = Caller(http) is { } caller ? hub.Users.Find(caller.Name) : null;
        if (!await content.HasRepositoryAsync(repository, http.RequestAborted) || !entitlements.MayRead(account, repository))
        {
            await NotFoundAsync(http);
            return;
        }

        await http.AnswerJsonAsync(200, new
        {
            user = repository.Split('/')[0],
            name = repository.Split('/')[1],
            @namespace = repository.Split('/')[0],
            repository_type = "image",
            status = 1,
            status_description = "active",
            description = "",
            is_private = hub.Images.ReadersOf(repository) is not null,
            is_automated = false,
            star_count = 0,
            pull_count = 0,
            last_updated = "2026-01-05T10:00:00.000000Z",
            date_registered = "2019-04-25T12:00:00.000000Z",
        });
    }

    private HubCaller? Caller(HttpContext http)
    {
        var sent = http.Request.Headers.Authorization.ToString();
        if (!sent.StartsWith("Bearer ", StringComparison.OrdinalIgnoreCase)
            || hub.Signer.Open(sent["Bearer ".Length..].Trim()) is not { } payload
            || Text(payload["iss"]) != Issuer
            || payload["exp"]!.GetValue<long>() <= hub.Time.GetUtcNow().ToUnixTimeSeconds())
            return null;
        return new HubCaller(Text(payload["https://auth.docker.io"]?["username"]), Text(payload["source"]) == "access_token");
    }

    private string PageUri(HttpContext http, string name, int page, int size) =>
        new Uri(hub.HubFor(http), $"/v2/orgs/{name}/members?page={page}&page_size={size}").AbsoluteUri;

    private static async Task<JsonNode?> ReadAsync(HttpContext http)
    {
        try
        {
            return await JsonNode.ParseAsync(http.Request.Body, cancellationToken: http.RequestAborted);
        }
        catch (JsonException)
        {
            return null;
        }
    }

    private static int Number(string? text, int otherwise) =>
        int.TryParse(text, CultureInfo.InvariantCulture, out var number) && number > 0 ? number : otherwise;

    private static string Text(JsonNode? node) => node is JsonValue value && value.TryGetValue<string>(out var text) ? text : "";

    private static bool Flag(JsonNode? node, string name) =>
        node?[name] is JsonValue value && value.TryGetValue<bool>(out var flag) && flag;

    private static Task UnauthorizedAsync(HttpContext http) =>
        http.AnswerJsonAsync(401, new { detail = "Authentication credentials were not provided." });

    private static Task NotFoundAsync(HttpContext http) =>
        http.AnswerJsonAsync(404, new { message = "object not found", errinfo = new { } });

    private sealed record HubCaller(string Name, bool ByAccessToken);
}
