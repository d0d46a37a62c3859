using System.Globalization;
using System.Text;
using System.Text.Json;
using ImageAccess.Proxy.Registry;
using ImageAccess.Proxy.Tests.Callers.Identity;

namespace ImageAccess.Proxy.Tests.Registry;

/// <summary>What is kept of issued tokens, for whom, and for how long.</summary>
public sealed class IssuedAnswersTests : IDisposable
{
    private const string Query = "service=registry.docker.io&scope=repository:acme/app:pull&scope=repository:acme/base:pull";
    private const string Form = "grant_type=password&service=registry.docker.io&client_id=c&username=bob&password=secret&scope=repository:acme/app:pull";

    private const int MaximumCount = IssuedAnswers.MaximumBytes / IssuedAnswers.Surroundings;

    private static readonly string Bob = Basic("bob", "secret");

    private readonly ManualTime _time = new();
    private readonly IssuedAnswers _answers;

    public IssuedAnswersTests() => _answers = new IssuedAnswers(_time);

    public void Dispose() => _answers.Dispose();

    [Theory]
    [InlineData("GET", Query)]
    [InlineData("POST", Form)]
    [InlineData("POST", "grant_type=refresh_token&refresh_token=r&service=registry.docker.io")]
    [InlineData("ANONYMOUS", Query)]
    [InlineData("ANONYMOUS", "")]
    public void The_same_request_gets_the_same_token(string how, string parameters)
    {
        var token = Token();
        _answers.Remember(Request(how, parameters), token);
        Assert.Equal(token, _answers.Find(Request(how, parameters))?.Token);
    }

    [Theory]
    [InlineData("bob", "other", Query)]
    [InlineData("eve", "secret", Query)]
    [InlineData("bob:", "secret", Query)]
    [InlineData("bob", "secret ", Query)]
    [InlineData("bob", "SECRET", Query)]
    [InlineData("", "", Query)]
    [InlineData("bob", "secret", "service=other&scope=repository:acme/app:pull&scope=repository:acme/base:pull")]
    [InlineData("bob", "secret", "scope=repository:acme/app:pull&scope=repository:acme/base:pull")]
    [InlineData("bob", "secret", "service=registry.docker.io&scope=repository:acme/app:pull")]
    [InlineData("bob", "secret", "service=registry.docker.io&scope=repository:acme/app:pull,push&scope=repository:acme/base:pull")]
    [InlineData("bob", "secret", "service=registry.docker.io&scope=repository:acme/base:pull&scope=repository:acme/app:pull")]
    [InlineData("bob", "secret", "service=registry.docker.io&scope=repository:acme/app:pull&scope=repository:acme/secret:pull")]
    [InlineData("bob", "secret", Query + "&account=bob")]
    [InlineData("bob", "secret", Query + "&client_id=docker")]
    [InlineData("bob", "secret", Query + "&offline_token=true")]
    public void Another_query_gets_nothing(string username, string password, string query)
    {
        _answers.Remember(Request("GET", Query), Token());
        Assert.Null(_answers.Find(Parse(query, Basic(username, password), asForm: false)));
        Assert.Null(_answers.Find(Request("ANONYMOUS", query)));
        Assert.NotNull(_answers.Find(Request("GET", Query)));
    }

    [Theory]
    [InlineData("grant_type=password&service=registry.docker.io&client_id=c&username=bob&password=other&scope=repository:acme/app:pull")]
    [InlineData("grant_type=password&service=registry.docker.io&client_id=c&username=eve&password=secret&scope=repository:acme/app:pull")]
    [InlineData("grant_type=password&service=registry.docker.io&client_id=c&username=secret&password=bob&scope=repository:acme/app:pull")]
    [InlineData("grant_type=password&service=registry.docker.io&client_id=cusername&username=bob&password=secret&scope=repository:acme/app:pull")]
    [InlineData("grant_type=password&service=registry.docker.io&client_id=c&username=bob&password=secret&scope=repository:acme/secret:pull")]
    [InlineData("grant_type=password&service=registry.docker.io&client_id=c&username=bob&password=secret&scope=repository:acme/app:pull&access_type=offline")]
    [InlineData("grant_type=refresh_token&service=registry.docker.io&client_id=c&refresh_token=secret&scope=repository:acme/app:pull")]
    [InlineData("service=registry.docker.io&scope=repository:acme/app:pull")]
    public void Another_form_gets_nothing(string form)
    {
        _answers.Remember(Request("POST", Form), Token());
        Assert.Null(_answers.Find(Request("POST", form)));
        Assert.Null(_answers.Find(Parse("service=registry.docker.io&scope=repository:acme/app:pull", Bob, asForm: false)));
    }

    [Fact]
    public void A_query_and_a_form_of_the_same_parameters_are_two_things()
    {
        _answers.Remember(Request("ANONYMOUS", "service=s"), Token());
        Assert.Null(_answers.Find(Request("POST", "service=s")));
    }

    [Fact]
    public void A_token_with_30_seconds_left_is_given_and_one_with_29_is_not()
    {
        _answers.Remember(Request("GET", Query), Token());
        _time.Advance(TimeSpan.FromSeconds(270));
        Assert.NotNull(_answers.Find(Request("GET", Query)));
        _time.Advance(TimeSpan.FromSeconds(1));
        Assert.Null(_answers.Find(Request("GET", Query)));
        Assert.Equal((0, 0L), _answers.Size);
    }

    [Theory]
    [InlineData(0, 300)]
    [InlineData(100, 200)]
    [InlineData(240, 60)]
    [InlineData(241, 59)]
    [InlineData(269.5, 30)]
    [InlineData(270, 30)]
    public void No_client_believes_in_it_for_longer_than_it_is_good(double after, long left)
    {
        var end = _time.GetUtcNow().AddSeconds(300);
        var token = Token();
        _answers.Remember(Request("GET", Query), token);
        _time.Advance(TimeSpan.FromSeconds(after));

        using var answer = JsonDocument.Parse(_answers.Find(Request("GET", Query))!.Body);
        var expiresIn = answer.RootElement.GetProperty("expires_in").GetInt64();
        var issuedAt = DateTimeOffset.ParseExact(
            answer.RootElement.GetProperty("issued_at").GetString()!, "yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal);
        Assert.Equal(left, expiresIn);
        Assert.Equal(end, issuedAt.AddSeconds(Math.Max(60, expiresIn))); // distribution, containers
        Assert.True(_time.GetUtcNow().AddSeconds(expiresIn) <= end); // containerd
        Assert.Equal((token, token), (answer.RootElement.GetProperty("token").GetString(), answer.RootElement.GetProperty("access_token").GetString()));
        Assert.Equal(4, answer.RootElement.EnumerateObject().Count());
    }

    [Fact]
    public void A_token_that_lives_for_a_year_is_repeated_for_an_hour()
    {
        _answers.Remember(Request("GET", Query), TokenForge.Docker.Token(_time.GetUtcNow(), claims => claims["exp"] = _time.GetUtcNow().AddYears(1).ToUnixTimeSeconds()));
        _time.Advance(TimeSpan.FromMinutes(59));
        using var answer = JsonDocument.Parse(_answers.Find(Request("GET", Query))!.Body);
        Assert.Equal(60, answer.RootElement.GetProperty("expires_in").GetInt64());
        _time.Advance(TimeSpan.FromMinutes(1));
        Assert.Null(_answers.Find(Request("GET", Query)));
    }

    [Fact]
    public void What_is_no_token_or_expired_is_not_kept()
    {
        foreach (var token in new[] { "", "opaque", "a.b.c", TokenForge.Docker.Token(_time.GetUtcNow().AddSeconds(-271)), TokenForge.Docker.Token(_time.GetUtcNow(), claims => claims.Remove("exp")) })
            _answers.Remember(Request("GET", Query), token);
        Assert.Equal((0, 0L), _answers.Size);
    }

    [Fact]
    public void The_newest_token_is_the_one()
    {
        _answers.Remember(Request("GET", Query), Token());
        var newest = Token();
        _answers.Remember(Request("GET", Query), newest);
        Assert.Equal(newest, _answers.Find(Request("GET", Query))!.Token);
        Assert.Equal((1, newest.Length + IssuedAnswers.Surroundings), _answers.Size);
    }

    [Fact]
    public void What_is_refused_is_forgotten_and_the_rest_is_not()
    {
        var (one, other) = (Request("GET", "service=a"), Request("GET", "service=b"));
        _answers.Remember(one, Token());
        _answers.Remember(other, Token());
        _answers.Forget(one, withSecret: false);
        Assert.Null(_answers.Find(one));
        Assert.NotNull(_answers.Find(other));
    }

    [Fact]
    public void With_a_refused_secret_goes_all_that_was_given_for_it_in_either_form()
    {
        TokenRequest[] his = [Request("GET", "service=a"), Request("GET", "service=b"), Request("POST", Form)];
        TokenRequest[] others = [Request("ANONYMOUS", "service=a"), Parse("service=a", Basic("bob", "new secret"), asForm: false), Request("POST", "grant_type=refresh_token&refresh_token=r")];
        foreach (var request in (TokenRequest[])[.. his, .. others])
            _answers.Remember(request, Token());

        _answers.Forget(Request("GET", "service=c"), withSecret: true);
        Assert.All(his, request => Assert.Null(_answers.Find(request)));
        Assert.All(others, request => Assert.NotNull(_answers.Find(request)));
        Assert.Equal(3, _answers.Size.Count);
    }

    [Fact]
    public void A_refused_anonymous_request_takes_no_other_with_it()
    {
        _answers.Remember(Request("ANONYMOUS", "service=a"), Token());
        _answers.Forget(Request("ANONYMOUS", "service=b"), withSecret: true);
        Assert.NotNull(_answers.Find(Request("ANONYMOUS", "service=a")));
    }

    [Theory]
    [InlineData("GET", "Basic AAAAA")]
    [InlineData("GET", "Basic Ym9i")]
    [InlineData("POST", "grant_type=refresh_token&refresh_token=r&password=decoy")]
    public void What_no_refusal_of_its_secret_could_find_is_not_kept(string how, string what)
    {
        _answers.Remember(how == "GET" ? Parse("service=s", what, asForm: false) : Request(how, what), Token());
        Assert.Equal((0, 0L), _answers.Size);
    }

    [Fact]
    public void Another_process_knows_nothing_and_hashes_otherwise()
    {
        _answers.Remember(Request("GET", Query), Token());
        using var other = new IssuedAnswers(_time);
        Assert.Null(other.Find(Request("GET", Query)));
        Assert.NotEqual(_answers.HashOf(Request("GET", Query)), other.HashOf(Request("GET", Query)));
        Assert.Equal(_answers.HashOf(Request("GET", Query)), _answers.HashOf(Request("GET", Query)));
    }

    [Fact]
    public void A_hundred_thousand_requests_take_bounded_memory_and_the_newest_stay()
    {
        var token = Token();
        for (var i = 0; i < 100_000; i++)
        {
            _answers.Remember(Request("ANONYMOUS", $"service={i}"), token);
            _time.Advance(TimeSpan.FromMilliseconds(1));
            if (i % 10_000 == 0)
                AssertBounded();
        }

        AssertBounded();
        Assert.InRange(_answers.Size.Count, 5_000, MaximumCount);
        Assert.NotNull(_answers.Find(Request("ANONYMOUS", "service=99999")));
        Assert.NotNull(_answers.Find(Request("ANONYMOUS", "service=95000")));
        Assert.Null(_answers.Find(Request("ANONYMOUS", "service=0")));
    }

    [Fact]
    public void Large_tokens_are_fewer()
    {
        var token = TokenForge.Docker.Token(_time.GetUtcNow(), claims => claims["padding"] = new string('x', 9_000));
        for (var i = 0; i < 2_000; i++)
            _answers.Remember(Request("ANONYMOUS", $"service={i}"), token);
        AssertBounded();
        Assert.InRange(_answers.Size.Bytes, (long)(IssuedAnswers.MaximumBytes * 0.9), IssuedAnswers.MaximumBytes);
    }

    [Fact]
    public async Task What_has_expired_makes_room()
    {
        for (var i = 0; i < 100; i++)
            _answers.Remember(Request("ANONYMOUS", $"service={i}"), Token());
        _time.Advance(TimeSpan.FromMinutes(5));
        _answers.Remember(Request("GET", Query), Token());
        await Eventually.TrueAsync(() => _answers.Size.Count == 1);
    }

    [Fact]
    public async Task Many_at_once_leave_the_books_right()
    {
        var token = Token();
        var requests = Enumerable.Range(0, 50).Select(i => Request("GET", $"service={i}")).ToList();
        await Parallel.ForEachAsync(Enumerable.Range(0, 5_000), (i, _) =>
        {
            var request = requests[i % requests.Count];
            if (i % 97 == 0)
                _answers.Forget(request, withSecret: i % 2 == 0);
            else
                _answers.Remember(request, token);
            _answers.Find(request);
            return ValueTask.CompletedTask;
        });

        var (count, bytes) = _answers.Size;
        Assert.Equal(count * (token.Length + IssuedAnswers.Surroundings), bytes);
        _answers.Forget(requests[0], withSecret: true);
        Assert.Equal((0, 0L), _answers.Size);
    }

    private static string Basic(string username, string password) => "Basic " + Convert.ToBase64String(Encoding.UTF8.GetBytes($"{username}:{password}"));

    private static TokenRequest Request(string how, string parameters) => Parse(parameters, how == "GET" ? Bob : null, asForm: how == "POST");

    private static TokenRequest Parse(string encoded, string? authorization, bool asForm) =>
        TokenRequest.TryParse(encoded, authorization, asForm, out var request, out var error) ? request : throw new ArgumentException(error.Message, nameof(encoded));

    private void AssertBounded()
    {
        Assert.InRange(_answers.Size.Count, 1, MaximumCount);
        Assert.InRange(_answers.Size.Bytes, 1, IssuedAnswers.MaximumBytes);
    }

    private string Token() => TokenForge.Docker.Token(_time.GetUtcNow());
}
