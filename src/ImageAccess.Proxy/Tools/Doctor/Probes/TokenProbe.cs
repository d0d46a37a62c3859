using System.Diagnostics.CodeAnalysis;
using System.Text;
using ImageAccess.Core.Hosts;
using ImageAccess.Core.Oci;
using ImageAccess.Proxy.Foundation.DockerHub;

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
        token = answer.Status == 200 ? TokenAnswer.Read(Encoding.UTF8.GetBytes(answer.Body)).Either : null;
        if (token?.All(c => c is > ' ' and < '\x7f') != true)
            token = null;
        return token is not null;
    }
}
