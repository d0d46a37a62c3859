using System.Collections.Immutable;
using System.Text.Json;
using System.Text.Json.Serialization;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Foundation.Audit;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Foundation.Files;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Callers.Members;

/// <summary>
/// Which account people have confirmed behind a user name, as the database was read last; kept in a file for a restart. It counts as if the
/// policy's document wrote the account beside the name; where the document writes one, that counts. It belongs to no version of the policy.
/// </summary>
public sealed class ConfirmedAccounts
{
    /// <summary>How many can count at a time.</summary>
    internal const int Maximum = 10_000;

    private const long MaximumCopySize = 64 * 1024 * 1024;

    private static readonly JsonSerializerOptions Json = new(ReadableJson.Web)
    {
        WriteIndented = true,
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
        UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
        RespectNullableAnnotations = true,
        RespectRequiredConstructorParameters = true,
    };

    private readonly AuditTrail _trail;
    private readonly ILogger _logger;
    private readonly string _path;
    private readonly KeptCopy _copy;
    private readonly Lock _gate = new();

    private volatile ImmutableDictionary<string, ConfirmedAccountRow> _current = ImmutableDictionary<string, ConfirmedAccountRow>.Empty;
    private volatile string? _unread;
    private volatile string? _unusable;
    private SequencePoint? _point;
    private bool _isRead;

    public ConfirmedAccounts(IOptions<DirectoryOptions> options, AuditTrail trail, ILogger<ConfirmedAccounts> logger)
    {
        ArgumentNullException.ThrowIfNull(options);
        (_trail, _logger, _path) = (trail, logger, options.Value.ConfirmedPath);
        _copy = new KeptCopy(_path, logger.ConfirmedNotKept);
    }

    /// <summary>Where the sequence was when it was read last; null until it has been read.</summary>
    internal SequencePoint? Read
    {
        get
        {
            lock (_gate)
                return _isRead ? _point : null;
        }
    }

    /// <summary>What was told before; null where nothing is known of that.</summary>
    internal SequencePoint? Told
    {
        get
        {
            lock (_gate)
                return _point;
        }
    }

    /// <summary>Why they are not those of the database, or may not outlive a restart; null when all is well.</summary>
    internal string? Concern => _unread
        ?? (_unusable is { } flaw ? $"no account is confirmed until the database has been read, because the copy {_path} {flaw}" : null)
        ?? (_copy.Failure is { } cause ? $"the confirmed accounts could not be kept for a restart: {cause}" : null);

    internal IReadOnlyCollection<ConfirmedAccountRow> All => [.. _current.Values];

    internal ConfirmedAccountRow? Find(string name) => _current.GetValueOrDefault(name);

    /// <summary>The account that somebody has confirmed behind the name; what one organization confirms grants nothing in another.</summary>
    internal string? AccountOf(string name, Policy policy) =>
        _current.TryGetValue(name, out var confirmed) && (confirmed.Organization is null || confirmed.Organization == policy.OnlyOrganizationNaming(name)) ? confirmed.Account : null;

    /// <summary>Begins with those that were kept.</summary>
    internal void Open()
    {
        var reading = new WholeFile(_path, MaximumCopySize).Read();
        lock (_gate)
        {
            try
            {
                if (reading.Bytes is { } bytes)
                    (_point, _current) = Parse(bytes.Span);
                else if (!reading.IsMissing)
                    _unusable = reading.Failure;
            }
            catch (JsonException)
            {
                _unusable = "is not what was written";
            }
        }

        if (_unusable is { } flaw)
            _logger.ConfirmedCopyUnusable(_path, flaw);
    }

    /// <summary>Puts into force what the database has.</summary>
    /// <param name="database">Its name.</param>
    /// <param name="point">Where the sequence was.</param>
    /// <param name="rows">Those that count, and those that came since it was read before.</param>
    internal void Accept(string database, SequencePoint point, IReadOnlyList<ConfirmedAccountRow> rows)
    {
        lock (_gate)
        {
            var before = _current;
            _current = rows.Where(row => row.ReplacedVersion is null).ToImmutableDictionary(row => row.Name);
            foreach (var row in rows.Where(row => !(before.TryGetValue(row.Name, out var known) && known.Id == row.Id && known.At == row.At)))
            {
                _trail.RecordConfirmation((id, now) => new ConfirmationEvent(id, now, row.Name, row.Account, row.By, row.Reason, row.At) { Organization = row.Organization, Ticket = row.Ticket });
                _logger.AccountConfirmed(row.Name, row.Account, row.By, row.Reason);
            }

            (_point, _isRead, _unusable) = (point, true, null);
            Keep(); // after it was told: a program that ends between the two tells it again, and never not at all
        }

        Confirm(database);
    }

    /// <summary>The database has been looked at, and has nothing new.</summary>
    internal void Confirm(string database)
    {
        lock (_gate)
        {
            if (_copy.Failure is not null)
                Keep();
            if (_unread is not null)
                _logger.ConfirmedReadAgain(database, _current.Count);
            _unread = null;
        }
    }

    /// <summary>The database cannot be read.</summary>
    internal void Fail(string database, string cause)
    {
        if (_unread is null)
            _logger.ConfirmedNotRead(database, cause, _current.Count);
        _unread = $"the confirmed accounts of {database} cannot be read: it {cause}; those that were read last stay";
    }

    private void Keep() => _copy.Keep(file => JsonSerializer.Serialize(file, new Written(_point!.Value.Value, _point.Value.Change, [.. _current.Values.OrderBy(row => row.Id)]), Json));

    private static (SequencePoint Point, ImmutableDictionary<string, ConfirmedAccountRow> Rows) Parse(ReadOnlySpan<byte> json)
    {
        var written = JsonSerializer.Deserialize<Written>(json, Json) ?? throw new JsonException();
        if (written.Accounts.Any(row => row is null || row.Name.Length == 0 || !Guid.TryParseExact(row.Account, "N", out _)) || written.Accounts.DistinctBy(row => row.Name).Count() != written.Accounts.Count)
            throw new JsonException();
        return (new SequencePoint(written.Version, written.Change), written.Accounts.ToImmutableDictionary(row => row.Name));
    }

    private sealed record Written(long Version, string Change, IReadOnlyList<ConfirmedAccountRow> Accounts);
}
