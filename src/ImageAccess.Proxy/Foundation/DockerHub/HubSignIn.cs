using System.Net.Http.Headers;
using System.Text.Json;

namespace ImageAccess.Proxy.Foundation.DockerHub;

/// <summary>The Hub API's sign-in: <c>POST /v2/auth/token</c> with a user name and a secret, and the requests that carry its token.</summary>
internal static class HubSignIn
{
    /// <summary>How long a token is used; it is good for ten minutes.</summary>
    public static readonly TimeSpan TokenUse = TimeSpan.FromMinutes(8);

    /// <param name="hub">The Hub API.</param>
    public static HttpRequestMessage Request(Uri hub, string username, string secret)
    {
        var body = new ByteArrayContent(JsonSerializer.SerializeToUtf8Bytes(new Dictionary<string, string> { ["identifier"] = username, ["secret"] = secret }));
        body.Headers.ContentType = new MediaTypeHeaderValue("application/json");
        return new HttpRequestMessage(HttpMethod.Post, new Uri(hub, "/v2/auth/token")) { Content = body };
    }

    /// <summary>The token of its answer; null where there is none that a header can hold.</summary>
    /// <exception cref="InvalidOperationException">A text holds half of a surrogate pair.</exception>
    public static string? TokenOf(JsonElement answer) =>
        TokenAnswer.Read(answer).AccessToken is { } token && token.All(c => c is > ' ' and < '\x7f') ? token : null;

    public static HttpRequestMessage Get(Uri address, string token)
    {
        var request = new HttpRequestMessage(HttpMethod.Get, address);
        request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", token);
        return request;
    }
}
