using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Foundation.Files;
using ImageAccess.Proxy.Policies.Following;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Policies.Store;

/// <summary>The policy that a start would put into force, found without starting and without writing anything.</summary>
/// <param name="Policy">The policy.</param>
/// <param name="Path">The file or the database that it is from; null where there is none and image access is off.</param>
/// <param name="Concern">Why it is not what the administrator wrote last; null when it is.</param>
internal sealed record PolicyOnDisk(Policy Policy, string? Path, string? Concern)
{
    /// <summary>How long a database may take to answer.</summary>
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(10);

    /// <summary>Its bytes; none where there is none.</summary>
    public byte[] Document { get; private init; } = [];

    /// <summary>The same, wherever the document lives.</summary>
    /// <exception cref="OptionsValidationException">There is none that could be in force.</exception>
    public static async Task<PolicyOnDisk> FindAsync(IConfiguration configuration, CancellationToken cancellationToken)
    {
        var options = PolicyStoreOptions.Of(configuration);
        if (PolicyHome.Find(options).Source == PolicySource.File)
            return Find(options);
        var databaseOptions = DatabaseOptions.Of(configuration);
        return databaseOptions.Faults().ToList() is { Count: > 0 } faults
            ? throw new OptionsValidationException(DatabaseOptions.Section, typeof(DatabaseOptions), faults)
            : await FindAsync(options, SqlDatabase.Of(databaseOptions), cancellationToken);
    }

    /// <summary>Of a file.</summary>
    /// <exception cref="OptionsValidationException">There is none that could be in force.</exception>
    public static PolicyOnDisk Find(PolicyStoreOptions options)
    {
        var document = Parse(new WholeFile(options.DocumentPath, options.MaximumSize).Read());
        var kept = document.Value is null ? ReadCopy(options) : null;
        return kept is { IsMissing: true } && document.IsMissing && !options.IsExplicit
            ? new PolicyOnDisk(Policy.Off, null, null)
            : Choose(document, kept, options, options.DocumentPath, $"Policy:File: {options.DocumentPath}");
    }

    /// <summary>What the compiler makes of a document.</summary>
    public static ParsedFile<Policy> Parse(FileReading reading) => new(reading, Compile);

    private static async Task<PolicyOnDisk> FindAsync(PolicyStoreOptions options, SqlDatabase database, CancellationToken cancellationToken)
    {
        var document = Parse(await ReadAsync(options, database, cancellationToken));
        return Choose(document, document.Value is null ? ReadCopy(options) : null, options, database.Name, $"Policy:Source: {database.Name}");
    }

    private static async Task<FileReading> ReadAsync(PolicyStoreOptions options, SqlDatabase database, CancellationToken cancellationToken)
    {
        if (!database.Exists)
            return FileReading.Failed("is not there");
        try
        {
            return await Task.Run(ReadAsync, cancellationToken).WaitAsync(Limit, TimeProvider.System, cancellationToken);
        }
        catch (Exception exception) when (!cancellationToken.IsCancellationRequested)
        {
            return FileReading.Failed(database.Explain(exception));
        }

        async Task<FileReading> ReadAsync()
        {
            var point = await database.ReadSequenceAsync(PolicyVersions.Sequence, cancellationToken);
            return (await PolicyVersions.ReadDocumentAsync(database, point, options.MaximumSize, cancellationToken)).Document;
        }
    }

    private static PolicyOnDisk Choose(ParsedFile<Policy> document, ParsedFile<Policy>? kept, PolicyStoreOptions options, string name, string key)
    {
        if (document.Value is { } policy)
            return new PolicyOnDisk(Followed(policy, options), name, null) { Document = document.Bytes! };
        if (kept?.Value is { } accepted)
            return new PolicyOnDisk(Followed(accepted, options), options.CopyPath, $"{name} {document.Flaw}") { Document = kept.Bytes! };
        throw new OptionsValidationException(nameof(PolicyStoreOptions), typeof(PolicyStoreOptions), [$"{key} {document.Flaw}"]);
    }

    /// <summary>With Docker Hub's own switches, as the proxy on this data directory read them last.</summary>
    private static Policy Followed(Policy policy, PolicyStoreOptions options) => policy.With(FollowedCopy.Find(options.DataDirectory, policy));

    private static ParsedFile<Policy> ReadCopy(PolicyStoreOptions options) => Parse(new WholeFile(options.CopyPath, options.MaximumSize).Read());

    private static Policy? Compile(ReadOnlyMemory<byte> content, out IReadOnlyList<string> problems)
    {
        _ = PolicyCompiler.TryCompile(content, out var policy, out var found);
        problems = [.. found.Select(problem => problem.ToString())];
        return policy;
    }
}
