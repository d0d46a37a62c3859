using System.Buffers.Text;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using ImageAccess.FakeHubs;

namespace ImageAccess.Proxy.Tests.FakeHubs;

/// <summary>A plain client of a fake hub: follows no redirect, uses no proxy.</summary>
internal sealed class HubClient : IDisposable
{
    private readonly HttpClient _http = new(new SocketsHttpHandler { AllowAutoRedirect = false, UseProxy = false, UseCookies = false });
    private readonly FakeHub _hub;

    private HubClient(FakeHub hub) => _hub = hub;

    public string? Token { get; set; }

    public static HubClient Of(FakeHub _hub) => new(_hub);

    public static Task<JsonNode> JsonOf(HttpResponseMessage response) => JsonOf(response.Content);

    public static JsonNode PayloadOf(string token) => JsonNode.Parse(Base64Url.DecodeFromChars(token.Split('.')[1]))!;

    public static JsonNode HeaderOf(string token) => JsonNode.Parse(Base64Url.DecodeFromChars(token.Split('.')[0]))!;

    public Task<HttpResponseMessage> GetAsync(string target) => SendAsync(HttpMethod.Get, target);

    public Task<HttpResponseMessage> HeadAsync(string target) => SendAsync(HttpMethod.Head, target);

    /// <summary>The target is a path of the registry, or a whole address of any face.</summary>
    public Task<HttpResponseMessage> SendAsync(HttpMethod method, string target, HttpContent? content = null)
    {
        var address = target.StartsWith('/') ? new Uri(_hub.Registry, target) : new Uri(target);
        var request = new HttpRequestMessage(method, address) { Content = content };
        if (Token is not null)
            request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", Token);
        return _http.SendAsync(request);
    }

    /// <summary>GET at the token service, anonymous or with Basic.</summary>
    public Task<HttpResponseMessage> TokenAsync(string query, string? credentials = null)
    {
        var request = new HttpRequestMessage(HttpMethod.Get, new Uri(_hub.Auth, "/token?" + query));
        if (credentials is not null)
            request.Headers.Authorization = new("Basic", Convert.ToBase64String(Encoding.UTF8.GetBytes(credentials)));
        return _http.SendAsync(request);
    }

    public Task<HttpResponseMessage> TokenFormAsync(params (string Name, string Value)[] fields) =>
        _http.PostAsync(
            new Uri(_hub.Auth, "/token"),
            new FormUrlEncodedContent(fields.Select(field => KeyValuePair.Create(field.Name, field.Value))));

    public void Dispose() => _http.Dispose();

    private static async Task<JsonNode> JsonOf(HttpContent content) =>
        JsonNode.Parse(await content.ReadAsByteArrayAsync()) ?? throw new JsonException("null");
}
