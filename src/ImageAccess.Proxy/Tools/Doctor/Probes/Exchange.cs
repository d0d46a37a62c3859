using System.Globalization;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using ImageAccess.Proxy.Registry;

namespace ImageAccess.Proxy.Tools.Doctor.Probes;

/// <summary>The certificate that a host has shown.</summary>
/// <param name="Issuer">Who signed it.</param>
/// <param name="IsTrusted">Whether this system trusts it, for this name.</param>
/// <param name="IsLogged">Whether it comes from a public authority: those put proofs of publication into it (RFC 6962).</param>
internal sealed record CertificateSeen(string Issuer, bool IsTrusted, bool IsLogged)
{
    private const string ProofsOfPublication = "1.3.6.1.4.1.11129.2.4.2";

    public static CertificateSeen Of(X509Certificate2 certificate, SslPolicyErrors errors)
    {
        var issuer = certificate.GetNameInfo(X509NameType.SimpleName, forIssuer: true);
        return new CertificateSeen(
            Answer.Shorten(issuer.Length > 0 ? issuer : certificate.Issuer),
            errors == SslPolicyErrors.None,
            certificate.Extensions.Any(extension => extension.Oid?.Value == ProofsOfPublication));
    }

    public override string ToString() => $"certificate of {Issuer}, {(IsTrusted ? "trusted" : "not trusted")} by this system";
}

/// <summary>An answer over HTTP.</summary>
internal sealed record Answer(int Status, string Phrase, IReadOnlyDictionary<string, string> Headers, string Body)
{
    private const int MaximumText = 200;

    /// <summary>This proxy has decided, and denied.</summary>
    public bool IsDenial => Headers.ContainsKey(DenialResponses.DecisionHeader);

    /// <summary>Only a registry says this.</summary>
    public bool IsOfRegistry => Headers.ContainsKey("Docker-Distribution-Api-Version") || Headers.ContainsKey("Docker-Content-Digest")
        || (Status == 401 && Header("WWW-Authenticate")?.Contains("Bearer ", StringComparison.OrdinalIgnoreCase) == true)
        || (Status >= 400 && Body.TrimStart().StartsWith("{\"errors\"", StringComparison.Ordinal));

    public string? Header(string name) => Headers.GetValueOrDefault(name);

    /// <summary>Text from outside, cut so that it fits into a sentence.</summary>
    public static string Shorten(string text) => text.Length <= MaximumText ? text : string.Concat(text.AsSpan(0, MaximumText), "…");

    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Status} {Phrase}").TrimEnd();
}

/// <summary>Requests through one dialer. They never carry credentials.</summary>
internal sealed class Exchange : IDisposable
{
    private const int MaximumBody = 256 * 1024;
    private const int MaximumHeadersKiB = 64;

    private readonly Dictionary<string, CertificateSeen> _certificates = [];
    private readonly Lock _gate = new();
    private readonly HttpMessageInvoker _client;
    private readonly Timeouts _timeouts;

    public Exchange(Dialer dialer, Timeouts timeouts)
    {
        _timeouts = timeouts;
        _client = new HttpMessageInvoker(new SocketsHttpHandler
        {
            UseProxy = false,
            UseCookies = false,
            AllowAutoRedirect = false,
            ActivityHeadersPropagator = null,
            ConnectTimeout = Timeouts.Answer,
            MaxResponseHeadersLength = MaximumHeadersKiB,
            ConnectCallback = async (context, cancel) => await dialer.ConnectAsync(context.DnsEndPoint, cancel),
            SslOptions = new SslClientAuthenticationOptions
            {
                RemoteCertificateValidationCallback = NoteCertificate,
                CertificateChainPolicy = new X509ChainPolicy { RevocationMode = X509RevocationMode.NoCheck, DisableCertificateDownloads = true },
            },
        });
    }

    public CertificateSeen? CertificateOf(string host)
    {
        lock (_gate)
            return _certificates.GetValueOrDefault(host);
    }

    /// <exception cref="RouteClosedException">No answer over HTTP.</exception>
    public async Task<Answer> GetAsync(Uri address, CancellationToken cancellationToken, params IEnumerable<(string Name, string Value)> headers)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, address);
        foreach (var (name, value) in headers.Prepend(("User-Agent", Dialer.UserAgent)))
        {
            request.Headers.Remove(name);
            request.Headers.TryAddWithoutValidation(name, value);
        }

        try
        {
            return await _timeouts.LimitAsync(Timeouts.Answer, cancel => SendAsync(request, cancel), cancellationToken);
        }
        catch (Exception exception) when (exception is HttpRequestException or IOException or TimeoutException or RouteClosedException)
        {
            throw Explain(exception, address.IdnHost);
        }
    }

    public void Dispose() => _client.Dispose();

    private async Task<Answer> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        using var response = await _client.SendAsync(request, cancellationToken);
        var headers = response.Headers.Concat(response.Content.Headers)
            .ToDictionary(header => header.Key, header => string.Join(", ", header.Value), StringComparer.OrdinalIgnoreCase);
        return new Answer((int)response.StatusCode, Answer.Shorten(response.ReasonPhrase ?? ""), headers, await ReadAsync(response, cancellationToken));
    }

    /// <summary>Reads the body; of one that is too long, its beginning.</summary>
    private static async Task<string> ReadAsync(HttpResponseMessage response, CancellationToken cancellationToken)
    {
        var body = new byte[MaximumBody];
        await using var stream = await response.Content.ReadAsStreamAsync(cancellationToken);
        var length = 0;
        while (length < body.Length && await stream.ReadAsync(body.AsMemory(length), cancellationToken) is > 0 and var read)
            length += read;
        return Encoding.UTF8.GetString(body, 0, length);
    }

    /// <summary>Accepts every certificate and remembers it: nothing secret is sent, and an intercepting proxy is what doctor looks for.</summary>
    private bool NoteCertificate(object sender, X509Certificate? certificate, X509Chain? chain, SslPolicyErrors errors)
    {
        if (certificate is not X509Certificate2 seen || sender is not SslStream { TargetHostName: var host })
            return false;
        lock (_gate)
            _certificates[host] = CertificateSeen.Of(seen, errors);
        return true;
    }

    private static RouteClosedException Explain(Exception exception, string host)
    {
        for (var cause = exception; cause is not null; cause = cause.InnerException)
        {
            switch (cause)
            {
                case RouteClosedException closed:
                    return closed;
                case TimeoutException late:
                    return RouteClosedException.NotReachable($"{host}: {late.Message}");
                case AuthenticationException or HttpRequestException { HttpRequestError: HttpRequestError.SecureConnectionError }:
                    return RouteClosedException.NotReachable($"{host}: the TLS handshake is refused");
                case SocketException failure:
                    return RouteClosedException.NotReachable($"{host}: {SocketFailure.Of(failure)}");
            }
        }

        return RouteClosedException.NotReachable($"{host}: the connection ends without an answer over HTTP");
    }
}
