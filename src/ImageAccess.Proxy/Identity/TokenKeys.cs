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

    private readonly AnonymousToken _source;
    private readonly IdentityMetrics _metrics;
    private readonly ILogger _logger;
    private readonly TimeProvider _time;
    private readonly bool _learns;
    private readonly Lock _gate = new();

    private volatile KeySet _current;
    private volatile string? _trouble;
    private Task? _fetch;
    private long? _lastFetch;

    public TokenKeys(
        IOptions<IdentityOptions> options,
        AnonymousToken source,
        IdentityMetrics metrics,
        ILogger<TokenKeys> logger,
        TimeProvider time)
    {
        _source = source;
        _metrics = metrics;
        _logger = logger;
        _time = time;
        _learns = string.IsNullOrEmpty(options.Value.TrustedKeys);
        _current = KeySet.Of([]);
        if (_learns)
            return;
        if (!TrustedKeyFile.TryRead(options.Value.TrustedKeys!, out var trusted, out var problem))
        {
            throw new OptionsValidationException(
                nameof(IdentityOptions),
                typeof(IdentityOptions),
                [$"Identity:TrustedKeys: {options.Value.TrustedKeys} {problem}"]);
        }

        _current = KeySet.Of(trusted);
    }

    public KeySet Current => _current;

    /// <summary>Why there is no key, in one sentence; null when there is one or none has been needed yet.</summary>
    public string? Trouble => _current.IsEmpty ? _trouble : null;

    /// <summary>
    /// The keys after asking the token service again, because those tried did not do. They are the same when it has been
    /// asked too recently, or could not be; whoever comes while it is being asked waits for the same answer.
    /// </summary>
    public async ValueTask<KeySet> RefreshAsync(KeySet tried, CancellationToken cancellationToken)
    {
        Task running;
        lock (_gate)
        {
            if (!_learns || _current != tried)
                return _current;
            if (_fetch is null or { IsCompleted: true })
            {
                if (_lastFetch is { } last && _time.GetElapsedTime(last) < (_current.IsEmpty ? RetryInterval : RefreshInterval))
                    return _current;
                _fetch = FetchAsync();
            }

            running = _fetch;
        }

        await running.WaitAsync(cancellationToken);
        return _current;
    }

    /// <summary>Takes the key of a token that has just come from the token service itself.</summary>
    /// <returns>Why it was not taken, in one sentence; null when it was.</returns>
    public string? LearnFrom(string text)
    {
        if (!_learns)
            return null;
        if (!RegistryToken.TryRead(text, organizations: null, out var token, out var flaw))
            return $"the token service's token is not one of the registry's ({IdentityMetrics.NameOf(flaw)})";

        var now = _time.GetUtcNow();
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
        lock (_gate)
        {
            var former = _current;
            _current = former.Vouch(key, now);
            _trouble = null;
            if (former.IsEmpty)
                _logger.KeyLearnt(key.Fingerprint, _source.TokenService);
            else if (_current != former)
                _logger.KeyRotated(key.Fingerprint, now + KeySet.Grace);
        }
    }

    private async Task FetchAsync()
    {
        await Task.Yield(); // out of the lock, and of the request that happened to come first
        try
        {
            var (token, cause) = await _source.FetchAsync();
            if ((token is null ? cause : LearnFrom(token)) is { } problem)
            {
                _trouble = problem;
                _metrics.KeyNotFetched();
                _logger.KeyNotLearnt(_source.TokenService, problem);
            }
            else
            {
                _metrics.KeyFetched();
            }
        }
        finally
        {
            lock (_gate)
                _lastFetch = _time.GetTimestamp();
        }
    }
}
