using System.Collections.Concurrent;
using System.Collections.Frozen;
using System.Security.Cryptography;
using System.Text;
using ImageAccess.Proxy.Foundation.Files;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Connections.Ingress;

/// <summary>The forward proxy's settings: the section <c>ForwardProxy</c>.</summary>
public sealed class ForwardProxyOptions
{
    /// <summary>A file of users, as <c>htpasswd -B</c> writes it; without one nobody has to sign in.</summary>
    public string? Users { get; set; }
}

internal sealed class ForwardProxyOptionsValidator : IValidateOptions<ForwardProxyOptions>
{
    public ValidateOptionsResult Validate(string? name, ForwardProxyOptions options) =>
        options.Users is { } file && UserList.Parse(UserList.FileAt(file).Read()).Flaw is { } flaw
            ? ValidateOptionsResult.Fail($"ForwardProxy:Users: {file} {flaw}")
            : ValidateOptionsResult.Success;
}

/// <summary>
/// Who may use the forward proxy: names with bcrypt hashes in a file, read again when it changes. A file that cannot be used is
/// refused, and the users that were read last stay.
/// </summary>
internal sealed class ProxyUsers : IDisposable
{
    /// <summary>How many correct passwords are remembered, so that not every connection costs a hash. When there are more, all are forgotten.</summary>
    private const int MaximumRemembered = 10_000;

    private static readonly TimeSpan RememberedFor = TimeSpan.FromMinutes(5);
    private static readonly TimeSpan LookAgain = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(10);

    private readonly string? _path;
    private readonly WatchedFile<UserList>? _file;
    private readonly TimeProvider _time;
    private readonly ILogger<ProxyUsers> _logger;
    private readonly byte[] _key = RandomNumberGenerator.GetBytes(32);
    private readonly SemaphoreSlim _hashing = new(Math.Max(1, Environment.ProcessorCount / 2));
    private readonly Lock _looking = new();

    /// <summary>The hash for unknown names: their refusal takes as long as that of a known one.</summary>
    private readonly Lazy<string> _nobody = new(() => BCrypt.Net.BCrypt.HashPassword(RandomNumberGenerator.GetHexString(32)));

    private long _looked;

    public ProxyUsers(IOptions<ForwardProxyOptions> options, TimeProvider time, ILogger<ProxyUsers> logger)
    {
        _path = options.Value.Users;
        _time = time;
        _logger = logger;
        _looked = time.GetTimestamp();
        if (_path is null)
            return;
        _file = new WatchedFile<UserList>(UserList.FileAt(_path), UserList.Parse);
        if (_file.Look() == FileChange.Refused)
            throw new IOException($"{_path} {_file.Refusal!.Flaw}");
    }

    /// <summary>The user of these credentials; empty where nobody has to sign in; null where they are wrong.</summary>
    /// <param name="authorization">The value of <c>Proxy-Authorization</c>.</param>
    /// <param name="cancellationToken">Ends the wait for a turn.</param>
    public async ValueTask<string?> FindAsync(string? authorization, CancellationToken cancellationToken)
    {
        if (_file is null)
            return "";
        if (!TryReadBasic(authorization, out var name, out var password))
            return null;

        var users = Look(_file);
        var fingerprint = Convert.ToHexString(HMACSHA256.HashData(_key, Encoding.UTF8.GetBytes(authorization!)));
        if (users.Right.TryGetValue(fingerprint, out var until) && _time.GetUtcNow() < until)
            return name;
        var isUser = users.Hashes.TryGetValue(name, out var hash);
        if (!await VerifyAsync(password, hash ?? _nobody.Value, cancellationToken) || !isUser)
            return null;
        if (users.Right.Count >= MaximumRemembered)
            users.Right.Clear();
        users.Right[fingerprint] = _time.GetUtcNow() + RememberedFor;
        return name;
    }

    public void Dispose() => _hashing.Dispose();

    /// <summary>A hash takes long on purpose: few are computed at once, and on threads of their own.</summary>
    private async Task<bool> VerifyAsync(string password, string hash, CancellationToken cancellationToken)
    {
        if (!await _hashing.WaitAsync(Timeout, cancellationToken))
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

    /// <summary>At most one look for each <see cref="LookAgain"/>, by the connection that comes first.</summary>
    private UserList Look(WatchedFile<UserList> file)
    {
        if (_time.GetElapsedTime(Volatile.Read(ref _looked)) < LookAgain)
            return file.Current!;
        lock (_looking)
        {
            if (_time.GetElapsedTime(_looked) < LookAgain)
                return file.Current!;
            Volatile.Write(ref _looked, _time.GetTimestamp());
            var change = file.Look();
            if (change == FileChange.Refused)
                _logger.UsersRefused(_path!, file.Refusal!.Flaw!);
            else if (change == FileChange.Recovered)
                _logger.UsersRecovered(_path!);
            return file.Current!;
        }
    }

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
}

/// <summary>The users of a file, or in a few words what is wrong with it.</summary>
/// <param name="Hashes">The bcrypt hash of each name.</param>
/// <param name="Flaw">What follows the file's name in a sentence; null when it is good.</param>
internal sealed record UserList(FrozenDictionary<string, string> Hashes, string? Flaw) : IFileContent
{
    private const long MaximumSize = 1024 * 1024;

    /// <summary>The keyed hashes of correct credentials, and until when each counts.</summary>
    public ConcurrentDictionary<string, DateTimeOffset> Right { get; } = new(StringComparer.Ordinal);

    public static WholeFile FileAt(string path) => new(path, MaximumSize);

    public static UserList Parse(FileReading reading)
    {
        if (reading.Bytes is not { } bytes)
            return Refused(reading.Failure);

        var hashes = new Dictionary<string, string>(StringComparer.Ordinal);
        var number = 0;
        using var lines = new StreamReader(new MemoryStream(bytes.ToArray()));
        while (lines.ReadLine() is { } line)
        {
            number++;
            if (line.Length == 0 || line[0] == '#')
                continue;
            if (line.Split(':', 2) is not [{ Length: > 0 } name, var hash] || !IsBcrypt(hash))
                return Refused($"line {number} is not NAME:HASH with a bcrypt hash, as htpasswd -B writes it");
            if (!hashes.TryAdd(name, hash))
                return Refused($"line {number} names a user once more");
        }

        return new UserList(hashes.ToFrozenDictionary(StringComparer.Ordinal), null);
    }

    private static UserList Refused(string flaw) => new(FrozenDictionary<string, string>.Empty, flaw);

    private static bool IsBcrypt(string hash) =>
        hash.Length == 60 && hash.StartsWith("$2", StringComparison.Ordinal) && BCrypt.Net.BCrypt.InterrogateHash(hash) is not null;
}
