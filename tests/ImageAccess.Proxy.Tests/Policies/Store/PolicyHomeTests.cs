using System.Runtime.Versioning;
using System.Text;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Foundation.Configuration;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Foundation.Files;
using ImageAccess.Proxy.Policies.Store;
using ImageAccess.Proxy.Tests.Foundation.Files;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Tests.Policies.Store;

/// <summary>Where the policy document lives is a person's decision: nothing that is gone or fails hands it over.</summary>
[UnsupportedOSPlatform("windows")]
public sealed class PolicyHomeTests : IDisposable
{
    private static readonly string A = PolicyFixture.VersionOf(PolicyFixture.Strict);
    private static readonly string B = PolicyFixture.VersionOf(PolicyFixture.Lax);

    private readonly PolicyFixture _fixture = new();

    private string DefaultDocument => Path.Combine(_fixture.Data, "policy.json");

    private string Memory => Path.Combine(_fixture.Data, "policy.source");

    public void Dispose() => _fixture.Dispose();

    [Fact]
    public void A_data_directory_of_the_version_before_gets_nothing_new()
    {
        File.WriteAllText(DefaultDocument, PolicyFixture.Strict);
        _fixture.OfDatabase.Take(Read(PolicyFixture.Lax));
        Assert.Equal(A, Start(new()).Current.Version);
        Start(new() { Source = "file" });
        Assert.Equal(["policy.accepted.json", "policy.json"], Directory.GetFiles(_fixture.Data).Select(Path.GetFileName).Order());
    }

    [Fact]
    public void A_file_that_is_gone_does_not_hand_over_to_the_database()
    {
        File.WriteAllText(DefaultDocument, PolicyFixture.Strict);
        _fixture.OfDatabase.Take(Read(PolicyFixture.Lax));
        var store = Start(new());
        File.Delete(DefaultDocument);
        store.RefreshTwice();
        Assert.Equal((A, $"{DefaultDocument} does not exist; policy {A}, accepted earlier, stays in force"), (store.Current.Version, store.State!.Concern));
        Assert.Equal(A, Start(new()).Current.Version);
    }

    [Fact]
    public void A_database_that_fails_does_not_hand_over_to_a_file()
    {
        File.WriteAllText(Memory, "database\n");
        _fixture.OfDatabase.Take(Read(PolicyFixture.Strict));
        var store = Start(new());
        Assert.Equal(A, store.Current.Version);
        File.WriteAllText(DefaultDocument, PolicyFixture.Lax);
        _fixture.OfDatabase.Fail("cannot be reached");
        store.RefreshTwice();

        var concern = $"the policy document in a database cannot be reached; policy {A}, accepted earlier, stays in force";
        Assert.Equal((A, concern), (store.Current.Version, store.State!.Concern));
        Assert.Equal([$"The policy document in a database cannot be reached; policy {A}, accepted earlier, stays in force"], _fixture.Log.At(LogLevel.Error));
        var restarted = Start(new());
        Assert.Equal((A, concern), (restarted.Current.Version, restarted.State!.Concern));

        _fixture.OfDatabase.Confirm();
        restarted.Refresh();
        Assert.Null(restarted.State!.Concern);
        Assert.Contains($"The policy document in a database has policy {A}, which is in force, again", _fixture.Log.At(LogLevel.Information));
    }

    [Theory]
    [InlineData("Policy:Source", "database", null, "file")]
    [InlineData("Policy:Source", "file", null, "database")]
    [InlineData("Policy:File", null, "policy", "database")]
    public void A_key_overrules_what_is_remembered_and_is_remembered_itself(string key, string? source, string? file, string remembered)
    {
        File.WriteAllText(Memory, remembered);
        File.WriteAllText(DefaultDocument, PolicyFixture.Strict);
        File.WriteAllText(_fixture.Document, PolicyFixture.Strict);
        _fixture.OfDatabase.Take(Read(PolicyFixture.Lax));
        var path = file is null ? DefaultDocument : _fixture.Document;
        var store = Start(new() { Source = source, File = file is null ? null : path });

        var isDatabase = source == "database";
        Assert.Equal(isDatabase ? B : A, store.Current.Version);
        var name = isDatabase ? "a database" : path;
        Assert.Contains($"The policy document is that of {name} from now on, as {key} says, and no longer where it was before", _fixture.Log.At(LogLevel.Warning));
        Assert.Equal(isDatabase ? "database\n" : "file\n", File.ReadAllText(Memory));
        _fixture.Log.Clear();
        Assert.Equal(isDatabase ? B : A, Start(new() { File = file is null ? null : path }).Current.Version);
        Assert.DoesNotContain(_fixture.Log.At(LogLevel.Warning), line => line.Contains("from now on", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("elsewhere", null, "Policy:Source: 'elsewhere' is neither file nor database")]
    [InlineData("database", "/etc/policy.json", "Policy:File: the policy document is in the database (Policy:Source): leave one of the two keys out")]
    public void Keys_that_make_no_sense_stop_the_start(string source, string? file, string fault)
    {
        var failure = Assert.Throws<OptionsValidationException>(() => Start(new() { Source = source, File = file }));
        Assert.Equal([fault], failure.Failures);
    }

    [Theory]
    [InlineData("databas")]
    [InlineData("")]
    [InlineData("file database")]
    public void What_is_remembered_and_damaged_stops_the_start_and_a_key_helps(string content)
    {
        File.WriteAllText(Memory, content);
        File.WriteAllText(DefaultDocument, PolicyFixture.Lax);
        var failure = Assert.Throws<OptionsValidationException>(() => Start(new()));
        Assert.Equal([$"Policy:Source: {Memory} is not what was written: it says where the policy document lives; set Policy:Source to file or database"], failure.Failures);
        Assert.Equal(B, Start(new() { Source = "file" }).Current.Version);
    }

    [Fact]
    public void What_others_may_change_is_not_believed()
    {
        File.WriteAllText(Memory, "database");
        File.SetUnixFileMode(Memory, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.OtherWrite);
        var failure = Assert.Throws<OptionsValidationException>(() => Start(new()));
        Assert.StartsWith($"Policy:Source: {Memory} can be changed by others than its owner: chmod go-w", Assert.Single(failure.Failures), StringComparison.Ordinal);
    }

    [Fact]
    public void A_first_start_without_a_copy_and_a_database_opens_nothing()
    {
        File.WriteAllText(DefaultDocument, PolicyFixture.Lax);
        var store = NotStarted(new() { Source = "database" });
        _fixture.OfDatabase.Fail("cannot be reached: no route to host");
        var failure = Assert.Throws<PassingFaultException>(store.Open);
        Assert.Equal(
            [
                "Policy:Source: the policy document is to come from the database, and a database cannot be reached: no route to host",
                "Policy:Source: no policy was accepted before that could stay in force: nothing is opened without one",
            ],
            failure.Failures);
        Assert.Throws<InvalidOperationException>(() => store.Current);
        Assert.False(File.Exists(Memory));

        _fixture.OfDatabase.Take(Read("""{ "organizations": [ { "name": "acme", "enabled": 1 } ] }"""));
        var refused = Assert.Throws<OptionsValidationException>(NotStarted(new() { Source = "database" }).Open);
        Assert.Equal("Policy:Source: the policy document in a database: organizations[0].enabled: must be true or false", refused.Failures.First());
        Assert.IsNotType<PassingFaultException>(refused);
    }

    [Fact]
    public void A_document_that_this_program_cannot_compile_leaves_the_last_one()
    {
        File.WriteAllText(Memory, "database");
        _fixture.OfDatabase.Take(Read(PolicyFixture.Strict));
        var store = Start(new());
        _fixture.OfDatabase.Take(Read("""{ "organizations": [], "later": true }"""));
        store.RefreshTwice();
        Assert.Equal(A, store.Current.Version);
        Assert.StartsWith("the policy document in a database is refused: later: unknown member", store.State!.Concern, StringComparison.Ordinal);
        Assert.Equal(2, _fixture.Log.At(LogLevel.Error).Count);
    }

    [Fact]
    public void Somebody_brings_it_into_the_database_while_the_proxy_runs()
    {
        File.WriteAllText(DefaultDocument, PolicyFixture.Strict);
        var store = Start(new());
        _fixture.OfDatabase.Take(Read(PolicyFixture.Lax));
        store.Refresh();
        Assert.Equal(A, store.Current.Version);
        File.WriteAllText(Memory, "database\n");
        store.Refresh();
        Assert.Equal((B, null), (store.Current.Version, store.State!.Concern));
        Assert.Equal(["organization acme: community images allowed"], _fixture.NextChange()!.Opens);
        Assert.Contains("The policy document is that of a database from now on: somebody has brought it there", _fixture.Log.At(LogLevel.Warning));

        File.Delete(Memory); // nobody hands it back but by a key
        store.RefreshTwice();
        Assert.Equal((B, null), (store.Current.Version, store.State!.Concern));
    }

    [Fact]
    public void What_cannot_be_remembered_is_a_concern_until_it_is()
    {
        _fixture.OfDatabase.Take(Read(PolicyFixture.Strict));
        Directory.CreateDirectory(Memory);
        var store = Start(new() { Source = "database" });
        Assert.Contains("where the policy document lives could not be kept for a restart", store.State!.Concern, StringComparison.Ordinal);
        Directory.Delete(Memory);
        store.RefreshTwice();
        Assert.Null(store.State!.Concern);
        Assert.Equal("database\n", File.ReadAllText(Memory));
    }

    private static DocumentReading Read(string document)
    {
        var bytes = Encoding.UTF8.GetBytes(document);
        var version = PolicyCompiler.TryCompile(bytes, out var policy, out _) ? policy.Version : "other";
        return new DocumentReading(new SequencePoint(1, version), new WrittenVersion(version, version), FileReading.Found(bytes));
    }

    private PolicyStore Start(PolicyStoreOptions options)
    {
        var store = NotStarted(options);
        store.Open();
        return store;
    }

    private PolicyStore NotStarted(PolicyStoreOptions options)
    {
        options.DataDirectory = _fixture.Data;
        return _fixture.NotStarted(options, _fixture.Exceptions(), _fixture.OfDatabase);
    }
}
