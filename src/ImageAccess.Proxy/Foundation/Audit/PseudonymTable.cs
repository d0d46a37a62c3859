using System.Security.Cryptography;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Foundation.Database.Keys;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Foundation.Audit;

/// <summary>The table that says who a pseudonym is.</summary>
internal sealed class PseudonymTable(DatabaseContext context, KeyFile file)
{
    /// <summary>The name of its sequence.</summary>
    public const string Sequence = "pseudonyms";

    private readonly Wrapping _wrapping = Pseudonyms.NewWrapping(Opened(file));

    /// <summary>What came after a line; without EF, because the start reads it.</summary>
    public static async Task<PseudonymRows> ReadAsync(SqlDatabase database, long after, CancellationToken cancellationToken)
    {
        await using var connection = database.CreateConnection();
        await connection.OpenAsync(cancellationToken);
        await using var command = connection.CreateCommand();
        command.CommandText = """SELECT "Id", "Pseudonym", "Wrapped", "WrappedBy", (SELECT COUNT(*) FROM "Pseudonyms") FROM "Pseudonyms" WHERE "Id" > @after OR "Pseudonym" = 'salt' ORDER BY "Id";""";
        var parameter = command.CreateParameter();
        (parameter.ParameterName, parameter.Value) = ("@after", after);
        command.Parameters.Add(parameter);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var (rows, count) = (new List<PseudonymRow>(), 0);
        while (await reader.ReadAsync(cancellationToken))
        {
            rows.Add(new PseudonymRow { Id = reader.GetInt64(0), Pseudonym = reader.GetString(1), Wrapped = (byte[])reader.GetValue(2), WrappedBy = reader.GetString(3) });
            count = (int)reader.GetInt64(4);
        }

        var salt = rows.Find(row => row.Pseudonym == PseudonymRow.Salt);
        return new PseudonymRows(salt, rows.FindAll(row => row != salt), Math.Max(0, count - 1), after == 0);
    }

    /// <summary>Adds what is not there yet.</summary>
    /// <param name="salt">The one that the pseudonyms were made with.</param>
    /// <returns>False where the table has another salt, and nothing was added: somebody was forgotten, and it may be one of them.</returns>
    public async Task<bool> AddAsync(byte[] salt, IReadOnlyList<PseudonymLine> lines, CancellationToken cancellationToken)
    {
        var own = await context.Pseudonyms.FirstOrDefaultAsync(row => row.Pseudonym == PseudonymRow.Salt, cancellationToken);
        if (own is not null && _wrapping.Unwrap(own.Wrapped, own.WrappedBy, PseudonymRow.Salt)?.AsSpan().SequenceEqual(salt) is not true)
            return false;
        if (own is null)
            context.Pseudonyms.Add(new PseudonymRow { Pseudonym = PseudonymRow.Salt, Wrapped = _wrapping.Wrap(salt, PseudonymRow.Salt), WrappedBy = file.Fingerprint });
        var pseudonyms = lines.Select(line => line.Pseudonym).ToList();
        var known = await context.Pseudonyms.Where(row => pseudonyms.Contains(row.Pseudonym)).Select(row => row.Pseudonym).ToListAsync(cancellationToken);
        context.Pseudonyms.AddRange(lines.ExceptBy(known, line => line.Pseudonym)
            .Select(line => new PseudonymRow { Pseudonym = line.Pseudonym, Wrapped = Pseudonyms.Wrap(_wrapping, line), WrappedBy = file.Fingerprint }));
        await SequenceRow.RaiseAsync(context, Sequence, cancellationToken);
        await context.SaveChangesAsync(cancellationToken);
        return true;
    }

    /// <summary>Whose pseudonym it is; null where nobody can say it.</summary>
    public async Task<string?> FindAsync(string pseudonym, CancellationToken cancellationToken) =>
        await context.Pseudonyms.AsNoTracking().FirstOrDefaultAsync(row => row.Pseudonym == pseudonym, cancellationToken) is { } row ? Pseudonyms.Unwrap(_wrapping, row) : null;

    /// <summary>Deletes who a caller is, and makes another salt: afterwards nobody can say it, nor compute it.</summary>
    /// <returns>How many pseudonyms the caller had.</returns>
    /// <exception cref="DatabaseException">Another key wrapped them: it cannot be found out.</exception>
    public async Task<int> ForgetAsync(Func<PseudonymLine, bool> isForgotten, CancellationToken cancellationToken)
    {
        var rows = await context.Pseudonyms.AsNoTracking().ToListAsync(cancellationToken);
        if (rows.Exists(row => row.WrappedBy != file.Fingerprint))
            throw new DatabaseException($"has pseudonyms that are wrapped by another key than {file.Path}: put that key back, or name it with {KeyFile.Setting}");
        var forgotten = rows.Where(row => row.Pseudonym != PseudonymRow.Salt && Pseudonyms.Unwrap(_wrapping, row) is { } name && isForgotten(new PseudonymLine(row.Pseudonym, name))).Select(row => row.Id).ToList();
        foreach (var some in forgotten.Chunk(500))
            await context.Pseudonyms.Where(row => some.Contains(row.Id)).ExecuteDeleteAsync(cancellationToken);
        if (rows.Exists(row => row.Pseudonym == PseudonymRow.Salt))
        {
            var salt = await context.Pseudonyms.FirstAsync(row => row.Pseudonym == PseudonymRow.Salt, cancellationToken);
            salt.Wrapped = _wrapping.Wrap(RandomNumberGenerator.GetBytes(Pseudonyms.SaltSize), PseudonymRow.Salt);
            await SequenceRow.RaiseAsync(context, Sequence, cancellationToken);
            await context.SaveChangesAsync(cancellationToken);
        }

        return forgotten.Count;
    }

    private static KeyFile Opened(KeyFile file)
    {
        try
        {
            return file.IsOpen || file.Open() is not { } cause ? file : throw new DatabaseException($"has pseudonyms, and {file.Path}, which wraps who they are, cannot be made: {cause}");
        }
        catch (OptionsValidationException exception)
        {
            throw new DatabaseException($"has pseudonyms, and the key that wraps who they are cannot be used: {exception.Message}");
        }
    }
}
