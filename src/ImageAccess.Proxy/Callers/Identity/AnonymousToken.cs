using System.Net;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Text.Json;

namespace ImageAccess.Proxy.Callers.Identity;

/// <summary>A token that the token service gives to anyone, fetched over a connection of our own.</summary>
internal sealed class AnonymousToken(IHttpClientFactory clients, Uri tokenService, TimeProvider time)
{
    public const string ClientName = "identity";
    public const int MaximumResponse = 64 * 1024;
    public static readonly TimeSpan Timeout = TimeSpan.FromSeconds(5);

    private const string Query = "/token?service=registry.docker.io&scope=repository:library/hello-world:pull";

    private readonly Uri _address = new(tokenService.AbsoluteUri.TrimEnd('/') + Query);

    public Uri TokenService => tokenService;

    /// <summary>The token, or in one sentence why there is none. Neither holds what the answer said: it may be a token.</summary>
    public async Task<(string? Token, string Cause)> FetchAsync()
    {
        using var deadline = new CancellationTokenSource(Timeout, time);
        try
        {
            using var client = clients.CreateClient(ClientName);
            using var response = await client.GetAsync(_address, deadline.Token);
            if (response.StatusCode != HttpStatusCode.OK)
                return (null, $"the token service answered {(int)response.StatusCode}");

            var body = await response.Content.ReadAsByteArrayAsync(deadline.Token);
            return ReadToken(body) is { } token ? (token, "") : (null, "the token service's answer is not the JSON of a token");
        }
        catch (OperationCanceledException)
        {
            return (null, $"the token service did not answer within {Timeout.TotalSeconds} s");
        }
        catch (HttpRequestException e)
        {
            return (null, Describe(e));
        }
    }

    private static string? ReadToken(byte[] body)
    {
        try
        {
            using var document = JsonDocument.Parse(body);
            return ReadText(document.RootElement, "token") ?? ReadText(document.RootElement, "access_token");
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            return null;
        }
    }

    private static string? ReadText(JsonElement answer, string name) =>
        answer.ValueKind == JsonValueKind.Object
        && answer.TryGetProperty(name, out var member)
        && member.ValueKind == JsonValueKind.String
        && member.GetString() is { Length: > 0 } text
            ? text
            : null;

    /// <summary>The exception's own text is not passed on where it may quote the answer.</summary>
    private static string Describe(HttpRequestException e) => e switch
    {
        { HttpRequestError: HttpRequestError.ConfigurationLimitExceeded } => $"the token service's answer is larger than {MaximumResponse / 1024} KiB",
        { HttpRequestError: HttpRequestError.NameResolutionError } => "the token service's name cannot be resolved",
        { HttpRequestError: HttpRequestError.ProxyTunnelError } => "the parent proxy does not lead to the token service",
        { InnerException: SocketException socket } => $"the token service cannot be reached ({socket.SocketErrorCode})",
        { InnerException: AuthenticationException tls } => $"the token service's certificate is not trusted ({tls.Message})",
        _ => "the token service's answer cannot be read",
    };
}
