using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Callers.Identity;

/// <summary>
/// The keys that tokens are verified with: those of the configuration, or learnt keys. A key is learnt when the token service signs
/// a token with it that it issued to us over a connection of our own. Learnt keys are kept for the next start.
/// </summary>
internal sealed class TokenKeys : IHostedService
{
    /// <summary>How often tokens that no known key verifies may cause a fetch.</summary>
    public static readonly TimeSpan RefreshInterval = TimeSpan.FromMinutes(1);

    /// <summary>How soon a failed first fetch may be tried again.</summary>
    public static readonly TimeSpan RetryInterval = TimeSpan.FromSeconds(3);

    /// <summary>The shortest time between two writes of the keys: a token service may sign with two keys in turn.</summary>
    public static readonly TimeSpan KeepInterval = TimeSpan.FromMinutes(1);

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
        _learns = string.IsNullOrEmpty(options.Value.TrustedKeys);
        _current = KeySet.Of([]);
        if (_learns)
        {
            if (options.Value.DataDirectory.Length > 0)
                _kept = new KeptKeys(options.Value.DataDirectory, source.TokenService);
            return;
        }

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
    public string? Trouble => _current.IsEmptyAt(_time.GetUtcNow()) ? _trouble : null;

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

    /// <summary>Writes the keys unless they are written already; a caller who comes during a write does not wait for it.</summary>
    private void Keep(bool always)
    {
        if (_kept is null || !_keeping.TryEnter())
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
}
