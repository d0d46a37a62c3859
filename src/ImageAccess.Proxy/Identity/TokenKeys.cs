using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Identity;

/// <summary>
/// The keys that tokens are verified with: those of the configuration, or what the token service has vouched for by signing
/// a token that it gave to us over a connection of our own.
/// </summary>
internal sealed class TokenKeys
{
    /// <summary>How often tokens that no known key verifies may cause a fetch.</summary>
    public static readonly TimeSpan RefreshInterval = TimeSpan.FromMinutes(1);

    /// <summary>How soon a failed first fetch may be tried again.</summary>
    public static readonly TimeSpan RetryInterval = TimeSpan.FromSeconds(3);

    private readonly AnonymousToken source;
    private readonly IdentityMetrics metrics;
    private readonly ILogger logger;
    private readonly TimeProvider time;
    private readonly bool learns;
    private readonly Lock gate = new();

    private volatile KeySet current;
    private volatile string? trouble;
    private Task? fetch;
    private long? lastFetch;

    public TokenKeys(
        IOptions<IdentityOptions> options,
        AnonymousToken source,
        IdentityMetrics metrics,
        ILogger<TokenKeys> logger,
        TimeProvider time)
    {
        this.source = source;
        this.metrics = metrics;
        this.logger = logger;
        this.time = time;
        learns = string.IsNullOrEmpty(options.Value.TrustedKeys);
        current = KeySet.Of([]);
        if (learns)
            return;
        if (!TrustedKeyFile.TryRead(options.Value.TrustedKeys!, out var trusted, out var problem))
        {
            throw new OptionsValidationException(
                nameof(IdentityOptions),
                typeof(IdentityOptions),
                [$"Identity:TrustedKeys: {options.Value.TrustedKeys} {problem}"]);
        }

        current = KeySet.Of(trusted);
    }

    public KeySet Current => current;

    /// <summary>Why there is no key, in one sentence; null when there is one or none has been needed yet.</summary>
    public string? Trouble => current.IsEmpty ? trouble : null;

    /// <summary>
    /// The keys after asking the token service again, because those tried did not do. They are the same when it has been
    /// asked too recently, or could not be; whoever comes while it is being asked waits for the same answer.
    /// </summary>
    public async ValueTask<KeySet> RefreshAsync(KeySet tried, CancellationToken cancellationToken)
    {
        Task running;
        lock (gate)
        {
            if (!learns || current != tried)
                return current;
            if (fetch is null or { IsCompleted: true })
            {
                if (lastFetch is { } last && time.GetElapsedTime(last) < (current.IsEmpty ? RetryInterval : RefreshInterval))
                    return current;
                fetch = FetchAsync();
            }

            running = fetch;
        }

        await running.WaitAsync(cancellationToken);
        return current;
    }

    /// <summary>Takes the key of a token that has just come from the token service itself.</summary>
    /// <returns>Why it was not taken, in one sentence; null when it was.</returns>
    public string? LearnFrom(string text)
    {
        if (!learns)
            return null;
        if (!RegistryToken.TryRead(text, organizations: null, out var token, out var flaw))
            return $"the token service's token is not one of the registry's ({IdentityMetrics.NameOf(flaw)})";

        var now = time.GetUtcNow();
        flaw = token.Claims.FlawAt(now);
        if (flaw is TokenFlaw.Expired or TokenFlaw.NotYetValid)
            return $"the token service's token is {IdentityMetrics.NameOf(flaw).Replace('_', ' ')} by this host's clock";
        if (flaw != TokenFlaw.None)
            return $"the token service's token is not one of the registry's ({IdentityMetrics.NameOf(flaw)})";
        if (!TokenKey.TryFromOwnLeaf(token, out var key))
            return "the token service's token is not signed with the certificate that it brings";

        Take(key, now);
        return null;
    }

    private void Take(TokenKey key, DateTimeOffset now)
    {
        lock (gate)
        {
            var former = current;
            current = former.Vouch(key, now);
            trouble = null;
            if (former.IsEmpty)
                logger.KeyLearnt(key.Fingerprint, source.TokenService);
            else if (current != former)
                logger.KeyRotated(key.Fingerprint, now + KeySet.Grace);
        }
    }

    private async Task FetchAsync()
    {
        await Task.Yield(); // out of the lock, and of the request that happened to come first
        try
        {
            var (token, cause) = await source.FetchAsync();
            if ((token is null ? cause : LearnFrom(token)) is { } problem)
            {
                trouble = problem;
                metrics.KeyNotFetched();
                logger.KeyNotLearnt(source.TokenService, problem);
            }
            else
            {
                metrics.KeyFetched();
            }
        }
        finally
        {
            lock (gate)
                lastFetch = time.GetTimestamp();
        }
    }
}
