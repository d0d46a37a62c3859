using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using ImageAccess.Proxy.Foundation.Configuration;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Foundation.Database.Keys;
using ImageAccess.Proxy.Foundation.Files;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Foundation.Audit;

/// <summary>
/// Reads who the pseudonyms are whenever that has changed, and writes who is new. The salt is kept in a file too, so that a caller has the same pseudonym
/// where the database is away at the start.
/// </summary>
internal sealed class PseudonymsReader : DatabaseReader, IDatabaseWriter
{
    /// <summary>How many are written in one transaction.</summary>
    private const int Together = 500;

    private const int MaximumCopySize = 4096;

    /// <summary>By the machine's own clock: a database that does not answer must not hold up the start.</summary>
    private static readonly TimeSpan StartLimit = TimeSpan.FromSeconds(2);

    private readonly KeyFile _key;
    private readonly Pseudonyms _names;
    private readonly string _path;
    private readonly KeptCopy _copy;
    private byte[]? _kept;
    private SequencePoint? _read;

    public PseudonymsReader(
        SqlDatabase database, DatabaseState state, KeyFile key, Pseudonyms names, IOptions<AuditOptions> options, TimeProvider time, ILogger<PseudonymsReader> logger)
        : base(database, state, PseudonymTable.Sequence, time)
    {
        (_key, _names, _path) = (key, names, options.Value.SaltPath);
        _copy = new KeptCopy(_path, logger.SaltNotKept);
        names.WhenWaiting = state.Wake;
    }

    public bool IsWaiting => _names.HasWaiting;

    public bool LosesAtStop => _names.HasWaiting;

    protected override SequencePoint? LastRead => _read;

    /// <exception cref="OptionsValidationException">There is no key: then there is no pseudonym, and no start.</exception>
    public override async Task StartAsync(CancellationToken cancellationToken)
    {
        if (!_key.IsOpen && _key.Open() is { } cause)
            throw ConfigurationLoading.FailedForNow($"Audit:Callers: pseudonyms need the key {_key.Path}, which cannot be made: {cause}");
        _kept = ReadCopy();
        _names.Begin(_kept ?? RandomNumberGenerator.GetBytes(Pseudonyms.SaltSize));
        using (var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken))
        {
            limit.CancelAfter(StartLimit);
            try
            {
                await Task.Run(() => LookAsync(limit.Token), cancellationToken).WaitAsync(StartLimit, TimeProvider.System, cancellationToken);
            }
            catch (Exception) when (!cancellationToken.IsCancellationRequested)
            {
                // The database tells why itself, and it is read later.
            }
        }

        KeepSalt();
        await base.StartAsync(cancellationToken);
    }

    public async Task WriteAsync(SqlDatabase database, CancellationToken cancellationToken)
    {
        for (var areWritten = true; areWritten && _names.HasWaiting;)
        {
            var (salt, lines) = _names.Waiting(Together);
            await database.WriteAsync(
                async context =>
                {
                    areWritten = await new PseudonymTable(context, _key).AddAsync(salt, lines, cancellationToken);
                    await database.TellAsync(context, cancellationToken);
                },
                cancellationToken);
            _names.EndWaiting(salt, lines, areWritten);
        }
    }

    protected override async Task ReadAsync(SequencePoint point, CancellationToken cancellationToken)
    {
        if (!_names.Take(await PseudonymTable.ReadAsync(Database, _names.Last, cancellationToken), Database.Name))
            _names.Take(await PseudonymTable.ReadAsync(Database, after: 0, cancellationToken), Database.Name);
        KeepSalt();
        _read = point;
        if (_names.HasWaiting)
            _names.WhenWaiting?.Invoke();
    }

    protected override void Confirm()
    {
    }

    protected override void Fail(string cause)
    {
        // Those that are known go on, and /readyz tells of the database.
    }

    private void KeepSalt()
    {
        if (_kept is { } kept && kept.AsSpan().SequenceEqual(_names.Salt) && _copy.Failure is null)
            return;
        _kept = _names.Salt;
        _copy.Keep(Encoding.ASCII.GetBytes(Convert.ToBase64String(_kept) + "\n"));
    }

    private byte[]? ReadCopy()
    {
        var salt = new byte[Pseudonyms.SaltSize + 1];
        return new WholeFile(_path, MaximumCopySize).Read().Bytes is { } content && content.Span.Trim(" \t\r\n"u8) is var text
            && Base64.IsValid(text, out var length) && length == Pseudonyms.SaltSize && Base64.DecodeFromUtf8(text, salt, out _, out _) == System.Buffers.OperationStatus.Done
            ? salt[..Pseudonyms.SaltSize]
            : null;
    }
}
