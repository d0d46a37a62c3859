using System.Collections.Concurrent;
using System.Collections.Frozen;
using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;
using System.Text;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Connections.Ingress;

/// <summary>The forward proxy's settings: the section <c>ForwardProxy</c>.</summary>
public sealed class ForwardProxyOptions
{
    /// <summary>A file of users, as <c>htpasswd -B</c> writes it; without one nobody is asked to sign in.</summary>
    public string? Users { get; set; }
}

internal sealed class ForwardProxyOptionsValidator : IValidateOptions<ForwardProxyOptions>
{
    public ValidateOptionsResult Validate(string? name, ForwardProxyOptions options) =>
        options.Users is not { } file || ProxyUsers.TryRead(file, out _, out var problem)
            ? ValidateOptionsResult.Success
            : ValidateOptionsResult.Fail($"ForwardProxy:Users: {file} {problem}");
}

/// <summary>
/// Who may use the forward proxy: names with bcrypt hashes in a file, read again when it changes. A file that has become unreadable
/// is told, and what was read last stays.
/// </summary>
internal sealed class ProxyUsers : IDisposable
{
    private const long MaximumFile = 1024 * 1024;

    /// <summary>Passwords found right whose hash need not be computed for each connection; more are forgotten all at once.</summary>
    private const int MaximumRemembered = 10_000;

    private static readonly TimeSpan Remembrance = TimeSpan.FromMinutes(5);
    private static readonly TimeSpan LookAgain = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    private readonly string? _file;
    private readonly TimeProvider _time;
    private readonly ILogger<ProxyUsers> _logger;
    private readonly byte[] _key = RandomNumberGenerator.GetBytes(32);
    private readonly SemaphoreSlim _hashing = new(Math.Max(1, Environment.ProcessorCount / 2));
    private readonly Lock _looking = new();

    /// <summary>Computed for names that nobody has: a refusal takes as long as for one that somebody has.</summary>
    private readonly Lazy<string> _nobody = new(() => BCrypt.Net.BCrypt.HashPassword(RandomNumberGenerator.GetHexString(32)));

    private volatile Known? _known;
    private long _looked;

    public ProxyUsers(IOptions<ForwardProxyOptions> options, TimeProvider time, ILogger<ProxyUsers> logger)
    {
        _file = options.Value.Users;
        _time = time;
        _logger = logger;
        _looked = time.GetTimestamp();
        if (_file is not null)
            _known = TryRead(_file, out var users, out var problem) ? new Known(users, StampOf(_file)) : throw new IOException($"{_file} {problem}");
    }

    /// <summary>The users of a file, or in a few words what is wrong with it.</summary>
    public static bool TryRead(string file, [NotNullWhen(true)] out FrozenDictionary<string, string>? users, out string problem)
    {
        users = null;
        problem = "";
        try
        {
            if (new FileInfo(file).Length > MaximumFile)
            {
                problem = "is larger than 1 MiB";
                return false;
            }

            var read = new Dictionary<string, string>(StringComparer.Ordinal);
            var number = 0;
            foreach (var line in File.ReadLines(file))
            {
                number++;
                if (line.Length == 0 || line[0] == '#')
                    continue;
                if (line.Split(':', 2) is not [{ Length: > 0 } name, var hash] || !IsBcrypt(hash))
                    problem = $"line {number} is not NAME:HASH with a bcrypt hash, as htpasswd -B writes it";
                else if (!read.TryAdd(name, hash))
                    problem = $"line {number} names a user once more";
                if (problem.Length > 0)
                    return false;
            }

            users = read.ToFrozenDictionary(StringComparer.Ordinal);
            return true;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            problem = "cannot be read";
            return false;
        }
    }

    /// <summary>The user whom these credentials belong to; empty where nobody is asked; null where they are nobody's.</summary>
    /// <param name="authorization">The value of <c>Proxy-Authorization</c>.</param>
    /// <param name="cancellationToken">Ends the wait for a turn.</param>
    public async ValueTask<string?> FindAsync(string? authorization, CancellationToken cancellationToken)
    {
        if (_file is null)
            return "";
        if (!TryReadBasic(authorization, out var name, out var password))
            return null;

        var known = Look();
        var fingerprint = Convert.ToHexString(HMACSHA256.HashData(_key, Encoding.UTF8.GetBytes(authorization!)));
        if (known.Right.TryGetValue(fingerprint, out var until) && _time.GetUtcNow() < until)
            return name;
        var isUser = known.Users.TryGetValue(name, out var hash);
        if (!await VerifyAsync(password, hash ?? _nobody.Value, cancellationToken) || !isUser)
            return null;
        if (known.Right.Count >= MaximumRemembered)
            known.Right.Clear();
        known.Right[fingerprint] = _time.GetUtcNow() + Remembrance;
        return name;
    }

    public void Dispose() => _hashing.Dispose();

    /// <summary>A hash takes long on purpose: a few at once, off the threads that serve others.</summary>
    private async Task<bool> VerifyAsync(string password, string hash, CancellationToken cancellationToken)
    {
        if (!await _hashing.WaitAsync(Patience, cancellationToken))
            return false;
        try
        {
            return await Task.Factory.StartNew(
                () => BCrypt.Net.BCrypt.Verify(password, hash), cancellationToken, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        }
        finally
        {
            _hashing.Release();
        }
    }

    private Known Look()
    {
        var known = _known!;
        if (_time.GetElapsedTime(Volatile.Read(ref _looked)) < LookAgain)
            return known;
        lock (_looking)
        {
            Volatile.Write(ref _looked, _time.GetTimestamp());
            var stamp = StampOf(_file!);
            if (stamp == _known!.Stamp)
                return _known;
            if (TryRead(_file!, out var users, out var problem))
                return _known = new Known(users, stamp);
            _logger.UsersNotTaken(_file!, problem);
            return _known = known with { Stamp = stamp };
        }
    }

    private static (DateTime Written, long Length) StampOf(string file) =>
        new FileInfo(file) is { Exists: true } info ? (info.LastWriteTimeUtc, info.Length) : default;

    private static bool IsBcrypt(string hash) =>
        hash.Length == 60 && hash.StartsWith("$2", StringComparison.Ordinal) && BCrypt.Net.BCrypt.InterrogateHash(hash) is not null;

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

    private sealed record Known(FrozenDictionary<string, string> Users, (DateTime Written, long Length) Stamp)
    {
        /// <summary>Credentials that were found right, by a keyed hash, and until when that counts.</summary>
        public ConcurrentDictionary<string, DateTimeOffset> Right { get; } = new(StringComparer.Ordinal);
    }
}
