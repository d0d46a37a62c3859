using System.Text.Json.Serialization;
using ImageAccess.Proxy.Administration.Api;
using ImageAccess.Proxy.Administration.Roles;

namespace ImageAccess.Proxy.Administration.DockerApi;

/// <summary><c>users/login</c> and <c>auth/token</c>: credentials for a short-lived token, by both of Docker's ways.</summary>
internal sealed class LoginOperations(DockerHubLogin login) : IOperations
{
    public string Root => ApiRoutes.DockersRoot;

    public void Map(IEndpointRouteBuilder api)
    {
        api.Post("/users/login", Operation.None, LoginAsync).ExcludeFromDescription();
        api.Post("/auth/token", Operation.None, TokenAsync).ExcludeFromDescription();
    }

    private async Task<Answer<LoginAnswer>> LoginAsync(HttpContext http)
    {
        var wanted = await JsonBody.ReadAsync<Login>(http);
        return Answer.Of(new LoginAnswer(await login.SignInAsync(http, wanted.Username, wanted.Password)));
    }

    private async Task<Answer<TokenAnswer>> TokenAsync(HttpContext http)
    {
        var wanted = await JsonBody.ReadAsync<TokenRequest>(http);
        return Answer.Of(new TokenAnswer(await login.SignInAsync(http, wanted.Identifier, wanted.Secret)));
    }

    private sealed record Login(string Username, string Password);

    private sealed record LoginAnswer(string Token);

    private sealed record TokenRequest(string Identifier, string Secret);

    private sealed record TokenAnswer([property: JsonPropertyName("access_token")] string AccessToken);
}
