using System.Globalization;
using System.Net;
using System.Text;
using ImageAccess.Proxy.Connections.Ingress;
using ImageAccess.Proxy.Foundation.Limits;
using ImageAccess.Proxy.Tests.Foundation.Limits;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Tests.Connections.Ingress;

/// <summary>Guessing at the forward proxy: what it costs, whom it holds up, and when it ends. No password is really hashed here: the checks are counted.</summary>
public sealed class ProxySignInTests : IDisposable
{
    private static readonly IPAddress Home = IPAddress.Parse("192.0.2.1");
    private static readonly IPAddress Elsewhere = IPAddress.Parse("198.51.100.7");

    private readonly TemporaryDirectory _directory = new();
    private readonly ManualTime _time = new();
    private readonly LimitRoom _limits = new();
    private readonly List<(string Password, int Cost)> _checks = [];

    /// <summary>What every check waits for.</summary>
    private TaskCompletionSource? _hold;

    private readonly ProxySignIn _signIn;

    public ProxySignInTests() => _signIn = Open("alice:4", "bob:4", "carol:6");

    public void Dispose()
    {
        _signIn.Dispose();
        _limits.Dispose();
        _directory.Dispose();
    }

    [Theory]
    [InlineData("alice:4", "alice")]
    [InlineData("alice:4", "nobody")]
    [InlineData("alice:4 bob:6", "alice")]
    [InlineData("alice:4 bob:6", "bob")]
    [InlineData("alice:4 bob:6", "ALICE")]
    [InlineData("alice:4 bob:5 carol:8", "alice")]
    [InlineData("alice:4 bob:5 carol:8", "bob")]
    [InlineData("alice:4 bob:5 carol:8", "carol")]
    [InlineData("alice:4 bob:5 carol:8", "a name with spaces")]
    [InlineData("alice:12", "bob")]
    [InlineData("alice:12", "alice")]
    public async Task A_wrong_password_takes_the_same_work_whoever_is_named(string users, string name)
    {
        var list = users.Split(' ');
        using var signIn = Open(list);
        Assert.Equal(SignIn.Wrong, await AskAsync(signIn, name, "wrong"));
        var highest = list.Max(user => int.Parse(user.Split(':')[1], CultureInfo.InvariantCulture));
        Assert.Equal(1 << highest, _checks.Sum(check => 1 << check.Cost));
        Assert.All(_checks, check => Assert.Equal("wrong", check.Password));
    }

    [Fact]
    public async Task A_file_without_users_takes_work_too()
    {
        using var signIn = Open();
        Assert.Equal(SignIn.Wrong, await AskAsync(signIn, "alice", "wrong"));
        Assert.Equal([("wrong", 5)], _checks);
    }

    /// <summary>Nobody's hash is one that bcrypt computes.</summary>
    [Theory]
    [InlineData("alice", null)]
    [InlineData("carol", null)]
    [InlineData("nobody", null)]
    public async Task Bcrypt_itself_agrees(string name, string? user)
    {
        using var signIn = new ProxySignIn(Users("alice:4", "carol:6"), _limits.Metrics, _time);
        Assert.Equal(user, (await AskAsync(signIn, name, "wrong")).User);
        Assert.Equal("alice", (await AskAsync(signIn, "alice", "password of alice")).User);
    }

    [Theory]
    [InlineData("alice", SignInBudget.TriesOfUserAtAddress)]
    [InlineData("nobody", SignInBudget.TriesOfUserAtAddress)]
    [InlineData("invented", SignInBudget.TriesOfAddress)]
    public async Task Guessing_ends_for_a_minute_and_is_told_until_when(string name, int tries)
    {
        for (var i = 0; i < tries; i++)
            Assert.Equal(SignIn.Wrong, await AskAsync(_signIn, Name(i), $"guess {i}"));
        _checks.Clear();
        _time.Advance(TimeSpan.FromSeconds(13));
        for (var i = 0; i < 50; i++)
        {
            var refused = await AskAsync(_signIn, Name(i), $"another guess {i}");
            Assert.Equal(("sign-in-limit", (string?)null), (refused.Reason, refused.User));
            Assert.Equal(AnswerOf(429, "too many sign-ins have failed, try again in 47 s", 47), Encoding.ASCII.GetString(refused.Refusal!.ToBytes()));
        }

        Assert.Empty(_checks);
        Assert.Equal(50, _limits.Limited("proxy sign-ins"));
        _time.Advance(TimeSpan.FromSeconds(47));
        Assert.Equal("alice", (await AskAsync(_signIn, "alice", "password of alice")).User);

        string Name(int i) => name == "invented" ? $"invented{i}" : name;
    }

    /// <summary>All at once: none has failed when the others come.</summary>
    [Theory]
    [InlineData("alice", SignInBudget.TriesOfUserAtAddress)]
    [InlineData("invented", SignInBudget.TriesOfAddress)]
    public async Task Guesses_that_come_together_are_no_more(string name, int tries)
    {
        _hold = new TaskCompletionSource();
        var guesses = Enumerable.Range(0, 400).Select(i => AskAsync(_signIn, name == "invented" ? $"invented{i}" : name, $"guess {i}")).ToList();
        _hold.SetResult();
        var answers = await Task.WhenAll(guesses);
        Assert.InRange(_checks.Select(check => check.Password).Distinct().Count(), 1, tries + Environment.ProcessorCount);
        Assert.All(answers, answer => Assert.Contains(answer.Reason, (string[])["sign-in", "sign-in-limit", "busy"]));
    }

    [Theory]
    [InlineData("198.51.100.7")]
    [InlineData("2001:db8::1")]
    [InlineData("::ffff:192.0.2.2")]
    public async Task Who_waits_elsewhere_waits_for_one_check_of_a_guesser(string address)
    {
        _hold = new TaskCompletionSource();
        var guesses = Enumerable.Range(0, 400).Select(i => AskAsync(_signIn, $"invented{i}", $"guess {i}")).ToList();
        var honest = AskAsync(_signIn, "bob", "password of bob", IPAddress.Parse(address));
        _hold.SetResult();
        Assert.Equal("bob", (await honest).User);
        await Task.WhenAll(guesses);
        var before = _checks.FindIndex(check => check.Password == "password of bob");
        Assert.InRange(before, 1, 2 * Environment.ProcessorCount * 3); // the checks under way and one turn; each of a name that is unknown is one
    }

    [Theory]
    [InlineData("192.0.2.1", "192.0.2.1", true)]
    [InlineData("192.0.2.1", "::ffff:192.0.2.1", true)]
    [InlineData("2001:db8::1", "2001:db8::dead:beef", true)]
    [InlineData("2001:db8::1", "2001:db8:0:1::1", false)]
    [InlineData("192.0.2.1", "192.0.2.2", false)]
    public async Task An_address_is_its_network(string guesser, string other, bool same)
    {
        for (var i = 0; i < SignInBudget.TriesOfAddress; i++)
            await AskAsync(_signIn, $"invented{i}", "guess", IPAddress.Parse(guesser));
        Assert.Equal(same ? "sign-in-limit" : "", (await AskAsync(_signIn, "bob", "password of bob", IPAddress.Parse(other))).Reason);
    }

    [Theory]
    [InlineData("alice")]
    [InlineData("bob")]
    [InlineData("carol")]
    public async Task Many_clients_behind_a_trusted_proxy_have_no_budget_of_an_address(string name)
    {
        for (var i = 0; i <= SignInBudget.TriesOfAddress; i++)
            Assert.Equal(SignIn.Wrong, await ThroughAsync($"invented{i}", "guess"));
        Assert.Equal(name, (await ThroughAsync(name, $"password of {name}")).User);

        for (var i = 0; i < SignInBudget.TriesOfUserAtAddress; i++)
            Assert.Equal(SignIn.Wrong, await ThroughAsync("dave", $"guess {i}"));
        Assert.Equal("sign-in-limit", (await ThroughAsync("dave", "guess")).Reason);
    }

    /// <summary>Nor one line where they wait: each user has one.</summary>
    [Fact]
    public async Task Behind_a_trusted_proxy_users_take_turns()
    {
        _hold = new TaskCompletionSource();
        var guesses = Enumerable.Range(0, 400).Select(i => ThroughAsync("nobody", $"guess {i}")).ToList();
        var honest = ThroughAsync("alice", "password of alice");
        _hold.SetResult();
        Assert.Equal("alice", (await honest).User);
        await Task.WhenAll(guesses);
    }

    [Fact]
    public async Task Who_has_signed_in_goes_on_beside_a_guesser_at_the_same_address()
    {
        Assert.Equal("alice", (await AskAsync(_signIn, "alice", "password of alice")).User);
        _time.Advance(TimeSpan.FromHours(2)); // the password is not remembered any more, that she was here is
        await SpendAsync();
        Assert.Equal("sign-in-limit", (await AskAsync(_signIn, "bob", "password of bob")).Reason);
        Assert.Equal("alice", (await AskAsync(_signIn, "alice", "password of alice")).User);

        for (var i = 0; i < SignInBudget.TriesOfUserAtAddress; i++)
            Assert.Equal(SignIn.Wrong, await AskAsync(_signIn, "alice", $"guess {i}")); // her name too
        Assert.Equal("sign-in-limit", (await AskAsync(_signIn, "alice", "guess")).Reason);
        Assert.Equal("alice", (await AskAsync(_signIn, "alice", "password of alice")).User); // remembered again
    }

    /// <summary>Guessing a name from many places locks nobody out at a place of their own.</summary>
    [Theory]
    [InlineData("alice")]
    [InlineData("bob")]
    [InlineData("carol")]
    public async Task Many_addresses_lock_no_user_out(string name)
    {
        for (var i = 0; i < 100; i++)
            Assert.Equal(SignIn.Wrong, await AskAsync(_signIn, name, "guess", new IPAddress([10, 0, 0, (byte)i])));
        Assert.Equal("sign-in-limit", (await AskAsync(_signIn, name, "guess", new IPAddress([10, 0, 0, 99]))).Reason); // one try each, and no second
        Assert.Equal(name, (await AskAsync(_signIn, name, $"password of {name}", Home)).User);
    }

    /// <summary>A machine with an old password is no guesser.</summary>
    [Fact]
    public async Task The_old_passwords_of_known_users_keep_no_neighbour_out()
    {
        foreach (var name in new[] { "alice", "bob" })
            Assert.Equal(name, (await AskAsync(_signIn, name, $"password of {name}")).User);
        for (var i = 0; i < 2 * SignInBudget.TriesOfAddress; i++)
        {
            await AskAsync(_signIn, "alice", "last year's");
            await AskAsync(_signIn, "bob", "last year's");
        }

        Assert.Equal("carol", (await AskAsync(_signIn, "carol", "password of carol")).User);
    }

    [Fact]
    public async Task Many_connections_with_one_password_cost_one_check()
    {
        _hold = new TaskCompletionSource();
        var asking = Enumerable.Range(0, 300).Select(_ => AskAsync(_signIn, "alice", "password of alice")).ToList();
        _hold.SetResult();
        Assert.All(await Task.WhenAll(asking), answer => Assert.Equal("alice", answer.User));
        Assert.Equal("alice", (await AskAsync(_signIn, "alice", "password of alice")).User);
        Assert.Single(_checks);
    }

    [Fact]
    public async Task A_password_in_use_stays_remembered_and_another_is_checked()
    {
        await AskAsync(_signIn, "alice", "password of alice");
        for (var i = 0; i < 5; i++)
        {
            _time.Advance(TimeSpan.FromMinutes(50));
            Assert.Equal("alice", (await AskAsync(_signIn, "alice", "password of alice")).User);
        }

        Assert.Single(_checks);
        Assert.Equal(SignIn.Wrong, await AskAsync(_signIn, "alice", "password of alic"));
        Assert.Equal(SignIn.Wrong, await AskAsync(_signIn, "bob", "password of alice"));
        _checks.Clear();
        _time.Advance(TimeSpan.FromHours(1));
        Assert.Equal("alice", (await AskAsync(_signIn, "alice", "password of alice")).User);
        Assert.Equal([("password of alice", 4)], _checks);
    }

    /// <summary>Too busy is no wrong password: a client that was told 407 would ask its user for another.</summary>
    [Fact]
    public async Task Who_waits_too_long_is_told_that_it_is_busy()
    {
        _hold = new TaskCompletionSource();
        var guesses = Enumerable.Range(0, 40).Select(i => AskAsync(_signIn, $"invented{i}", $"guess {i}")).ToList();
        var honest = AskAsync(_signIn, "alice", "password of alice", Elsewhere);
        _time.Advance(TimeSpan.FromSeconds(10));
        Assert.Equal(SignIn.Busy, await honest);
        Assert.Equal(AnswerOf(503, "too many passwords are being checked, try again in 5 s", 5), Encoding.ASCII.GetString(SignIn.Busy.Refusal!.ToBytes()));
        _hold.SetResult();
        Assert.DoesNotContain((await Task.WhenAll(guesses)).TakeLast(10), answer => answer == SignIn.Wrong);
        Assert.Equal("alice", (await AskAsync(_signIn, "alice", "password of alice", Elsewhere)).User);
    }

    [Fact]
    public async Task A_guesser_who_fills_the_queue_leaves_room_in_it()
    {
        _hold = new TaskCompletionSource();
        var guesses = Enumerable.Range(0, 2000).Select(i => AskAsync(_signIn, $"invented{i}", $"guess {i}")).ToList();
        var honest = AskAsync(_signIn, "alice", "password of alice", Elsewhere);
        Assert.False(honest.IsCompleted);
        Assert.Equal(SignIn.Busy, await guesses[^1]);
        _hold.SetResult();
        Assert.Equal("alice", (await honest).User);
        await Task.WhenAll(guesses);
        Assert.True(_limits.Limited("password checks") > 1900);
    }

    [Fact]
    public async Task Who_leaves_gives_the_place_up_and_others_with_the_same_password_go_on()
    {
        _hold = new TaskCompletionSource();
        var guesses = Enumerable.Range(0, 20).Select(i => AskAsync(_signIn, $"invented{i}", $"guess {i}")).ToList();
        using var leaving = new CancellationTokenSource();
        var first = _signIn.CheckAsync(Basic("alice", "password of alice"), ClientShare.Of(Home), leaving.Token).AsTask();
        var second = AskAsync(_signIn, "alice", "password of alice");
        await leaving.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => first);
        _hold.SetResult();
        Assert.Equal("alice", (await second).User);
        await Task.WhenAll(guesses);
    }

    private static Task<SignIn> AskAsync(ProxySignIn signIn, string name, string password, IPAddress? address = null) =>
        signIn.CheckAsync(Basic(name, password), ClientShare.Of(address ?? Home), CancellationToken.None).AsTask();

    /// <summary>Through a trusted proxy, which does not tell the clients apart.</summary>
    private Task<SignIn> ThroughAsync(string name, string password) => _signIn.CheckAsync(Basic(name, password), client: null, CancellationToken.None).AsTask();

    private static string Basic(string name, string password) => "Basic " + Convert.ToBase64String(Encoding.UTF8.GetBytes($"{name}:{password}"));

    private static string AnswerOf(int status, string phrase, int retryAfter) => string.Create(
        CultureInfo.InvariantCulture,
        $"HTTP/1.1 {status} {phrase}\r\nRetry-After: {retryAfter}\r\nContent-Type: text/plain\r\nContent-Length: {phrase.Length + 1}\r\nConnection: close\r\n\r\n{phrase}\n");

    /// <summary>The address has no try left.</summary>
    private async Task SpendAsync()
    {
        for (var i = 0; i < SignInBudget.TriesOfAddress; i++)
            Assert.Equal(SignIn.Wrong, await AskAsync(_signIn, $"invented{i}", "guess"));
    }

    private ProxySignIn Open(params string[] users) => new(Users(users), _limits.Metrics, _time) { Bcrypt = Check };

    /// <param name="users">NAME:COST; the password is "password of NAME".</param>
    private ProxyUsers Users(params string[] users)
    {
        var file = _directory[Guid.NewGuid().ToString("N")];
        File.WriteAllLines(file, users.Select(user => user.Split(':')).Select(user => $"{user[0]}:{HashOf(user[0], int.Parse(user[1], CultureInfo.InvariantCulture))}"));
        return new ProxyUsers(Options.Create(new ForwardProxyOptions { Users = file }), _time, new LogLines<ProxyUsers>());
    }

    /// <summary>A real hash, or for what only counts the least costly one with another cost written into it.</summary>
    private static string HashOf(string name, int cost) => cost <= 6
        ? BCrypt.Net.BCrypt.HashPassword($"password of {name}", cost)
        : BCrypt.Net.BCrypt.HashPassword($"password of {name}", 4).Replace("$04$", string.Create(CultureInfo.InvariantCulture, $"${cost:00}$"), StringComparison.Ordinal);

    private bool Check(string password, string hash)
    {
        _hold?.Task.Wait();
        lock (_checks)
            _checks.Add((password, int.Parse(BCrypt.Net.BCrypt.InterrogateHash(hash).WorkFactor, CultureInfo.InvariantCulture)));
        return password.StartsWith("password of ", StringComparison.Ordinal) && BCrypt.Net.BCrypt.Verify(password, hash);
    }
}
