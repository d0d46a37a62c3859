using System.Diagnostics;
using System.Text;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Foundation.Audit;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Policies.Exceptions;
using ImageAccess.Proxy.Policies.Store;
using ImageAccess.Proxy.Tests.Content.Cache;
using ImageAccess.Proxy.Tests.Foundation.Database;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Tests.Policies.Store;

/// <summary>A policy document in either database: in force everywhere at once, changed by one at a time, kept over a restart.</summary>
public abstract class PolicyDatabaseTests : IAsyncLifetime
{
    private const string Two = """
        {
          // kept while nobody changes a section
          "callers": { "outsiders": "deny" },
          "organizations": [
            { "name": "acme", "enabled": true, "owners": [ "alice" ] },
            { "name": "beta", "enabled": true, "owners": [ "bob", { "name": "carol", "account": "0ab70deb065a43fcacd55d48caa945d8" } ] }
          ]
        }
        """;

    private static readonly string A = PolicyFixture.VersionOf(PolicyFixture.Strict);
    private static readonly string B = PolicyFixture.VersionOf(PolicyFixture.Lax);

    private readonly string _data = Directory.CreateTempSubdirectory("imageaccess-").FullName;
    private readonly List<PolicyProcess> _processes = [];

    protected string Address { get; private set; } = "";

    internal SqlDatabase Database => Open(Address);

    private PolicyEdits Edits => EditsAt(TimeProvider.System);

    protected abstract string Kind { get; }

    protected abstract Task<string> CreateAsync();

    internal abstract SqlDatabase Open(string address);

    /// <summary>Nobody can reach it until it is mended.</summary>
    internal abstract SqlDatabase Broken();

    public async Task InitializeAsync()
    {
        Address = await CreateAsync();
        await Database.MigrateAsync(default);
    }

    public async Task DisposeAsync()
    {
        foreach (var process in Enumerable.Reverse(_processes)) // a restarted one before the owner of its directory
            await process.DisposeAsync();
        Directory.Delete(_data, recursive: true);
    }

    [Fact]
    public async Task Two_processes_have_a_change_within_a_second_and_the_history_has_it_once()
    {
        await ImportAsync(PolicyFixture.Strict);
        var (one, two) = (await BeginAsync(), await BeginAsync());
        Assert.Equal((A, A), (one.Store.Current.Version, two.Store.Current.Version));

        var row = await Edits.ApplyAsync(Whole(PolicyFixture.Lax, A), new PolicyAuthor("alice", "a trial"), check: null, default);
        foreach (var process in new[] { one, two })
        {
            await EventuallyAsync(process, B);
            await OpenedAsync(process);
            Assert.Null(process.Store.State!.Concern);
            await process.History.WriteAsync(Database, default);
        }

        Assert.Equal((B, A, "alice", "a trial"), (row.Version, row.PreviousVersion, row.Who, row.Why));
        Assert.Equal([(A, "root", "because"), (B, "alice", "a trial")], (await ListAsync()).Select(one => (one.Version, one.Who!, one.Why)));
        Assert.Equal(["organization acme: community images allowed"], (await ListAsync())[1].Opens);

        var restarted = await RestartAsync(one, Database);
        await restarted.History.WriteAsync(Database, default);
        Assert.Equal((B, 2), (restarted.Store.Current.Version, (await ListAsync()).Count));
        Assert.Null(restarted.Fixture.NextChange());
    }

    [Fact]
    public async Task Of_many_who_change_the_same_version_one_does_and_the_others_are_told()
    {
        await ImportAsync(PolicyFixture.Strict);
        var tried = await Task.WhenAll(Enumerable.Range(0, 8).Select(i => Task.Run(() => TryAsync(Whole(PolicyFixture.Lax.Replace("  }", $" }}{new string(' ', i)}", StringComparison.Ordinal), A), $"p{i}"))));
        Assert.Equal(7, tried.OfType<OutdatedChangeException>().Count());
        var row = (await ListAsync())[^1];
        Assert.All(tried.OfType<OutdatedChangeException>(), late => Assert.Equal(
            $"the policy is {row.Version} by now: {row.Who} changed it {ExceptionChanges.Minute(row.Since)} (because): opens: organization acme: community images allowed. Look at it, and change it from there",
            late.Message));
        Assert.Equal(row.Version, tried.OfType<OutdatedChangeException>().First().Current);
        Assert.Equal(2, (await ListAsync()).Count);
        Assert.Equal(2, (await Database.ReadSequenceAsync(PolicyVersions.Sequence, default)).Value);
    }

    [Fact]
    public async Task Sections_of_two_organizations_at_once_do_not_disturb_each_other()
    {
        await ImportAsync(Two);
        var (acme, beta) = (TagOf(await DocumentAsync(), "acme"), TagOf(await DocumentAsync(), "beta"));
        var tried = await Task.WhenAll(
            Task.Run(() => TryAsync(Section("acme", """{ "enabled": true, "owners": [ "alice" ], "allow": { "official": true } }""", acme), "alice")),
            Task.Run(() => TryAsync(Section("beta", """{ "name": "beta", "enabled": true, "owners": [ "bob", { "name": "carol", "account": "0ab70deb065a43fcacd55d48caa945d8" } ], "help": "ask bob", }""", beta), "bob")));
        Assert.All(tried, Assert.Null);

        var policy = PolicyFixture.Compile(Encoding.UTF8.GetString(await DocumentAsync())).Document;
        Assert.True(policy.Organizations[0].AllowOfficial);
        Assert.Equal(("ask bob", true), (policy.Organizations[1].Help, policy.Callers.DenyOutsiders));
        Assert.Equal(["acme", "beta"], policy.Organizations.Select(organization => organization.Name));

        // Who still looks at the section of before is told of the one who changed it, and not of who changed another one.
        var late = Assert.IsType<OutdatedChangeException>(await TryAsync(Section("acme", "{}", acme), "eve"));
        Assert.StartsWith($"the section of acme is {TagOf(await DocumentAsync(), "acme")} by now: alice changed it ", late.Message, StringComparison.Ordinal);
        Assert.Contains("opens: organization acme: official images allowed.", late.Message, StringComparison.Ordinal);
        var other = Assert.IsType<OutdatedChangeException>(await TryAsync(Section("beta", "{}", beta), "eve"));
        Assert.Contains("bob changed it ", other.Message, StringComparison.Ordinal);
        Assert.Contains("(because): nothing that opens or takes back.", other.Message, StringComparison.Ordinal);
    }

    /// <summary>What the owners of one organization must not be able to do to another one.</summary>
    [Theory]
    [InlineData("""{ "name": "beta" }""", "the section is not named acme: an organization gets another name with the whole document")]
    [InlineData("""{ "name": "acme", "name": "beta" }""", "the section is refused: ")]
    [InlineData("""{ "name": [ "acme" ] }""", "the section is not named acme")]
    [InlineData("""{ "name": "\ud800" }""", "the section is not named acme")]
    [InlineData("""{ "help": "\ud800" }""", "organizations[0].help: must be a text", "the section has a text that is none")]
    [InlineData("""{}], "callers": { "owners": "exempt" }, "organizations": [{ "name": "acme" }""", "the section is refused: ")]
    [InlineData("""[ { "name": "acme" } ]""", "the section is no JSON object")]
    [InlineData("null", "the section is no JSON object")]
    [InlineData("", "the section is refused: ")]
    [InlineData("{ \"help\": \"\u00ff", "the section is refused: ")]
    [InlineData("""{ "callers": { "owners": "exempt" } }""", "organizations[0].callers: unknown member")]
    [InlineData("""{ "namespaces": [ "beta" ] }""", "organizations[1]: the namespace beta belongs to organizations[0] as well")]
    [InlineData("""{ "namespaces": [ "library" ] }""", "organizations[0].namespaces[0]: library is the namespace of the official images")]
    [InlineData("""{ "namespaces": [ "acme", "bitnami" ] }""", "the images and the account of bitnami would count as acme's in the other organizations too: a namespace is added with the whole document")]
    [InlineData("""{ "namespaces": [ "acme", "bob" ] }""", "the images and the account of bob would count as acme's in the other organizations too: a namespace is added with the whole document")] // its owner
    [InlineData("""{ "owners": [ { "name": "Bob", "account": "7c2e0f5b1d6a4f0f9d5c3a1b8e4d2f60" } ] }""", "bob is named outside of acme too: whose account that is changes with the whole document")]
    [InlineData("""{ "members": [ { "name": "carol", "account": "7c2e0f5b1d6a4f0f9d5c3a1b8e4d2f60" } ] }""", "organizations[1].owners[1].account: carol has another account at")]
    public async Task A_section_changes_its_own_organization_alone(string section, params string[] refusals)
    {
        await ImportAsync(Two);
        var refused = Assert.IsType<RefusedChangeException>(await TryAsync(Section("acme", section), "alice"), exactMatch: false);
        Assert.Contains(refusals, words => refused.Message.StartsWith(words, StringComparison.Ordinal));
        Assert.Single(await ListAsync());
    }

    /// <summary>An account that is taken out of one section would leave the name in another without.</summary>
    [Fact]
    public async Task An_account_that_another_organization_relies_on_stays()
    {
        await ImportAsync(Two.Replace("\"alice\" ]", "\"alice\", \"carol\" ]", StringComparison.Ordinal));
        var refused = Assert.IsType<RefusedChangeException>(await TryAsync(Section("beta", """{ "enabled": true, "owners": [ "bob", "carol" ] }"""), "bob"));
        Assert.Equal("carol is named outside of beta too: whose account that is changes with the whole document", refused.Message);
    }

    /// <summary>By a namespace of his name a company owner would be taken for an organization access token, and have no role.</summary>
    [Fact]
    public async Task A_section_takes_no_company_owners_name_as_its_namespace()
    {
        await ImportAsync("""{ "companyOwners": [ "carol" ], "organizations": [ { "name": "acme", "enabled": true, "owners": [ "alice" ] } ] }""");
        var refused = Assert.IsType<RefusedChangeException>(await TryAsync(Section("acme", """{ "enabled": true, "owners": [ "alice" ], "namespaces": [ "acme", "carol" ] }"""), "alice"));
        Assert.Equal("carol is named outside of acme too, and would be no person any more: a namespace of that name is added with the whole document", refused.Message);
        Assert.Null(await TryAsync(Section("acme", """{ "enabled": true, "owners": [ "alice" ], "namespaces": [ "acme", "acmelabs" ] }"""), "alice"));
    }

    [Fact]
    public async Task In_a_company_a_namespace_is_everybodys()
    {
        await ImportAsync(Two.Replace("\"callers\"", "\"company\": true, \"callers\"", StringComparison.Ordinal));
        var refused = Assert.IsType<RefusedChangeException>(await TryAsync(Section("acme", """{ "namespaces": [ "acme", "bitnami" ] }"""), "alice"));
        Assert.Equal("the organizations are one company, and everybody in it could use the images of bitnami: a namespace is added with the whole document", refused.Message);
    }

    [Fact]
    public async Task A_section_has_the_same_tag_whichever_way_it_is_written()
    {
        var one = """{ "organizations": [ { "name": "acme", "enabled": true, "allow": { "official": true, "community": false } } ] }""";
        var other = "\ufeff" + """{ "organizations": [ { "allow": { "community": false, "offici\u0061l": true /* yes */ }, "enabled": true, "name": "acme", } ], }""";
        Assert.Equal(TagOf(Encoding.UTF8.GetBytes(one), "acme"), TagOf(Encoding.UTF8.GetBytes(other), "acme"));
        Assert.NotEqual(TagOf(Encoding.UTF8.GetBytes(one), "acme"), TagOf(Encoding.UTF8.GetBytes(one.Replace("true", "false", StringComparison.Ordinal)), "acme"));

        await ImportAsync(one);
        var same = Section("acme", """{ "allow": { "community": false, "official": true }, "name": "acme", "enabled": true }""");
        Assert.True((await Edits.PlanAsync(same, default)).IsSame);
        Assert.EndsWith("already: nothing is to change", (await TryAsync(same, "alice"))!.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Going_back_is_a_new_version()
    {
        await ImportAsync(PolicyFixture.Strict);
        var process = await BeginAsync();
        await Edits.ApplyAsync(Whole(PolicyFixture.Lax), new PolicyAuthor("alice", "a trial"), check: null, default);
        var back = await Edits.ApplyAsync(new PolicyEdit { Version = A, IfUnchanged = B }, new PolicyAuthor("bob", "it broke"), check: null, default);
        Assert.Equal((A, B, "bob"), (back.Version, back.PreviousVersion, back.Who));
        Assert.Equal(["organization acme: community images allowed"], back.TakesBack);
        await EventuallyAsync(process, A);
        Assert.Equal([A, B, A], (await ListAsync()).Select(row => row.Version));
        Assert.Equal($"the policy is {A} already: nothing is to change", (await TryAsync(new PolicyEdit { Version = A }, "bob"))!.Message);
        Assert.Equal("there is no version 0123 of the policy; imageaccess policy history lists them", (await TryAsync(new PolicyEdit { Version = "0123" }, "bob"))!.Message);
    }

    [Fact]
    public async Task An_organization_goes_back_by_itself()
    {
        await ImportAsync(Two);
        var version = PolicyFixture.VersionOf(Two);
        Assert.Null(await TryAsync(Section("acme", """{ "enabled": true, "allow": { "community": true } }"""), "alice"));
        Assert.Null(await TryAsync(Section("beta", """{ "enabled": true, "allow": { "community": true } }"""), "bob"));
        Assert.Null(await TryAsync(new PolicyEdit { Version = version, Organization = "acme" }, "alice"));
        var policy = PolicyFixture.Compile(Encoding.UTF8.GetString(await DocumentAsync())).Document;
        Assert.Equal([false, true], policy.Organizations.Select(organization => organization.AllowCommunity));

        // Each has a history of its own, in which nothing is said of the other.
        var ofAcme = await Database.ReadAsync(context => new PolicyVersions(context).ListAsync("acme", 100, default), default);
        var ofBeta = await Database.ReadAsync(context => new PolicyVersions(context).ListAsync("beta", 100, default), default);
        Assert.Equal(["alice", "alice", "root"], ofAcme.Select(row => row.Who));
        Assert.Equal(["bob", "root"], ofBeta.Select(row => row.Who));
        Assert.Contains("organization acme: community images allowed", ofAcme[1].Opens);
        Assert.All(ofAcme.SelectMany(row => row.Opens.Concat(row.TakesBack)), word => Assert.StartsWith("organization acme", word, StringComparison.Ordinal));
        Assert.Single(await Database.ReadAsync(context => new PolicyVersions(context).ListAsync("acme", 1, default), default));
        Assert.Empty(await Database.ReadAsync(context => new PolicyVersions(context).ListAsync("gamma", 100, default), default));
        Assert.Equal("the policy has no organization gamma", (await TryAsync(new PolicyEdit { Version = version, Organization = "gamma" }, "alice"))!.Message);
    }

    [Fact]
    public async Task What_is_no_policy_or_has_no_reason_changes_nothing()
    {
        Assert.Equal("the database has no policy document: imageaccess policy import FILE brings one in", (await TryAsync(Whole(PolicyFixture.Lax), "alice"))!.Message);
        await ImportAsync(PolicyFixture.Strict);
        var refused = Assert.IsType<MalformedPolicyException>(await TryAsync(Whole("""{ "organizations": [ { "enabled": 1, "color": "red" } ] }"""), "alice"));
        Assert.Equal(3, refused.Problems.Count);
        Assert.Equal("the document is larger than 1 MiB", (await TryAsync(Whole(PolicyFixture.Lax + new string(' ', 1024 * 1024)), "alice"))!.Message);
        Assert.Equal($"the policy is {A} already: nothing is to change", (await TryAsync(Whole(PolicyFixture.Strict), "alice"))!.Message);
        foreach (var reason in new[] { "", new string('x', 201), "a\nb", "a\u202eb" })
            Assert.StartsWith("the reason ", (await TryAsync(Whole(PolicyFixture.Lax), "alice", reason))!.Message, StringComparison.Ordinal);
        Assert.Equal("the name of who changes it must have 1 to 64 characters", (await TryAsync(Whole(PolicyFixture.Lax), new string('a', 65)))!.Message);
        Assert.Null(await TryAsync(Whole(PolicyFixture.Lax), "alice", new string('x', 200)));

        var second = await Record.ExceptionAsync(() => Edits.ImportAsync(Encoding.UTF8.GetBytes(PolicyFixture.Strict), Policy.Off, new PolicyAuthor("eve", "mine"), default));
        Assert.StartsWith($"the database has a policy document already, {B} by alice: set Policy:Source to database to use it", second!.Message, StringComparison.Ordinal);
        Assert.Null(await Edits.ImportAsync(Encoding.UTF8.GetBytes(PolicyFixture.Lax), Policy.Off, new PolicyAuthor("eve", "again"), default));
    }

    [Fact]
    public async Task With_a_file_as_home_nothing_is_changed()
    {
        var options = new PolicyStoreOptions { DataDirectory = _data };
        var refused = await Assert.ThrowsAsync<RefusedChangeException>(() => new PolicyEdits(Database, options, TimeProvider.System).ApplyAsync(Whole(PolicyFixture.Lax), new PolicyAuthor("alice", "why"), check: null, default));
        Assert.Equal($"the policy document is the file {Path.Combine(_data, "policy.json")}: change that file, or bring it into the database with imageaccess policy import", refused.Message);
    }

    [Fact]
    public async Task A_clock_that_goes_back_changes_no_order()
    {
        await ImportAsync(PolicyFixture.Strict);
        var process = await BeginAsync();
        var past = new ManualTime();
        past.Advance(TimeSpan.FromDays(-4000));
        await EditsAt(past).ApplyAsync(Whole(PolicyFixture.Lax, A), new PolicyAuthor("alice", "long ago"), check: null, default);
        await EventuallyAsync(process, B);
        Assert.Equal([A, B], (await ListAsync()).Select(row => row.Version));
    }

    [Fact]
    public async Task Who_is_killed_in_the_middle_of_a_change_has_changed_nothing()
    {
        await ImportAsync(PolicyFixture.Strict);
        var process = await BeginAsync();
        using (var change = Process.Start(new ProcessStartInfo("dotnet", ["exec", typeof(CrashingFill).Assembly.Location, CrashingWrite.Argument, "policy", Kind, Address]) { RedirectStandardOutput = true, UseShellExecute = false })!)
        {
            Assert.Equal("written", await change.StandardOutput.ReadLineAsync().WaitAsync(TimeSpan.FromSeconds(60)));
            change.Kill();
            await change.WaitForExitAsync();
        }

        Assert.Equal(1, (await Database.ReadSequenceAsync(PolicyVersions.Sequence, default)).Value);
        Assert.Single(await ListAsync());
        Assert.Null(await TryAsync(Whole(PolicyFixture.Lax, A), "alice"));
        await EventuallyAsync(process, B);
    }

    [Fact]
    public async Task A_database_with_something_else_in_it_leaves_the_last_policy()
    {
        await ImportAsync(PolicyFixture.Strict);
        var process = await BeginAsync();
        await ExecuteAsync("""UPDATE "PolicyVersions" SET "Document" = '{ "organizations": [], "later": 1 }'; UPDATE "Sequences" SET "Value" = 2 WHERE "Name" = 'policy';""");
        await ConcernedAsync(process, "is refused: later: unknown member");
        await ExecuteAsync("""UPDATE "Sequences" SET "Value" = 3, "Change" = 'nowhere' WHERE "Name" = 'policy';""");
        await ConcernedAsync(process, "has lost the version that is in force: imageaccess policy import FILE brings one in");
        await ExecuteAsync("""DELETE FROM "Sequences" WHERE "Name" = 'policy';""");
        await ConcernedAsync(process, "has no policy document: imageaccess policy import FILE brings one in");
        Assert.Equal(A, process.Store.Current.Version);

        await ImportAsync(PolicyFixture.Lax);
        await EventuallyAsync(process, B);
        await Eventually.TrueAsync(() => process.Store.State!.Concern is null);
    }

    [Fact]
    public async Task Without_the_database_the_last_policy_stays_over_a_restart_and_it_mends_itself()
    {
        await ImportAsync(PolicyFixture.Strict);
        var process = await BeginAsync();
        var restarted = await RestartAsync(process, Broken());
        Assert.Equal(A, restarted.Store.Current.Version);
        await ConcernedAsync(restarted, $"; policy {A}, accepted earlier, stays in force");

        await Edits.ApplyAsync(Whole(PolicyFixture.Lax), new PolicyAuthor("alice", "meanwhile"), check: null, default);
        var again = await RestartAsync(restarted, Database);
        Assert.Equal((B, null), (again.Store.Current.Version, again.Store.State!.Concern)); // before the first request
        await OpenedAsync(again);

        var fresh = new PolicyProcess(Broken());
        _processes.Add(fresh);
        await Assert.ThrowsAnyAsync<OptionsValidationException>(fresh.StartAsync);
    }

    private PolicyEdits EditsAt(TimeProvider time) => new(Database, new PolicyStoreOptions { Source = "database", DataDirectory = _data }, time);

    private static PolicyEdit Whole(string document, string? ifVersion = null) => new() { Content = Encoding.UTF8.GetBytes(document), IfUnchanged = ifVersion };

    private static PolicyEdit Section(string organization, string section, string? tag = null) =>
        new() { Organization = organization, Content = Encoding.UTF8.GetBytes(section), IfUnchanged = tag };

    private static string? TagOf(byte[] document, string organization) => PolicySections.TagOf(document, organization);

    private Task<PolicyVersionRow?> ImportAsync(string document) => Edits.ImportAsync(Encoding.UTF8.GetBytes(document), Policy.Off, new PolicyAuthor("root", "because"), default);

    private async Task<Exception?> TryAsync(PolicyEdit edit, string by, string why = "because") => await Record.ExceptionAsync(() => Edits.ApplyAsync(edit, new PolicyAuthor(by, why), check: null, default));

    private async Task<PolicyProcess> BeginAsync()
    {
        var process = new PolicyProcess(Database);
        _processes.Add(process);
        await process.StartAsync();
        return process;
    }

    private async Task<PolicyProcess> RestartAsync(PolicyProcess process, SqlDatabase database)
    {
        await process.StopAsync();
        var restarted = new PolicyProcess(database, process.Fixture);
        _processes.Add(restarted);
        await restarted.StartAsync();
        return restarted;
    }

    private async Task<IReadOnlyList<PolicyVersionRow>> ListAsync()
    {
        var rows = await Database.ReadAsync(context => new PolicyVersions(context).ListAsync(100, default), default);
        rows.Reverse();
        return rows;
    }

    private async Task<byte[]> DocumentAsync() =>
        (await PolicyVersions.ReadDocumentAsync(Database, await Database.ReadSequenceAsync(PolicyVersions.Sequence, default), 1024 * 1024, default)).Document.Bytes!.Value.ToArray();

    /// <summary>Long before the look in any case: a change is told.</summary>
    private static async Task EventuallyAsync(PolicyProcess process, string version)
    {
        var started = Stopwatch.GetTimestamp();
        await Eventually.TrueAsync(() => process.Store.Current.Version == version, version);
        Assert.InRange(Stopwatch.GetElapsedTime(started), TimeSpan.Zero, TimeSpan.FromSeconds(15));
    }

    /// <summary>The trail is told once it is in force, also of what opens nothing.</summary>
    private static async Task OpenedAsync(PolicyProcess process)
    {
        PolicyEvent? change = null;
        await Eventually.TrueAsync(() => (change = process.Fixture.NextChange()) is { Opens.Count: > 0 });
        Assert.Equal(("alice", "organization acme: community images allowed"), (change!.By, Assert.Single(change.Opens)));
    }

    private static Task ConcernedAsync(PolicyProcess process, string words) => Eventually.TrueAsync(
        () =>
        {
            process.Store.Refresh(); // as its watcher does
            return process.Store.State!.Concern?.Contains(words, StringComparison.Ordinal) == true;
        },
        words);

    private Task ExecuteAsync(string sql) => Database.WriteAsync(
        async context =>
        {
            await context.Database.ExecuteSqlRawAsync(sql.Replace("{", "{{", StringComparison.Ordinal).Replace("}", "}}", StringComparison.Ordinal));
            await Database.TellAsync(context, default);
        },
        default);

    /// <summary>A process with its data directory, and the database as the policy's home.</summary>
    private sealed class PolicyProcess : IAsyncDisposable
    {
        private readonly bool _isOwner;
        private readonly DatabaseState _state = new();
        private readonly PolicyReader _reader;
        private readonly PolicyWatcher _watcher;

        public PolicyProcess(SqlDatabase database, PolicyFixture? fixture = null)
        {
            (_isOwner, Fixture) = (fixture is null, fixture ?? new PolicyFixture());
            var (options, document) = (new PolicyStoreOptions { Source = "database", DataDirectory = Fixture.Data }, new DatabaseDocument(database.Name));
            Store = Fixture.NotStarted(options, Fixture.Exceptions(), document);
            History = Fixture.History();
            _reader = new PolicyReader(database, _state, Store, document, Options.Create(options), TimeProvider.System);
            _watcher = new PolicyWatcher(Store, _reader, History, new ExpiryWarnings(Store, Fixture.Time, new LogLines<ExpiryWarnings>()), Fixture.Time);
        }

        public PolicyFixture Fixture { get; }

        public PolicyStore Store { get; }

        public PolicyHistory History { get; }

        public async Task StartAsync()
        {
            await _watcher.StartAsync(default);
            _state.BeReady();
            await _reader.StartAsync(default);
        }

        public async Task StopAsync()
        {
            await _reader.StopAsync(default);
            await _watcher.StopAsync(default);
        }

        public async ValueTask DisposeAsync()
        {
            await StopAsync();
            _reader.Dispose();
            _watcher.Dispose();
            if (_isOwner)
                Fixture.Dispose();
        }
    }
}

public sealed class SqlitePolicyDatabaseTests : PolicyDatabaseTests, IDisposable
{
    private readonly TemporaryDirectory _directory = new();

    protected override string Kind => "sqlite";

    internal override SqlDatabase Open(string address) => new SqliteDatabase(address);

    internal override SqlDatabase Broken()
    {
        File.WriteAllText(_directory["broken.db"], new string('x', 5000));
        return new SqliteDatabase(_directory["broken.db"]);
    }

    protected override Task<string> CreateAsync() => Task.FromResult(_directory["imageaccess.db"]);

    public void Dispose() => _directory.Dispose();
}

[Collection(PostgresRoom.Name)]
public sealed class PostgresPolicyDatabaseTests(PostgresServer server) : PolicyDatabaseTests
{
    protected override string Kind => "postgres";

    internal override SqlDatabase Open(string address) => PostgresServer.Open(address);

    internal override SqlDatabase Broken() => PostgresServer.Open(Address + ";Port=1;Pooling=false");

    protected override Task<string> CreateAsync() => server.CreateDatabaseAsync();
}
