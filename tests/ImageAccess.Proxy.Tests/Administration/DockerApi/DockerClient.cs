using System.Text;
using System.Text.Json;
using ImageAccess.Proxy.Tests.Administration.Api;
using Microsoft.IdentityModel.JsonWebTokens;

namespace ImageAccess.Proxy.Tests.Administration.DockerApi;

/// <summary>
/// What Docker's Terraform provider sends: it signs in before its first request, reads from the token when it expires, writes to addresses without
/// a slash at the end, and reads from those with one what it has written.
/// </summary>
internal sealed class DockerClient(ApiRoom room, string username, string password)
{
    private const string RegistriesPath = "/v2/orgs/acme/settings/registry-access-management";

    private string? _token;
    private DateTime _expires;

    /// <summary>Where it comes from.</summary>
    public string Address { get; init; } = "192.0.2.20";

    public async Task<ApiAnswer> SendAsync(HttpMethod method, string path, string body = "")
    {
        if (_token is null || DateTime.UtcNow >= _expires)
        {
            var answer = await LoginAsync();
            if (answer.Status != 200)
                return answer;
            _token = answer.Json.GetProperty("token").GetString()!;
            _expires = new JsonWebToken(_token).ValidTo;
            Assert.InRange(_expires, DateTime.UtcNow.AddMinutes(8), DateTime.UtcNow.AddMinutes(11));
        }

        return await SendAsync(method, path, body, _token);
    }

    public Task<ApiAnswer> LoginAsync() =>
        SendAsync(HttpMethod.Post, "/v2/users/login", JsonSerializer.Serialize(new { username, password }), token: null);

    public Task<ApiAnswer> SendAsync(HttpMethod method, string path, string body, string? token) =>
        SendAsync(method, path, new StringContent(body, Encoding.UTF8, "application/json"), token);

    public async Task<ApiAnswer> SendAsync(HttpMethod method, string path, HttpContent content, string? token)
    {
        using var request = new HttpRequestMessage(method, path) { Content = content };
        content.Headers.ContentType = new("application/json");
        request.Headers.Add("Accept", "application/json");
        request.Headers.Add("User-Agent", "terraform-provider-docker/0.5.0");
        request.Headers.Add("X-Forwarded-For", Address);
        request.Headers.Add("X-Forwarded-Proto", "https");
        if (token is not null)
            request.Headers.Add("Authorization", $"Bearer {token}");
        using var response = await room.Client.SendAsync(request);
        return new ApiAnswer((int)response.StatusCode, response.Content.Headers.ContentType?.MediaType, null, await response.Content.ReadAsStringAsync())
        {
            RetryAfter = response.Headers.RetryAfter?.ToString(),
        };
    }

    /// <summary>Creates or updates image access management, and reads it again.</summary>
    public async Task<ApiAnswer> SetImagesAsync(bool enabled, bool official, bool verifiedPublishers, string organization = "acme")
    {
        var written = await SendAsync(HttpMethod.Put, $"/v2/orgs/{organization}/settings", Images(enabled, official, verifiedPublishers));
        return written.Status < 400 ? await GetImagesAsync(organization) : written;
    }

    public Task<ApiAnswer> GetImagesAsync(string organization = "acme") => SendAsync(HttpMethod.Get, $"/v2/orgs/{organization}/settings/");

    /// <summary>What the provider does when the resource is deleted.</summary>
    public Task<ApiAnswer> DeleteImagesAsync() => SetImagesAsync(enabled: false, official: true, verifiedPublishers: true);

    /// <summary>Creates or updates registry access management, and reads it again.</summary>
    public async Task<ApiAnswer> SetRegistriesAsync(bool enabled, params (string Address, string Name, bool Allowed)[] custom)
    {
        var written = await SendAsync(HttpMethod.Put, RegistriesPath, Registries(enabled, custom));
        return written.Status < 400 ? await SendAsync(HttpMethod.Get, RegistriesPath) : written;
    }

    public static string Registries(bool enabled, params (string Address, string Name, bool Allowed)[] custom) => JsonSerializer.Serialize(new
    {
        enabled,
        standard_registries = new[] { new { id = "DockerHub", allowed = true } },
        custom_registries = custom.Select(one => new { address = one.Address, friendly_name = one.Name, allowed = one.Allowed }),
    });

    public static string Images(bool enabled, bool official, bool verifiedPublishers) =>
        $$$"""{"restricted_images":{"enabled":{{{Text(enabled)}}},"allow_official_images":{{{Text(official)}}},"allow_verified_publishers":{{{Text(verifiedPublishers)}}}}}""";

    private static string Text(bool value) => value ? "true" : "false";
}
