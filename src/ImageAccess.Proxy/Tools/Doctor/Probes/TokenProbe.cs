using System.Diagnostics.CodeAnalysis;
using System.Text.Json;
using ImageAccess.Core.Hosts;
using ImageAccess.Core.Oci;

namespace ImageAccess.Proxy.Tools.Doctor.Probes;

/// <summary>Asks the token service, as containerd asks it, for a token for a repository that the policy denies.</summary>
internal sealed class TokenProbe(RepositoryName denied, Timeouts timeouts)
{
    /// <summary>The proxy refuses the token of a denied repository to clients of this family.</summary>
    private const string UserAgent = "containerd/imageaccess-doctor";

    public const string RegistryAtTokenService = "registry.docker.io";

    private static readonly Uri Endpoint = new($"https://{DockerHubHosts.TokenService}/token");

    /// <exception cref="RouteClosedException">Nobody answers.</exception>
    public async Task<Outcome> AskAsync(Dialer dialer, CancellationToken cancellationToken)
    {
        using var exchange = new Exchange(dialer, timeouts);
        var address = AddressAt(Endpoint, RegistryAtTokenService, denied.Value);
        var answer = await exchange.GetAsync(address, cancellationToken, ("User-Agent", UserAgent));
        if (answer.IsDenial)
            return Outcome.Enforced($"denied: {answer.Phrase} ({answer.Status})");

        var certificate = exchange.CertificateOf(Endpoint.IdnHost);
        var isTrusted = certificate?.IsTrusted ?? true;
        if (TryRead(answer, out _))
            return Outcome.Open($"it gives a token for {denied.Value}; {certificate}", Curl.Token(dialer, address, isTrusted, UserAgent));
        return answer.Status == 429
            ? Outcome.Open($"it answers that too much was asked ({answer}); {certificate}", Curl.Status(dialer, address, isTrusted))
            : Outcome.NotReachable($"it answers without a token ({answer})");
    }

    public static Uri AddressAt(Uri realm, string service, string repository) => new UriBuilder(realm)
    {
        Query = $"service={Uri.EscapeDataString(service)}&scope=repository:{repository}:pull",
    }.Uri;

    /// <summary>A token that can stand in a header.</summary>
    public static bool TryRead(Answer answer, [NotNullWhen(true)] out string? token)
    {
        token = null;
        if (answer.Status != 200)
            return false;
        try
        {
            using var json = JsonDocument.Parse(answer.Body);
            token = Text("token") ?? Text("access_token");
            return token is not null;

            string? Text(string name) =>
                json.RootElement.ValueKind == JsonValueKind.Object && json.RootElement.TryGetProperty(name, out var member)
                && member.ValueKind == JsonValueKind.String && member.GetString() is { Length: > 0 } text && text.All(c => c is > ' ' and < '\x7f')
                    ? text
                    : null;
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            return false;
        }
    }
}
