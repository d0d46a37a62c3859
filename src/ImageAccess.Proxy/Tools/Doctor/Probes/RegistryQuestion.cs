using System.Diagnostics.CodeAnalysis;
using ImageAccess.Core.Hosts;
using ImageAccess.Core.Oci;

namespace ImageAccess.Proxy.Tools.Doctor.Probes;

/// <summary>Where a registry's API is found.</summary>
/// <param name="Origin">Scheme, host and port.</param>
internal sealed record RegistryFace(Uri Origin)
{
    /// <summary>Before <c>/REPOSITORY/manifests/…</c>.</summary>
    public string ApiPath { get; init; } = "/v2";

    /// <summary>Put before the repository's name, with its slash.</summary>
    public string RepositoryPrefix { get; init; } = "";

    /// <summary>Whose images it hands out under a certificate of a public authority.</summary>
    public string Owner { get; init; } = "Docker Hub";

    /// <summary>Whoever it belongs to, it is set up to stand before Docker Hub.</summary>
    public bool IsMirror { get; init; }

    public Uri Ping => new(Origin, $"{ApiPath}/");

    public string NameOf(RepositoryName repository) => RepositoryPrefix + repository.Value;

    public Uri ManifestOf(RepositoryName repository) => new(Origin, $"{ApiPath}/{NameOf(repository)}/manifests/latest");
}

/// <summary>Asks a registry, as anybody, for a repository that the policy denies: ping, token, manifest.</summary>
internal sealed class RegistryQuestion(RepositoryName denied, Patience patience)
{
    /// <exception cref="WayClosedException">Nobody answers.</exception>
    public async Task<Outcome> AskAsync(Passage passage, RegistryFace face, CancellationToken cancellationToken)
    {
        using var exchange = new Exchange(passage, patience);
        var ping = await exchange.GetAsync(face.Ping, cancellationToken);
        if (ping.IsDenial)
            return Denied(ping);

        var token = await FindTokenAsync(exchange, face, ping, cancellationToken);
        if (token.Answer is { IsDenial: true } refusal)
            return Denied(refusal);

        Answer manifest;
        try
        {
            manifest = await exchange.GetAsync(face.ManifestOf(denied), cancellationToken, [("Accept", Curl.Manifests), .. token.Headers]);
        }
        catch (WayClosedException closed) when (ping.IsOfRegistry)
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
            $"{detail}{Certificate()}", Curl.Head(passage, face.Ping, IsTrusted(face.Origin.IdnHost)));

        Outcome HandedOut()
        {
            var certificate = exchange.CertificateOf(face.Origin.IdnHost);
            var detail = !face.IsMirror && certificate is null or { IsLogged: true } ? $"{face.Owner} hands out {denied.Value}"
                : $"the proxy hands it out: is image access on, and is {denied.Value} denied?";
            return Outcome.Open($"{detail}{Certificate()}", Curl.Manifest(
                passage, face.ManifestOf(denied), certificate?.IsTrusted ?? true, token.Source is { } source ? (source, IsTrusted(source.IdnHost)) : null));
        }

        string Certificate() => exchange.CertificateOf(face.Origin.IdnHost) is { } certificate ? $"; {certificate}" : "";
    }

    private static Outcome Denied(Answer answer) => Outcome.Enforced($"denied: {(answer.Phrase.Length > 0 ? answer.Phrase : "without a reason")} ({answer.Status})");

    private async Task<TokenFound> FindTokenAsync(Exchange exchange, RegistryFace face, Answer ping, CancellationToken cancellationToken)
    {
        if (ping.Status != 401 || !Challenge.TryParse(ping.Header("WWW-Authenticate"), out var challenge))
            return new TokenFound();
        if (!TryFindRealm(face, challenge, out var realm))
            return new TokenFound { Trouble = $"; no token was asked for at {Answer.Shorten(challenge.Realm)}" };

        var source = TokenQuestion.AddressAt(realm, challenge.Service, face.NameOf(denied));
        try
        {
            var answer = await exchange.GetAsync(source, cancellationToken);
            return TokenQuestion.TryRead(answer, out var token)
                ? new TokenFound { Answer = answer, Source = source, Token = token }
                : new TokenFound { Answer = answer, Trouble = $"; no token: {answer}" };
        }
        catch (WayClosedException closed)
        {
            return new TokenFound { Trouble = $"; no token: {closed.Message}" };
        }
    }

    /// <summary>Docker Hub's token service, over https, or the mirror itself: no stranger is asked because another stranger says so.</summary>
    private static bool TryFindRealm(RegistryFace face, Challenge challenge, [NotNullWhen(true)] out Uri? realm) =>
        Uri.TryCreate(challenge.Realm, UriKind.Absolute, out realm) && realm.UserInfo.Length == 0
        && ((realm.Scheme == face.Origin.Scheme && realm.Authority == face.Origin.Authority)
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
