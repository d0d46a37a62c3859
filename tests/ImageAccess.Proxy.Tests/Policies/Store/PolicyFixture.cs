using System.Text;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Foundation.Audit;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Policies.Exceptions;
using ImageAccess.Proxy.Policies.Following;
using ImageAccess.Proxy.Policies.Store;
using ImageAccess.Proxy.Tests.Foundation.Audit;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Tests.Policies.Store;

/// <summary>A data directory, a policy document in a folder of its own, and stores that are started over them.</summary>
public sealed class PolicyFixture : IDisposable
{
    public const string Strict = """{ "organizations": [ { "name": "acme", "enabled": true, "allow": { "community": false } } ] }""";

    /// <summary>As long as the strict one, to the byte.</summary>
    public const string Lax = """{ "organizations": [ { "name": "acme", "enabled": true, "allow": { "community": true  } } ] }""";

    private readonly TemporaryDirectory _directory = new();

    public PolicyFixture()
    {
        Directory.CreateDirectory(_directory["etc"]);
        Directory.CreateDirectory(Data);
    }

    public ManualTime Time { get; } = new();

    public LogLines<PolicyStore> Log { get; } = new();

    internal LogLines<ExceptionStore> ExceptionsLog { get; } = new();

    internal LogLines<PolicyHistory> HistoryLog { get; } = new();

    /// <summary>What a store reads that has its home in a database.</summary>
    internal DatabaseDocument OfDatabase { get; } = new("a database");

    public AuditFixture Audit { get; } = new();

    public string Data => _directory["data"];

    public string Document => Path.Combine(_directory["etc"], "policy.json");

    public string HistoryFile => Path.Combine(Data, "policy.history.json");

    public string Copy => Path.Combine(Data, "policy.accepted.json");

    public static Policy Compile(string document)
    {
        Assert.True(PolicyCompiler.TryCompile(Encoding.UTF8.GetBytes(document), out var policy, out var problems), string.Join('\n', problems));
        return policy;
    }

    public static string VersionOf(string document) => Compile(document).Version;

    public string this[string name] => Path.Combine(_directory["etc"], name);

    /// <summary>As a start of the program with <c>Policy:File</c>.</summary>
    public PolicyStore Start() => Start(Document);

    /// <summary>As a start of the program, the key as given.</summary>
    public PolicyStore Start(string? file)
    {
        var store = NotStarted(file);
        store.Open();
        return store;
    }

    public PolicyStore NotStarted(string? file, long maximumSize = 64 * 1024) => NotStarted(file, Exceptions(), maximumSize);

    internal PolicyStore NotStarted(string? file, ExceptionStore exceptions, long maximumSize = 64 * 1024) =>
        NotStarted(new PolicyStoreOptions { File = file, DataDirectory = Data, MaximumSize = maximumSize }, exceptions, OfDatabase);

    /// <summary>With the keys as given, and the document of a database.</summary>
    internal PolicyStore NotStarted(PolicyStoreOptions options, ExceptionStore exceptions, DatabaseDocument ofDatabase, FollowedStore? followed = null) =>
        new(options, ofDatabase, exceptions, followed ?? Followed(), Audit.Trail, Time, Log);

    /// <summary>The exceptions of the same data directory.</summary>
    internal ExceptionStore Exceptions() => new(new ExceptionsOptions { DataDirectory = Data }, Audit.Trail, Time, ExceptionsLog);

    /// <summary>Docker Hub's own switches of the same data directory.</summary>
    internal FollowedStore Followed() => new(Options.Create(new FollowOptions { DataDirectory = Data }), NullLogger<FollowedStore>.Instance);

    /// <summary>The history's writer over the same data directory.</summary>
    internal PolicyHistory History(DatabaseState? database = null) =>
        new(Options.Create(new PolicyStoreOptions { File = Document, DataDirectory = Data }), database ?? new DatabaseState(), Time, HistoryLog);

    /// <summary>The next change that the audit trail was told of; null when there is none.</summary>
    internal PolicyEvent? NextChange() => Audit.Pending.TryTake(out var change) ? Assert.IsType<PolicyEvent>(change) : null;

    public void Dispose()
    {
        Audit.Dispose();
        _directory.Dispose();
    }
}
