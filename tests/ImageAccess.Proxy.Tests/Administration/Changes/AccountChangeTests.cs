using ImageAccess.Proxy.Administration.Changes;
using ImageAccess.Proxy.Administration.Roles;
using ImageAccess.Proxy.Callers.Members;
using ImageAccess.Proxy.Foundation.Audit;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Policies.Exceptions;
using ImageAccess.Proxy.Tests.Foundation.Database;
using ImageAccess.Proxy.Tests.Policies.Store;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Tests.Administration.Changes;

/// <summary>Who may confirm which account a name stands for; and that every process on the database has it, also after a restart without it.</summary>
[Collection(PostgresRoom.Name)]
public sealed class AccountChangeTests(PostgresServer server) : IAsyncLifetime, IDisposable
{
    private const string Id = "0ab70deb065a43fcacd55d48caa945d8";

    private static readonly string Other = new('b', 32);

    private readonly List<Process> _processes = [];
    private ChangeRoom _room = new();

    public Task InitializeAsync() => _room.Database.MigrateAsync(default);

    public async Task DisposeAsync()
    {
        foreach (var process in _processes)
            await process.StopAsync();
        _processes.ForEach(process => process.Dispose());
    }

    public void Dispose() => _room.Dispose();

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task It_waits_for_a_second_person_where_the_policy_demands_one_and_is_in_force_everywhere_then(bool isPostgres)
    {
        await UseAsync(isPostgres);
        var (one, two) = (await BeginAsync("one"), await BeginAsync("two"));
        var asked = await ConfirmAsync("dan", "alice");
        Assert.Null(asked.Done);
        Assert.Equal(
            ("account", "acme", $"what the user name alice is granted to the account {Id}", "dan"),
            (asked.Waiting!.Kind, asked.Waiting.Organization, Assert.Single(asked.Waiting.Opens), asked.Waiting.By));
        Assert.Empty(await RowsAsync());

        await ForbiddenAsync("dan asked for the change 1: another person has to approve it", () => _room.Desk.ApproveAsync(1, ChangeRoom.Person("dan"), default));
        await ForbiddenAsync("fay may not do this in acme", () => _room.Desk.ApproveAsync(1, ChangeRoom.Person("fay"), default)); // an approver changes no policy
        await ForbiddenAsync("alice cannot confirm an account behind alice: another person has to", () => _room.Desk.ApproveAsync(1, ChangeRoom.Person("alice"), default));
        await ForbiddenAsync("eve cannot confirm an account behind alice: another person has to", () => _room.Desk.ApproveAsync(1, new Actor { Name = "eve", Account = Id }, default));
        Assert.Equal("waiting", (await _room.ChangeAsync(1)).State);
        Assert.Equal("done", (await _room.Desk.ApproveAsync(1, ChangeRoom.Person("eve"), default)).State);

        foreach (var process in new[] { one, two })
        {
            await Eventually.TrueAsync(() => process.Confirmed.AccountOf("alice", _room.Policy) == Id);
            Assert.Equal([$"alice is {Id} by dan and eve for acme (): they told me on the telephone"], process.Told());
            Assert.Contains($"The user name alice stands for the account {Id} from now on (confirmed by dan and eve): they told me on the telephone", process.Log.All);
        }

        await one.StopAsync();
        var restarted = await BeginAsync("one");
        await Eventually.TrueAsync(() => restarted.Confirmed.Read is not null);
        Assert.Empty(restarted.Told());
    }

    [Fact]
    public async Task One_of_a_name_counts_and_each_is_told()
    {
        _room.Policy = ChangeRoom.PolicyWith(approvals: 1);
        var process = await BeginAsync("one");
        await Eventually.TrueAsync(() => process.Confirmed.Read is not null);
        await process.StopAsync();
        Assert.Equal(Id, (await ConfirmAsync("dan", "alice", Guid.ParseExact(Id, "N").ToString("D").ToUpperInvariant())).Done!.Account);
        await RefusedAsync($"dan has confirmed the account {Id} behind alice already, 2026-06-01 12:00Z", () => ConfirmAsync("eve", "ALICE"));
        await ConfirmAsync("eve", "alice", Other);
        await ConfirmAsync("eve", "bob");

        var restarted = await BeginAsync("one");
        await Eventually.TrueAsync(() => restarted.Confirmed.All.Count == 2);
        Assert.Equal((Other, Id, null), (restarted.Confirmed.AccountOf("alice", _room.Policy), restarted.Confirmed.AccountOf("bob", _room.Policy), restarted.Confirmed.AccountOf("dan", _room.Policy)));
        Assert.Equal([$"alice is {Id} by dan", $"alice is {Other} by eve", $"bob is {Id} by eve"], restarted.Told().Select(line => line.Split(" for ")[0]));
        Assert.Equal(2, (await _room.Database.ReadAsync(context => new ConfirmedAccountTable(context).ListAsync(default), default)).Count);
    }

    [Fact]
    public async Task Without_the_database_those_that_were_read_last_stay_also_over_a_restart()
    {
        _room.Policy = ChangeRoom.PolicyWith(approvals: 1);
        await ConfirmAsync("dan", "alice");
        var process = await BeginAsync("one");
        await Eventually.TrueAsync(() => process.Confirmed.AccountOf("alice", _room.Policy) == Id);
        File.Move(_room.DatabasePath, _room.DatabasePath + ".aside");
        await File.WriteAllTextAsync(_room.DatabasePath, new string('x', 5000));
        await Eventually.TrueAsync(() => process.Confirmed.Concern is not null);
        Assert.Equal(Id, process.Confirmed.AccountOf("alice", _room.Policy));
        await process.StopAsync();

        var restarted = await BeginAsync("one");
        Assert.Equal(Id, restarted.Confirmed.AccountOf("alice", _room.Policy));
        await Eventually.TrueAsync(() => restarted.Confirmed.Concern is not null);
        File.Move(_room.DatabasePath + ".aside", _room.DatabasePath, overwrite: true);
        await Eventually.TrueAsync(() => restarted.Confirmed is { Concern: null, Read: not null });
        Assert.Single(restarted.Log.At(Microsoft.Extensions.Logging.LogLevel.Error));
    }

    [Theory]
    [InlineData("")]
    [InlineData("null")]
    [InlineData("""{ "version": 1, "change": "x", "accounts": [ null ] }""")]
    [InlineData("""{ "version": 1, "change": "x", "accounts": [ { "name": "alice", "account": "x", "by": "eve", "reason": "r" } ] }""")]
    public async Task A_damaged_copy_confirms_nobody_until_the_database_is_read(string content)
    {
        _room.Policy = ChangeRoom.PolicyWith(approvals: 1);
        await ConfirmAsync("dan", "alice");
        Directory.CreateDirectory(Path.Combine(_room.Data, "one"));
        await File.WriteAllTextAsync(Path.Combine(_room.Data, "one", "accounts.confirmed.json"), content);
        using var process = new Process(_room, "one");
        process.Confirmed.Open();
        Assert.Null(process.Confirmed.AccountOf("alice", _room.Policy));
        Assert.EndsWith("accounts.confirmed.json is not what was written", process.Confirmed.Concern, StringComparison.Ordinal);
        Assert.Single(process.Log.At(Microsoft.Extensions.Logging.LogLevel.Error));

        var begun = await BeginAsync("one");
        await Eventually.TrueAsync(() => begun.Confirmed.AccountOf("alice", _room.Policy) == Id && begun.Confirmed.Concern is null);
    }

    /// <summary>What one organization says grants nothing in another.</summary>
    [Fact]
    public async Task It_counts_as_long_as_that_organization_alone_names_the_user()
    {
        _room.Policy = ChangeRoom.PolicyWith(approvals: 1);
        await ConfirmAsync("dan", "alice");
        var process = await BeginAsync("one");
        await Eventually.TrueAsync(() => process.Confirmed.AccountOf("alice", _room.Policy) == Id);
        var wider = PolicyFixture.Compile(ChangeRoom.DocumentWith(approvals: 1).Replace("\"nina\"", "\"nina\", \"alice\"", StringComparison.Ordinal));
        Assert.Null(process.Confirmed.AccountOf("alice", wider));
        Assert.Null(process.Confirmed.AccountOf("alice", PolicyFixture.Compile(ChangeRoom.DocumentWith().Replace("[ \"zoe\" ]", "[ \"zoe\", \"alice\" ]", StringComparison.Ordinal))));

        _room.Policy = wider;
        await ForbiddenAsync("dan may not do this", () => ConfirmAsync("dan", "alice", Other));
        Assert.Null((await ConfirmAsync("zoe", "alice")).Done!.Organization);
        await Eventually.TrueAsync(() => process.Confirmed.AccountOf("alice", wider) == Id);
        Assert.Equal(Id, process.Confirmed.AccountOf("alice", ChangeRoom.PolicyWith()));
    }

    [Theory]
    [InlineData("alice", false)]
    [InlineData("dan", true)]
    [InlineData("zoe", true)]
    [InlineData("fay", false)]
    [InlineData("gus", false)]
    [InlineData("hal", false)]
    [InlineData("nina", false)]
    [InlineData("mallory", false)]
    public async Task Who_may_change_the_organizations_policy_confirms_and_nobody_himself(string by, bool may)
    {
        _room.Policy = ChangeRoom.PolicyWith(approvals: 1);
        var failure = await Record.ExceptionAsync(() => ConfirmAsync(by, "alice"));
        Assert.Equal(may, failure is null);
        if (!may)
            Assert.True(failure is ForbiddenChangeException or UnknownChangeException, failure!.ToString());
        Assert.Equal(may ? 1 : 0, (await RowsAsync()).Count);
    }

    [Fact]
    public async Task What_cannot_be_confirmed_is_refused_with_the_reason()
    {
        _room.Policy = ChangeRoom.PolicyWith(approvals: 1, ticket: true);
        await FaultyAsync("account 'x' is no id of Docker Hub: 32 hexadecimal digits, as the log and the audit trail show it; ticket is missing: the policy demands one for whatever opens (changes.ticket)", () => ConfirmAsync("dan", "alice", "x"));
        _room.Policy = ChangeRoom.PolicyWith(approvals: 1);
        await FaultyAsync("reason must have 1 to 1000 characters", () => _room.Desk.ConfirmAccountAsync("alice", Id, new ChangeRequest(ChangeRoom.Person("dan"), ""), default));
        foreach (var name in new[] { "mallory", "nina", "acme", "", "a/b", new string('x', 5000) })
            Assert.StartsWith("the policy does not name ", (await Assert.ThrowsAsync<UnknownChangeException>(() => ConfirmAsync("dan", name))).Message, StringComparison.Ordinal);
        await ForbiddenAsync("alice cannot confirm an account behind alice: another person has to", () => _room.Desk.ConfirmAccountAsync("alice", Id, new ChangeRequest(Actor.Server("alice"), "it is me"), default));

        _room.Policy = PolicyFixture.Compile(ChangeRoom.DocumentWith(approvals: 1).Replace("[ \"alice\" ]", $$"""[ { "name": "alice", "account": "{{Other}}" } ]""", StringComparison.Ordinal));
        await RefusedAsync($"the policy's document writes the account {Other} beside alice: change it there", () => ConfirmAsync("dan", "alice"));
        Assert.Empty(await RowsAsync());
    }

    [Fact]
    public async Task What_the_policy_names_no_longer_is_not_done_when_it_is_approved()
    {
        await ConfirmAsync("dan", "bob");
        _room.Policy = PolicyFixture.Compile(ChangeRoom.DocumentWith().Replace("\"nina\"", "\"nina\", \"bob\"", StringComparison.Ordinal));
        await RefusedAsync("the policy names bob no longer, or elsewhere too: ask for it again", () => _room.Desk.ApproveAsync(1, ChangeRoom.Person("eve"), default));
        Assert.Equal("ended", (await _room.ChangeAsync(1)).State);
        Assert.Empty(await RowsAsync());
    }

    private Task<ChangeOutcome<ConfirmedAccountRow>> ConfirmAsync(string by, string name, string account = Id) =>
        _room.Desk.ConfirmAccountAsync(name, account, new ChangeRequest(ChangeRoom.Person(by), "they told me on the telephone"), default);

    private Task<List<ConfirmedAccountRow>> RowsAsync() => _room.Database.ReadAsync(context => context.ConfirmedAccounts.ToListAsync(), default);

    private async Task<Process> BeginAsync(string name)
    {
        var process = new Process(_room, name);
        _processes.Add(process);
        await process.StartAsync();
        return process;
    }

    private async Task UseAsync(bool isPostgres)
    {
        if (!isPostgres)
            return;
        _room.Dispose();
        _room = new ChangeRoom(PostgresServer.Open(await server.CreateDatabaseAsync()));
        await _room.Database.MigrateAsync(default);
    }

    private static async Task ForbiddenAsync(string message, Func<Task> act) => Assert.Equal(message, (await Assert.ThrowsAsync<ForbiddenChangeException>(act)).Message);

    private static async Task RefusedAsync(string message, Func<Task> act) => Assert.Equal(message, (await Assert.ThrowsAsync<RefusedChangeException>(act)).Message);

    private static async Task FaultyAsync(string message, Func<Task> act) => Assert.Equal(message, (await Assert.ThrowsAsync<FaultyChangeException>(act)).Message);

    /// <summary>What reads the database in a process with a data directory of its own.</summary>
    private sealed class Process : IDisposable
    {
        private readonly Foundation.Audit.AuditFixture _audit = new();
        private readonly ConfirmedAccountsReader _reader;

        public Process(ChangeRoom room, string name)
        {
            var options = Options.Create(new DirectoryOptions { DataDirectory = Path.Combine(room.Data, name) });
            Confirmed = new ConfirmedAccounts(options, _audit.Trail, Log);
            var state = new DatabaseState();
            state.BeReady();
            _reader = new ConfirmedAccountsReader(room.Database, state, Confirmed, TimeProvider.System);
        }

        public ConfirmedAccounts Confirmed { get; }

        public LogLines<ConfirmedAccounts> Log { get; } = new();

        public Task StartAsync()
        {
            Confirmed.Open();
            return _reader.StartAsync(default);
        }

        public Task StopAsync() => _reader.StopAsync(default);

        public void Dispose()
        {
            _reader.Dispose();
            _audit.Dispose();
        }

        public List<string> Told()
        {
            var told = new List<string>();
            while (_audit.Pending.TryTake(out var audit))
            {
                if (audit is ConfirmationEvent one)
                    told.Add($"{one.Caller} is {one.Account} by {one.By} for {one.Organization ?? "all"} ({one.Ticket}): {one.Reason}");
            }

            return told;
        }
    }
}
