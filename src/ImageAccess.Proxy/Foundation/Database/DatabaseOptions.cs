using ImageAccess.Proxy.Foundation.Files;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Foundation.Database;

/// <summary>Where the database is: the section <c>Database</c>. Without a connection string it is a file in the data directory.</summary>
internal sealed class DatabaseOptions
{
    public const string Section = "Database";

    /// <summary>A connection string of PostgreSQL, from the environment alone: it may have a password in it.</summary>
    public string? ConnectionString { get; set; }

    public string? ConnectionStringFile { get; set; }

    /// <summary><c>Data:Directory</c>.</summary>
    public string DataDirectory { get; set; } = "";

    public string FilePath => Path.Combine(DataDirectory, "imageaccess.db");

    public bool IsPostgres => ConnectionString is not null || ConnectionStringFile is not null;

    public static DatabaseOptions Of(IConfiguration configuration)
    {
        var options = configuration.GetSection(Section).Get<DatabaseOptions>() ?? new DatabaseOptions();
        options.DataDirectory = configuration["Data:Directory"] ?? "";
        return options;
    }

    /// <summary>The connection string; null and why there is none, in a sentence without any part of it.</summary>
    public string? ReadConnectionString(out string problem)
    {
        problem = "";
        return ConnectionStringFile is null ? ConnectionString : SecretFile.Read(ConnectionStringFile, "connection string", out problem);
    }

    public IEnumerable<string> Faults()
    {
        if (DataDirectory.Length == 0)
            yield return "Data:Directory: name a directory";
        if (!IsPostgres)
            yield break;
        if (ConnectionString is not null && ConnectionStringFile is not null)
            yield return "Database:ConnectionStringFile: name a file, or set IMAGEACCESS_Database__ConnectionString: one of the two";
        else if (ReadConnectionString(out var problem) is not { } text)
            yield return $"Database:ConnectionStringFile: {problem}";
        else if (PostgresDatabase.Fault(text) is { } fault)
            yield return $"Database:ConnectionString{(ConnectionStringFile is null ? "" : "File")}: {fault}";
    }
}

internal sealed class DatabaseOptionsValidation : IValidateOptions<DatabaseOptions>
{
    public ValidateOptionsResult Validate(string? name, DatabaseOptions options) =>
        options.Faults().ToList() is { Count: > 0 } faults ? ValidateOptionsResult.Fail(faults) : ValidateOptionsResult.Success;
}
