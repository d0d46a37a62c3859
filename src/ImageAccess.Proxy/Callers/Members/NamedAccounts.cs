using System.Collections.Immutable;
using System.Text.Json;
using System.Threading.Channels;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Foundation.Files;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Callers.Members;

/// <summary>The account that a user name of the policy's lists stands for.</summary>
/// <param name="Account">Docker Hub's id.</param>
/// <param name="Others">Accounts that were seen with the name since, the newest last: nothing is granted to them.</param>
internal sealed record NameHolder(string Account, ImmutableArray<string> Others);

/// <summary>
/// Which account stands behind each user name that the policy's own lists name: the one that the document writes beside it, else the
/// one that somebody has confirmed, else the one that was known or seen first. Another one that comes by the name is granted nothing by it
/// until the document or a confirmation says so, or until the name was out of the lists for a while. It is on disk, and has no more names than the policy.
/// </summary>
public sealed class NamedAccounts(IOptions<DirectoryOptions> options, ConfirmedAccounts confirmed)
{
    /// <summary>How many other accounts are kept of a name, so that each is told once.</summary>
    private const int MaximumOthers = 4;

    private const long MaximumSize = 64 * 1024 * 1024;

    private static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web)
    {
        RespectNullableAnnotations = true,
        RespectRequiredConstructorParameters = true,
    };

    private readonly Lock _gate = new();
    private volatile ImmutableDictionary<string, NameHolder> _holders = ImmutableDictionary<string, NameHolder>.Empty;
    private ImmutableDictionary<string, NameHolder> _kept = ImmutableDictionary<string, NameHolder>.Empty;
    private readonly Channel<bool> _changes = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });
    private volatile string? _flaw;

    internal string FilePath => options.Value.AccountsPath;

    /// <summary>Why the kept accounts cannot be used, to follow the file's path; null when they can.</summary>
    internal string? Flaw => _flaw;

    /// <summary>That something is to be kept: at most one wait is signalled.</summary>
    internal ChannelReader<bool> Changes => _changes.Reader;

    /// <summary>There was no file to begin with.</summary>
    internal bool IsNew { get; private set; }

    /// <summary>Each name that an account was seen with.</summary>
    internal IReadOnlyDictionary<string, NameHolder> Holders => _holders;

    /// <summary>Names that more than one account was seen with, and that neither the document nor a confirmation has an account for.</summary>
    internal IReadOnlyList<string> Disputed(Policy policy) =>
        [.. _holders.Where(pair => pair.Value.Others.Length > 0 && SaidOf(pair.Key, policy) is null).Select(pair => pair.Key).Order(StringComparer.Ordinal)];

    /// <summary>Whether it is one of those names.</summary>
    internal bool IsDisputed(string name, Policy policy) => SaidOf(name, policy) is null && _holders.TryGetValue(name, out var holder) && holder.Others.Length > 0;

    /// <summary>The account that the document writes beside the name, or that somebody has confirmed; null where nobody has said it.</summary>
    internal string? SaidOf(string name, Policy policy) => policy.AccountOf(name) ?? confirmed.AccountOf(name, policy);

    /// <summary>Whether what the policy grants to the name is for this account.</summary>
    /// <param name="name">A name of the policy's lists.</param>
    /// <param name="account">Who has it, as the caller's token says.</param>
    /// <param name="listed">Who has it, as a member list says; null where none does.</param>
    /// <param name="policy">The policy that the caller is about to be judged by.</param>
    /// <param name="former">Where this account is seen with the name for the first time, and the name is another's: whose.</param>
    internal bool Holds(string name, string account, string? listed, Policy policy, out string? former)
    {
        former = null;
        var written = SaidOf(name, policy);
        if (_flaw is not null)
            return account == written;
        if (_holders.TryGetValue(name, out var holder) && (written is null || written == holder.Account))
        {
            if (holder.Account == account)
                return true;
            if (holder.Others.Contains(account))
                return false;
        }

        lock (_gate)
        {
            holder = _holders.GetValueOrDefault(name);
            if (holder is null || (written is not null && written != holder.Account))
                holder = new NameHolder(written ?? listed ?? account, []);
            if (holder.Account != account && !holder.Others.Contains(account))
            {
                former = holder.Account;
                holder = holder with { Others = [.. holder.Others.TakeLast(MaximumOthers - 1), account] };
            }

            Replace(_holders.SetItem(name, holder));
            return holder.Account == account;
        }
    }

    /// <summary>A name that a member list shows in other hands stands for the former ones, unless it was seen before.</summary>
    internal void Begin(IEnumerable<Takeover> takeovers)
    {
        lock (_gate)
        {
            foreach (var takeover in takeovers.Where(takeover => !_holders.ContainsKey(takeover.Username)))
                Replace(_holders.Add(takeover.Username, new NameHolder(takeover.FormerId, [])));
        }
    }

    /// <summary>Begins with what was kept on disk. Without a file no name was ever seen; with one that cannot be read, none is anybody's.</summary>
    internal void Open()
    {
        var reading = new WholeFile(FilePath, MaximumSize).Read();
        try
        {
            if (reading.Bytes is { } bytes)
                _kept = _holders = Parse(bytes.Span);
            IsNew = reading.IsMissing;
            _flaw = reading.IsMissing || reading.Bytes is not null ? null : reading.Failure;
        }
        catch (JsonException)
        {
            _flaw = "is not what was written";
        }
    }

    /// <summary>What a proxy on this data directory has kept; none where the file is not there or is damaged.</summary>
    internal static IReadOnlyDictionary<string, NameHolder> Find(string dataDirectory)
    {
        try
        {
            var path = new DirectoryOptions { DataDirectory = dataDirectory }.AccountsPath;
            return new WholeFile(path, MaximumSize).Read().Bytes is { } bytes ? Parse(bytes.Span) : ImmutableDictionary<string, NameHolder>.Empty;
        }
        catch (JsonException)
        {
            return ImmutableDictionary<string, NameHolder>.Empty;
        }
    }

    private static ImmutableDictionary<string, NameHolder> Parse(ReadOnlySpan<byte> json)
    {
        var holders = JsonSerializer.Deserialize<ImmutableDictionary<string, NameHolder>>(json, Json);
        return holders is null || holders.ContainsValue(null!) ? throw new JsonException() : holders;
    }

    /// <summary>Forgets the names that the policy does not name.</summary>
    internal void Forget(Policy policy)
    {
        lock (_gate)
            Replace(_holders.RemoveRange(_holders.Keys.Where(name => !policy.NamesPerson(name))));
    }

    /// <summary>Writes what is new to disk.</summary>
    /// <exception cref="IOException">It could not be written.</exception>
    internal void Keep()
    {
        var holders = _holders;
        if (_flaw is not null || holders == _kept)
            return;
        AtomicFile.Write(FilePath, file => JsonSerializer.Serialize(file, holders, Json));
        _kept = holders;
    }

    private void Replace(ImmutableDictionary<string, NameHolder> holders)
    {
        _holders = holders;
        _changes.Writer.TryWrite(true);
    }
}
