using System.Security.Cryptography;
using System.Text;
using ImageAccess.Proxy.Foundation.Files;
using ImageAccess.Proxy.Foundation.Limits;

namespace ImageAccess.Proxy.Connections.Ingress;

/// <summary>
/// Signing in at the forward proxy. To check a password is costly on purpose: few are checked at once, the addresses that wait take turns, and an
/// address or a user with too many failures waits for a while. Whose password was found right lately is not checked again.
/// </summary>
internal sealed class ProxySignIn(ProxyUsers users, LimitMetrics metrics, TimeProvider time) : IDisposable
{
    private const int MaximumWaiting = 1000;
    private const int MaximumWaitingOfAddress = 50;

    private static readonly TimeSpan RememberedFor = TimeSpan.FromHours(1);
    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(10);

    private readonly byte[] _key = RandomNumberGenerator.GetBytes(32);
    private readonly SignInBudget _budget = new("proxy sign-ins", time, metrics);
    private readonly FairSlots _turns = new(Math.Max(1, Environment.ProcessorCount / 2), MaximumWaiting, MaximumWaitingOfAddress);

    /// <summary>A client that opens many connections at once has its password checked once.</summary>
    private readonly SingleFlight<Attempt, SignIn> _checks = new();

    /// <summary>Verifies a password by a hash: bcrypt. A test counts what it costs.</summary>
    internal Func<string, string, bool> Bcrypt { get; init; } = (password, hash) => BCrypt.Net.BCrypt.Verify(password, hash);

    /// <param name="authorization">The value of <c>Proxy-Authorization</c>.</param>
    /// <param name="client">Whose share it is; null for what comes from a trusted proxy.</param>
    /// <param name="cancellationToken">The client's leaving.</param>
    public async ValueTask<SignIn> CheckAsync(string? authorization, ClientShare? client, CancellationToken cancellationToken)
    {
        if (users.Current is not { } list)
            return SignIn.NotAsked;
        if (!TryReadBasic(authorization, out var name, out var password))
            return SignIn.Wrong;

        var attempt = new Attempt(client, name, FingerprintOf(name, password));
        var result = Recall(list, attempt);
        while (result is null)
            result = await _checks.RunAsync(attempt, () => TakeTurnAsync(attempt, password, cancellationToken), cancellationToken);
        return result;
    }

    public void Dispose() => _budget.Dispose();

    /// <summary>What needs no check; null where the password has to be checked.</summary>
    private SignIn? Recall(UserList list, Attempt attempt)
    {
        var now = time.GetUtcNow();
        if (list.Verified.TryGetValue(attempt.Name, out var verified) && verified.Fingerprint == attempt.Fingerprint && now < verified.Until)
        {
            list.Verified[attempt.Name] = verified with { Until = now + RememberedFor };
            return SignIn.As(attempt.Name);
        }

        return _budget.IsSpent(attempt.Client, attempt.Name, out var retryAfter) ? SignIn.TooManyFailures(retryAfter) : null;
    }

    private async Task<SignIn> TakeTurnAsync(Attempt attempt, string password, CancellationToken cancellationToken)
    {
        using var turn = await _turns.TryEnterAsync(attempt.Line, Timeout, time, cancellationToken);
        if (turn is null)
        {
            metrics.Limited("password checks");
            return SignIn.Busy;
        }

        var list = users.Current!;
        return Recall(list, attempt) ?? await VerifyAsync(list, attempt, password); // others may have failed, or signed in, meanwhile
    }

    /// <summary>On a thread of its own: it takes long, and no request of others may wait for a thread.</summary>
    private async Task<SignIn> VerifyAsync(UserList list, Attempt attempt, string password)
    {
        var isRight = await Task.Factory.StartNew(
            () => list.Verify(attempt.Name, password, Bcrypt), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        if (!isRight)
        {
            _budget.Failed(attempt.Client, attempt.Name);
            return SignIn.Wrong;
        }

        _budget.Succeeded(attempt.Client, attempt.Name);
        list.Verified[attempt.Name] = new VerifiedPassword(attempt.Fingerprint, time.GetUtcNow() + RememberedFor);
        return SignIn.As(attempt.Name);
    }

    private string FingerprintOf(string name, string password) =>
        Convert.ToHexString(HMACSHA256.HashData(_key, Encoding.UTF8.GetBytes($"{name}:{password}")));

    private static bool TryReadBasic(string? authorization, out string name, out string password)
    {
        (name, password) = ("", "");
        const string Scheme = "Basic ";
        if (authorization?.StartsWith(Scheme, StringComparison.OrdinalIgnoreCase) != true)
            return false;
        var bytes = new byte[authorization.Length];
        if (!Convert.TryFromBase64String(authorization[Scheme.Length..].Trim(), bytes, out var length))
            return false;
        if (Encoding.UTF8.GetString(bytes, 0, length).Split(':', 2) is not [{ Length: > 0 } user, var secret])
            return false;
        (name, password) = (user, secret);
        return true;
    }

    /// <summary>Somebody's try with one password at one address.</summary>
    private sealed record Attempt(ClientShare? Client, string Name, string Fingerprint)
    {
        /// <summary>With whom it takes turns.</summary>
        public ClientShare Line => Client ?? ClientShare.OfUser(Name);
    }
}

/// <summary>What became of a sign-in.</summary>
/// <param name="User">Who signed in; empty where nobody has to; null where it is refused.</param>
/// <param name="Reason">Why it is refused, for events.</param>
/// <param name="Refusal">The answer to the client.</param>
internal sealed record SignIn(string? User, string Reason, ProxyRefusal? Refusal)
{
    public static SignIn NotAsked { get; } = As("");

    public static SignIn Wrong { get; } = new(null, RefusalReason.SignIn, ProxyRefusal.SignIn);

    public static SignIn Busy { get; } = new(null, RefusalReason.Busy, ProxyRefusal.Busy);

    public static SignIn As(string user) => new(user, "", null);

    public static SignIn TooManyFailures(TimeSpan retryAfter) => new(null, RefusalReason.SignInLimit, ProxyRefusal.TooManyFailures(retryAfter));
}
