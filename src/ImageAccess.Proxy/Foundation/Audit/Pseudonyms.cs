using System.Buffers;
using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;
using System.Text;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Foundation.Database.Keys;
using ImageAccess.Proxy.Foundation.Limits;

namespace ImageAccess.Proxy.Foundation.Audit;

/// <summary>
/// The pseudonyms, in memory. A new one is a keyed hash of the name, so a caller who is first seen has one at once, the same on each replica, while the
/// database is away too; who it is waits for the table. The hash takes the key outside the database and a salt of the table, which another one replaces
/// whenever somebody is forgotten: nobody can compute the former pseudonyms again, and those who were not forgotten have theirs by the table.
/// </summary>
internal sealed class Pseudonyms(KeyFile file) : CallerNames
{
    public const int SaltSize = 32;

    /// <summary>How many lines wait for the table at most; a caller beyond has a line once seen again.</summary>
    public const int MaximumWaiting = 10_000;

    private const string Prefix = "caller-";

    /// <summary>In bytes: so much that no two callers of a company have the same.</summary>
    private const int Size = 12;

    private const string Purpose = "pseudonyms";

    private static readonly SearchValues<char> Digits = SearchValues.Create("0123456789abcdef");

    private readonly Lock _gate = new();
    private readonly Wrapping _wrapping = new(file, Purpose);
    private readonly ConcurrentDictionary<string, WaitingLine> _waiting = new(StringComparer.Ordinal);
    private volatile Salted? _current;
    private volatile string? _concern;
    private volatile bool _lacksSalt;
    private long _last;
    private int _lines;

    public override bool ArePseudonyms => true;

    public override string? Concern => _concern;

    /// <summary>Told that a line waits, on the path of a request: it must not wait.</summary>
    public Action? WhenWaiting { get; set; }

    /// <summary>Somebody waits for the table, or it has no salt yet: then it gets this one, before another process makes its own.</summary>
    public bool HasWaiting => !_waiting.IsEmpty || _lacksSalt;

    /// <summary>Up to which line the table was read.</summary>
    public long Last
    {
        get
        {
            lock (_gate)
                return _last;
        }
    }

    public byte[] Salt => Current.Salt;

    private Salted Current => _current ?? throw new InvalidOperationException("The pseudonyms have not begun.");

    /// <summary>Whether a caller is named by a pseudonym.</summary>
    public static bool Is([NotNullWhen(true)] string? name) =>
        name?.Length == Prefix.Length + 2 * Size && name.StartsWith(Prefix, StringComparison.Ordinal) && !name.AsSpan(Prefix.Length).ContainsAnyExcept(Digits);

    public override string Of(string name)
    {
        var (folded, current) = (Fold(name), Current);
        if (current.Known.TryGetValue(folded, out var known))
            return known;
        if (_waiting.TryGetValue(folded, out var waiting) && waiting.Salt == current.Salt)
            return waiting.Pseudonym;
        var pseudonym = current.Make(folded);
        if (_waiting.Count < MaximumWaiting)
        {
            _waiting[folded] = new WaitingLine(pseudonym, current.Salt);
            WhenWaiting?.Invoke();
        }

        return pseudonym;
    }

    public override string OfSelf(string name)
    {
        var (folded, current) = (Fold(name), Current);
        return current.Known.TryGetValue(folded, out var known) ? known : current.Make(folded);
    }

    public override string OfClaimed(string name, ClientShare client) => Current.MakeClaimed($"{client}\0{Fold(name)}");

    /// <summary>Begins with the salt that this process knows; the table's replaces it.</summary>
    public void Begin(byte[] salt) => _current = NewSalted(salt);

    /// <summary>What waits for the table, some of it.</summary>
    public (byte[] Salt, IReadOnlyList<PseudonymLine> Lines) Waiting(int count)
    {
        var salt = Current.Salt;
        return (salt, [.. _waiting.Where(line => line.Value.Salt == salt).Take(count).Select(line => new PseudonymLine(line.Value.Pseudonym, line.Key))]);
    }

    /// <summary>The table has the lines, or it has another salt: then they are nobody's.</summary>
    public void EndWaiting(byte[] salt, IReadOnlyList<PseudonymLine> lines, bool areWritten)
    {
        var current = Current;
        _lacksSalt = false;
        foreach (var line in lines)
        {
            if (areWritten && current.Salt == salt)
                current.Known.TryAdd(line.Name, line.Pseudonym);
            if (_waiting.TryGetValue(line.Name, out var waiting) && waiting.Pseudonym == line.Pseudonym)
                _waiting.TryRemove(new KeyValuePair<string, WaitingLine>(line.Name, waiting));
        }

        foreach (var (name, waiting) in _waiting.Where(line => line.Value.Salt != current.Salt))
            _waiting.TryRemove(new KeyValuePair<string, WaitingLine>(name, waiting));
    }

    /// <summary>Takes what the table has after the last line that was taken.</summary>
    /// <returns>Whether that goes together; if not, it is to be read as a whole.</returns>
    public bool Take(PseudonymRows rows, string database)
    {
        lock (_gate)
        {
            _lacksSalt = rows.Salt is null;
            var salt = rows.Salt is { } row ? _wrapping.Unwrap(row.Wrapped, row.WrappedBy, PseudonymRow.Salt) : null;
            _concern = rows.Salt is null || salt is not null ? null
                : $"who a pseudonym is cannot be kept: those of {database} are wrapped by another key than {file.Path}: put that key back, or name it with {KeyFile.Setting}";
            var current = Current;
            var isOther = salt is not null && !salt.AsSpan().SequenceEqual(current.Salt);
            if (!rows.IsWhole && (isOther || _lines + rows.Lines.Count != rows.Count))
                return false;
            var next = rows.IsWhole ? NewSalted(isOther ? salt! : current.Salt) : current;
            foreach (var line in rows.Lines)
            {
                if (Unwrap(_wrapping, line) is { } name)
                    next.Known.TryAdd(name, line.Pseudonym);
            }

            (_lines, _last) = (rows.Count, rows.Lines is [.., var last] ? last.Id : rows.IsWhole ? 0 : _last);
            _current = next;
            return true;
        }
    }

    /// <summary>The caller's name, as the table keeps it: all are equally long who have no more than 64 bytes, so that their length tells nothing.</summary>
    public static byte[] Wrap(Wrapping wrapping, PseudonymLine line)
    {
        var name = Encoding.UTF8.GetBytes(line.Name);
        var padded = new byte[(name.Length + 64) / 64 * 64];
        name.CopyTo(padded, 0);
        return wrapping.Wrap(padded, line.Pseudonym);
    }

    /// <returns>Null where another key wrapped it.</returns>
    public static string? Unwrap(Wrapping wrapping, PseudonymRow row) =>
        wrapping.Unwrap(row.Wrapped, row.WrappedBy, row.Pseudonym) is { } padded ? Encoding.UTF8.GetString(padded.AsSpan().TrimEnd((byte)0)) : null;

    public static Wrapping NewWrapping(KeyFile file) => new(file, Purpose);

    /// <summary>Docker Hub's names differ by no more than case.</summary>
    public static string Fold(string name) => name.ToLowerInvariant();

    private Salted NewSalted(byte[] salt) => new(salt, file.Derive($"{Purpose} {Convert.ToHexStringLower(salt)}"));

    private sealed record WaitingLine(string Pseudonym, byte[] Salt);

    private sealed record Salted(byte[] Salt, byte[] Key)
    {
        public ConcurrentDictionary<string, string> Known { get; } = new(StringComparer.Ordinal);

        public string Make(string folded) => Prefix + Hash(folded);

        /// <summary>No name has a null character: so it is nobody's pseudonym.</summary>
        public string MakeClaimed(string claim) => "claimed-" + Hash(claim);

        private string Hash(string text) => Convert.ToHexStringLower(HMACSHA256.HashData(Key, Encoding.UTF8.GetBytes(text)).AsSpan(0, Size));
    }
}

/// <summary>Who a pseudonym is.</summary>
/// <param name="Name">In lower case.</param>
internal readonly record struct PseudonymLine(string Pseudonym, string Name);

/// <summary>What the table has.</summary>
/// <param name="Salt">The row of the salt; null before there is any line.</param>
/// <param name="Lines">Those after a line, in the order in which they came.</param>
/// <param name="Count">How many lines there are in all.</param>
/// <param name="IsWhole">Whether these are all.</param>
internal sealed record PseudonymRows(PseudonymRow? Salt, IReadOnlyList<PseudonymRow> Lines, int Count, bool IsWhole);
