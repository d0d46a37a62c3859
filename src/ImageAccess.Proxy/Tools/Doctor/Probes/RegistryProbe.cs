using System.Diagnostics.CodeAnalysis;
using ImageAccess.Core.Hosts;
using ImageAccess.Core.Oci;
using ImageAccess.Proxy.Tools.Engines;

namespace ImageAccess.Proxy.Tools.Doctor.Probes;

/// <summary>Asks a registry anonymously for a repository that the policy denies: ping, token, manifest.</summary>
internal sealed class RegistryProbe(RepositoryName denied, Timeouts timeouts)
{
    /// <exception cref="RouteClosedException">Nobody answers.</exception>
    public async Task<Outcome> AskAsync(Dialer dialer, RegistryAddress registry, CancellationToken cancellationToken)
    {
        using var exchange = new Exchange(dialer, timeouts);
        var ping = await exchange.GetAsync(registry.Ping, cancellationToken);
        if (ping.IsDenial)
            return Denied(ping);

        var token = await FindTokenAsync(exchange, registry, ping, cancellationToken);
        if (token.Answer is { IsDenial: true } refusal)
            return Denied(refusal);

        Answer manifest;
        try
        {
            manifest = await exchange.GetAsync(registry.ManifestOf(denied), cancellationToken, [("Accept", Curl.Manifests), .. token.Headers]);
        }
        catch (RouteClosedException closed) when (ping.IsOfRegistry)
        {
            return Reached($"it answers as a registry, but not for {denied.Value} ({closed.Message})");
        }

        if (manifest.IsDenial)
            return Denied(manifest);
        if (manifest.Status is >= 200 and < 300 && (manifest.IsOfRegistry || ping.IsOfRegistry))
            return HandedOut();
        if (manifest.IsOfRegistry || ping.IsOfRegistry)
            return Reached($"it answers as a registry and denied nothing; {denied.Value} was not handed out ({manifest}{token.Trouble})");
        return Outcome.NotReachable($"what answers is no registry ({manifest})");

        bool IsTrusted(string host) => exchange.CertificateOf(host)?.IsTrusted ?? true;

        Outcome Reached(string detail) => Outcome.Open(
            $"{detail}{Certificate()}", Curl.Head(dialer, registry.Ping, IsTrusted(registry.Origin.IdnHost)));

        Outcome HandedOut()
        {
            var certificate = exchange.CertificateOf(registry.Origin.IdnHost);
            var detail = !registry.IsMirror && certificate is null or { IsLogged: true } ? $"{registry.Owner} hands out {denied.Value}"
                : $"the proxy hands it out: is image access on, and is {denied.Value} denied?";
            return Outcome.Open($"{detail}{Certificate()}", Curl.Manifest(
                dialer, registry.ManifestOf(denied), certificate?.IsTrusted ?? true, token.Source is { } source ? (source, IsTrusted(source.IdnHost)) : null));
        }

        string Certificate() => exchange.CertificateOf(registry.Origin.IdnHost) is { } certificate ? $"; {certificate}" : "";
    }

    private static Outcome Denied(Answer answer) => Outcome.Enforced($"denied: {(answer.Phrase.Length > 0 ? answer.Phrase : "without a reason")} ({answer.Status})");

    private async Task<TokenFound> FindTokenAsync(Exchange exchange, RegistryAddress registry, Answer ping, CancellationToken cancellationToken)
    {
        if (ping.Status != 401 || !Challenge.TryParse(ping.Header("WWW-Authenticate"), out var challenge))
            return new TokenFound();
        if (!TryFindRealm(registry, challenge, out var realm))
            return new TokenFound { Trouble = $"; no token was asked for at {Answer.Shorten(challenge.Realm)}" };

        var source = TokenProbe.AddressAt(realm, challenge.Service, registry.NameOf(denied));
        try
        {
            var answer = await exchange.GetAsync(source, cancellationToken);
            return TokenProbe.TryRead(answer, out var token)
                ? new TokenFound { Answer = answer, Source = source, Token = token }
                : new TokenFound { Answer = answer, Trouble = $"; no token: {answer}" };
        }
        catch (RouteClosedException closed)
        {
            return new TokenFound { Trouble = $"; no token: {closed.Message}" };
        }
    }

    /// <summary>The realm must be Docker Hub's token service, over https, or the mirror itself. A stranger's challenge leads to no other stranger.</summary>
    private static bool TryFindRealm(RegistryAddress registry, Challenge challenge, [NotNullWhen(true)] out Uri? realm) =>
        Uri.TryCreate(challenge.Realm, UriKind.Absolute, out realm) && realm.UserInfo.Length == 0
        && ((realm.Scheme == registry.Origin.Scheme && realm.Authority == registry.Origin.Authority)
            || (realm.Scheme == Uri.UriSchemeHttps && realm.IsDefaultPort
                && HostName.TryParse(realm.IdnHost, out var host) && DockerHubHosts.RoleOf(host) == DockerHubRole.TokenService));

    private sealed record TokenFound
    {
        public Answer? Answer { get; init; }

        public Uri? Source { get; init; }

        public string? Token { get; init; }

        public string Trouble { get; init; } = "";

        public IEnumerable<(string Name, string Value)> Headers => Token is null ? [] : [("Authorization", $"Bearer {Token}")];
    }
}
