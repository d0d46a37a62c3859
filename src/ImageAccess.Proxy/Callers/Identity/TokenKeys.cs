using ImageAccess.Proxy.Foundation.Files;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Callers.Identity;

/// <summary>
/// The keys that tokens are verified with: those of the configuration, or learnt keys. A key is learnt when the token service signs
/// a token with it that it issued to us over a connection of our own. Learnt keys are kept for the next start.
/// </summary>
internal sealed class TokenKeys : IHostedService, IReloadable, IKept
{
    /// <summary>How often tokens that no known key verifies may cause a fetch.</summary>
    public static readonly TimeSpan RefreshInterval = TimeSpan.FromMinutes(1);

    /// <summary>How soon a failed first fetch may be tried again.</summary>
    public static readonly TimeSpan RetryInterval = TimeSpan.FromSeconds(3);

    /// <summary>How long Docker Hub's tokens live.</summary>
    public static readonly TimeSpan TokenLifetime = TimeSpan.FromMinutes(5);

    /// <summary>The shortest time between two writes of the keys: a token service may sign with two keys in turn.</summary>
    public static readonly TimeSpan KeepInterval = TimeSpan.FromMinutes(1);

    private readonly string? _trusted;
    private readonly AnonymousToken _source;
    private readonly IdentityMetrics _metrics;
    private readonly ILogger _logger;
    private readonly TimeProvider _time;
    private readonly bool _learns;
    private readonly KeptKeys? _kept;
    private readonly Lock _gate = new();
    private readonly Lock _keeping = new();

    private volatile KeySet _current;
    private volatile string? _trouble;
    private volatile FreshFlaw? _freshFlaw;
    private volatile bool _isLastRefused;
    private Task? _fetch;
    private long? _lastFetch;
    private KeySet? _written;
    private long? _lastWrite;
    private bool _isWriteFailing;

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
        _trusted = options.Value.TrustedKeys is { Length: > 0 } path ? path : null;
        _learns = _trusted is null;
        _current = KeySet.Of([]);
        if (_learns)
        {
            if (options.Value.DataDirectory.Length > 0)
                _kept = new KeptKeys(options.Value.DataDirectory, source.TokenService);
            return;
        }

        if (!TrustedKeyFile.TryRead(_trusted!, out var trusted, out var problem))
        {
            throw new OptionsValidationException(
                nameof(IdentityOptions),
                typeof(IdentityOptions),
                [$"Identity:TrustedKeys: {_trusted} {problem}"]);
        }

        _current = KeySet.Of(trusted);
    }

    public KeySet Current => _current;

    /// <summary>Why there is no key, or why the last new token is refused, in one sentence; null when all is well or no key has been needed yet.</summary>
    public string? Trouble => _current.IsEmptyAt(_time.GetUtcNow()) ? _trouble : _isLastRefused ? FreshTokensRefused : null;

    /// <summary>
    /// Why tokens are refused here that the token service has just issued, in a few words; null while they are not. It holds for as long as
    /// such a token lives: who has one can get no better one.
    /// </summary>
    public string? FreshTokensRefused => _freshFlaw is { } flaw && _time.GetElapsedTime(flaw.Seen) < TokenLifetime ? flaw.Cause : null;

    /// <summary>Reads the kept keys before the first request.</summary>
    public Task StartAsync(CancellationToken cancellationToken)
    {
        if (_kept is not null)
            TakeKept(_kept);
        return Task.CompletedTask;
    }

    public Task StopAsync(CancellationToken cancellationToken)
    {
        Keep(always: true);
        return Task.CompletedTask;
    }

    void IKept.Keep() => Keep(always: true);

    /// <summary>
    /// Asks the token service for its key, because none of the keys that were tried verifies the token. The keys stay the same when it
    /// was asked a short time ago or cannot be asked. Callers who come while it is being asked wait for the same answer.
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
                if (_lastFetch is { } last && _time.GetElapsedTime(last) < (_current.IsEmptyAt(_time.GetUtcNow()) ? RetryInterval : RefreshInterval))
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
        var now = _time.GetUtcNow();
        var isRead = RegistryToken.TryRead(text, organizations: null, out var token, out var flaw);
        if (isRead)
            flaw = token!.Claims.FlawAt(now);
        var own = flaw == TokenFlaw.None && _learns && TokenKey.TryFromOwnLeaf(token!, out var leaf) ? leaf : null;
        if (flaw == TokenFlaw.None && own is null && !_current.GoodAt(now).Any(key => TokenSignature.IsMadeWith(token!, key)))
            flaw = TokenFlaw.Signature;
        Note(flaw);
        if (!_learns)
            return null;
        if (!isRead)
            return $"the token service's token is not one of the registry's ({IdentityMetrics.NameOf(flaw)})";
        if (flaw is TokenFlaw.Expired or TokenFlaw.NotYetValid)
            return $"the token service's token is {IdentityMetrics.NameOf(flaw).Replace('_', ' ')} by this host's clock";
        if (flaw is not (TokenFlaw.None or TokenFlaw.Signature))
            return $"the token service's token is not one of the registry's ({IdentityMetrics.NameOf(flaw)})";
        if (own is null)
            return "the token service's token is not signed with the certificate that it brings";

        Take(own, now);
        return null;
    }

    /// <summary>A flaw of a token that has just been issued. A client chooses the audience, and no other flaw.</summary>
    private void Note(TokenFlaw flaw)
    {
        var cause = flaw switch
        {
            TokenFlaw.None or TokenFlaw.Audience or TokenFlaw.TooLong => null,
            TokenFlaw.Expired or TokenFlaw.NotYetValid => "the proxy's clock differs from Docker Hub's, tell its administrator",
            TokenFlaw.Signature => "the proxy does not know the key of Docker Hub's tokens, tell its administrator",
            _ => "the proxy cannot read the tokens of Docker Hub, tell its administrator",
        };
        if (flaw != TokenFlaw.Audience)
            _isLastRefused = cause is not null;
        if (cause is not null)
            _freshFlaw = new FreshFlaw(cause, _time.GetTimestamp());
    }

    /// <summary>The keys of the configuration alone: learnt ones are in no file that somebody else writes.</summary>
    string? IReloadable.Reload()
    {
        if (_trusted is null)
            return null;
        if (!TrustedKeyFile.TryRead(_trusted, out var trusted, out var problem))
            _logger.TrustedKeysRefused(_trusted, problem);
        else if (!_current.Known.Select(known => known.Key.Fingerprint).SequenceEqual(trusted.Select(key => key.Fingerprint)))
            _current = KeySet.Of(trusted);
        return $"the trusted keys {_trusted}; {_current.Known.Count} verify tokens";
    }

    private void Take(TokenKey key, DateTimeOffset now)
    {
        lock (_gate)
        {
            var former = _current;
            _current = former.Vouch(key, now);
            _trouble = null;
            if (_current != former)
                Tell(former, _current, now);
        }

        Keep(always: false);
    }

    private void Tell(KeySet former, KeySet present, DateTimeOffset now)
    {
        var (key, left) = (present.Known[0].Key, former.IsEmptyAt(now) ? null : former.Known[0].Key);
        if (left is null || left.Fingerprint == key.Fingerprint)
            _logger.KeyLearnt(key.Fingerprint, _source.TokenService);
        else
            _logger.KeyRotated(key.Fingerprint, present.Known.FirstOrDefault(k => k.Key == left)?.GoodUntil ?? now);
    }

    private void TakeKept(KeptKeys kept)
    {
        try
        {
            var now = _time.GetUtcNow();
            lock (_gate)
                _current = KeySet.OfKept(kept.Read(), now);
            if (_current.IsEmptyAt(now))
                return;
            _logger.KeyWasKept(_current.Known[0].Key.Fingerprint, _source.TokenService, _current.Known[0].GoodUntil);
            Keep(always: true); // with the new end: no number of restarts makes a key good for longer
            _lastWrite = null;
        }
        catch (IOException e)
        {
            _logger.KeptKeysUnusable(kept.Path, e.Message);
        }
    }

    /// <summary>Writes the keys unless they are written already; a caller who comes during a write waits for it only where it must not be the last one.</summary>
    private void Keep(bool always)
    {
        if (_kept is null)
            return;
        if (always)
            _keeping.Enter();
        else if (!_keeping.TryEnter())
            return;
        try
        {
            var present = _current;
            if (present == _written || present.Known.Count == 0)
                return;
            if (!always && _lastWrite is { } last && _time.GetElapsedTime(last) < KeepInterval)
                return;
            _lastWrite = _time.GetTimestamp();
            _kept.Write(present);
            (_written, _isWriteFailing) = (present, false);
        }
        catch (IOException e)
        {
            if (!_isWriteFailing)
                _logger.KeysNotKept(_kept.Path, e.Message);
            _isWriteFailing = true;
        }
        finally
        {
            _keeping.Exit();
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

    /// <summary>Why a token was refused that had just been issued, and when.</summary>
    private sealed record FreshFlaw(string Cause, long Seen);
}
