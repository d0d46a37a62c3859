using System.Collections.Concurrent;
using System.Collections.Frozen;
using System.Globalization;
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
internal sealed class ProxyUsers : IReloadable
{
    private static readonly TimeSpan LookAgain = TimeSpan.FromSeconds(1);

    private readonly string? _path;
    private readonly WatchedFile<UserList>? _file;
    private readonly TimeProvider _time;
    private readonly ILogger<ProxyUsers> _logger;
    private readonly Lock _looking = new();
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

    /// <summary>The users as they are now; null where nobody has to sign in.</summary>
    public UserList? Current => _file is null ? null : Look(_file);

    string? IReloadable.Reload()
    {
        if (_file is null)
            return null;
        lock (_looking)
            LookNow(_file);
        return $"the users of the forward proxy, {_path}; {_file.Current!.Hashes.Count} may sign in";
    }

    /// <summary>At most one look for each <see cref="LookAgain"/>, by the connection that comes first.</summary>
    private UserList Look(WatchedFile<UserList> file)
    {
        if (_time.GetElapsedTime(Volatile.Read(ref _looked)) < LookAgain)
            return file.Current!;
        lock (_looking)
        {
            if (_time.GetElapsedTime(_looked) >= LookAgain)
                LookNow(file);
            return file.Current!;
        }
    }

    private void LookNow(WatchedFile<UserList> file)
    {
        Volatile.Write(ref _looked, _time.GetTimestamp());
        var change = file.Look();
        if (change == FileChange.Refused)
            _logger.UsersRefused(_path!, file.Refusal!.Flaw!);
        else if (change == FileChange.Recovered)
            _logger.UsersRecovered(_path!);
    }
}

/// <summary>The users of a file, or in a few words what is wrong with it.</summary>
/// <param name="Hashes">The bcrypt hash of each name.</param>
/// <param name="Flaw">What follows the file's name in a sentence; null when it is good.</param>
internal sealed record UserList(FrozenDictionary<string, string> Hashes, string? Flaw) : IFileContent
{
    private const long MaximumSize = 1024 * 1024;

    /// <summary>What <c>htpasswd -B</c> takes where it is not told.</summary>
    private const int UsualCost = 5;

    /// <summary>For each user the last password that was right. With the next file all are forgotten.</summary>
    public ConcurrentDictionary<string, VerifiedPassword> Verified { get; } = new(StringComparer.Ordinal);

    /// <summary>The largest cost in the file: each costs twice the work of the one before.</summary>
    private int HighestCost { get; } = Hashes.Count == 0 ? UsualCost : Hashes.Values.Max(CostOf);

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

    /// <summary>
    /// Whether the password is the user's. A wrong one takes the same work for every name: as much as the costliest hash of the file, for users
    /// whose own costs less and for names that nobody has. Else the time would tell who is a user.
    /// </summary>
    /// <param name="bcrypt">Verifies a password by a hash, at the hash's cost.</param>
    public bool Verify(string name, string password, Func<string, string, bool> bcrypt)
    {
        if (!Hashes.TryGetValue(name, out var hash))
        {
            bcrypt(password, NobodysHash(HighestCost));
            return false;
        }

        if (bcrypt(password, hash))
            return true;
        for (var cost = CostOf(hash); cost < HighestCost; cost++)
            bcrypt(password, NobodysHash(cost)); // 2^c, and again 2^c, 2^(c+1), ..., comes to 2^highest
        return false;
    }

    private static string NobodysHash(int cost) => string.Create(CultureInfo.InvariantCulture, $"$2b${cost:00}${new string('.', 53)}");

    private static int CostOf(string hash) => int.Parse(BCrypt.Net.BCrypt.InterrogateHash(hash).WorkFactor, CultureInfo.InvariantCulture);

    private static UserList Refused(string flaw) => new(FrozenDictionary<string, string>.Empty, flaw);

    private static bool IsBcrypt(string hash)
    {
        try
        {
            return hash.Length == 60 && hash.StartsWith("$2", StringComparison.Ordinal) && BCrypt.Net.BCrypt.InterrogateHash(hash) is not null;
        }
        catch (BCrypt.Net.HashInformationException)
        {
            return false;
        }
    }
}

/// <summary>A password that bcrypt has found right, so that not every connection costs a hash.</summary>
/// <param name="Fingerprint">Its hash under a key of this process.</param>
/// <param name="Until">Until when it is remembered, unless it is used again.</param>
internal sealed record VerifiedPassword(string Fingerprint, DateTimeOffset Until);
