using System.Xml.Linq;
using Microsoft.AspNetCore.DataProtection.Repositories;
using Microsoft.EntityFrameworkCore;

namespace ImageAccess.Proxy.Foundation.Database.Keys;

/// <summary>
/// The key ring as the database was read last. Data protection asks it in the middle of a request, so it waits for nothing: a new key is good at
/// once, and is written as soon as the database can be. Before the database has been read there are no keys, and none is made.
/// </summary>
internal sealed class KeyStore(KeyFile file, DatabaseState state, TimeProvider time, ILogger<KeyStore> logger) : IXmlRepository, IDatabaseWriter, IDisposable
{
    /// <summary>The name of its sequence.</summary>
    public const string Sequence = "keys";

    /// <summary>How many the database keeps: one is made in three months.</summary>
    public const int Maximum = 500;

    private readonly Lock _gate = new();
    private readonly KeyWrapping _wrapping = new(file);
    private Dictionary<string, XElement> _known = [];
    private List<DataProtectionKeyRow> _unwritten = [];
    private CancellationTokenSource _changed = new();
    private SequencePoint _point = SequencePoint.None;
    private bool _isRead;
    private bool _isUsed;
    private int _told;

    public SequencePoint Point
    {
        get
        {
            lock (_gate)
                return _point;
        }
    }

    /// <summary>Whether anybody has asked for the keys.</summary>
    public bool IsUsed
    {
        get
        {
            lock (_gate)
                return _isUsed;
        }
    }

    /// <summary>Whether the database has been read: before that there are no keys.</summary>
    public bool IsRead
    {
        get
        {
            lock (_gate)
                return _isRead;
        }
    }

    /// <summary>Cancelled when there are other keys than before.</summary>
    public CancellationToken Changed
    {
        get
        {
            lock (_gate)
                return _changed.Token;
        }
    }

    public bool IsWaiting
    {
        get
        {
            lock (_gate)
                return _unwritten.Count > 0;
        }
    }

    public bool LosesAtStop => IsWaiting;

    /// <exception cref="InvalidOperationException">The database has not been read yet.</exception>
    public IReadOnlyCollection<XElement> GetAllElements()
    {
        lock (_gate)
        {
            if (!_isRead)
                throw new InvalidOperationException("The keys of the database have not been read yet.");
            _isUsed = true;
            return [.. _known.Values.Select(element => new XElement(element))];
        }
    }

    public void StoreElement(XElement element, string friendlyName)
    {
        var row = new DataProtectionKeyRow
        {
            Name = friendlyName,
            WrappedBy = file.Fingerprint,
            Wrapped = _wrapping.Wrap(element, friendlyName),
            At = SqlDatabase.NowOf(time),
        };
        lock (_gate)
        {
            _known[friendlyName] = new XElement(element);
            _unwritten.Add(row);
        }

        state.Wake();
    }

    public async Task WriteAsync(SqlDatabase database, CancellationToken cancellationToken)
    {
        List<DataProtectionKeyRow> writing;
        lock (_gate)
            writing = [.. _unwritten];
        await database.WriteAsync(
            async context =>
            {
                await SequenceRow.RaiseAsync(context, Sequence, cancellationToken);
                context.DataProtectionKeys.AddRange(writing.Select(row => row with { Id = 0 })); // the same once more, where the last try failed
                await context.SaveChangesAsync(cancellationToken);
                var beyond = context.DataProtectionKeys.OrderByDescending(row => row.Id).Skip(Maximum).Select(row => row.Id);
                await context.DataProtectionKeys.Where(row => beyond.Contains(row.Id)).ExecuteDeleteAsync(cancellationToken);
                await database.TellAsync(context, cancellationToken);
            },
            cancellationToken);
        lock (_gate)
            _unwritten = [.. _unwritten.Except(writing)];
    }

    /// <summary>What the database has. Keys that another key file has wrapped are told, and are of no use.</summary>
    public void Accept(string database, SequencePoint point, IReadOnlyList<DataProtectionKeyRow> rows)
    {
        var read = rows.Select(row => (row.Name, Element: _wrapping.Unwrap(row))).ToList();
        var foreign = read.Count(row => row.Element is null);
        CancellationTokenSource former;
        lock (_gate)
        {
            var known = _unwritten.Select(row => row.Name).Distinct().ToDictionary(name => name, name => _known[name]);
            foreach (var (name, element) in read.Where(row => row.Element is not null))
                known[name] = element!;
            (_known, _point, _isRead) = (known, point, true);
            (former, _changed) = (_changed, new CancellationTokenSource());
            if (foreign > _told)
                logger.ForeignKeys(foreign, database, file.Path);
            _told = foreign;
        }

        former.Cancel();
    }

    /// <summary>The database has been looked at, and has nothing new.</summary>
    public void Confirm()
    {
        lock (_gate)
            _isRead = true;
    }

    public void Dispose()
    {
        lock (_gate)
            _changed.Dispose();
    }

    public static Task<List<DataProtectionKeyRow>> ListAsync(DatabaseContext context, CancellationToken cancellationToken) =>
        context.DataProtectionKeys.AsNoTracking().OrderBy(row => row.Id).Take(Maximum).ToListAsync(cancellationToken);
}

internal static partial class KeysLog
{
    [LoggerMessage(
        1,
        LogLevel.Warning,
        "{Count} data-protection keys of {Database} are not wrapped by the key in {Path}: what they protected, as sign-ins, is no longer good, and another key is "
        + "made when one is needed. Was the file replaced by mistake, put the former one back; replicas must have the same")]
    public static partial void ForeignKeys(this ILogger logger, int count, string database, string path);

    [LoggerMessage(2, LogLevel.Error, "The key file {Path} cannot be made: {Cause}; what it is to protect, as sign-ins, does not work until it can; trying again")]
    public static partial void KeyFileNotMade(this ILogger logger, string path, string cause);
}
