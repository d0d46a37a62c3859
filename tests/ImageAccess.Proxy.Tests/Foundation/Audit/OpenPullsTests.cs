using System.Net;
using ImageAccess.Proxy.Foundation.Audit;

namespace ImageAccess.Proxy.Tests.Foundation.Audit;

/// <summary>Which requests are one pull. Each letter of the expected text is one pull.</summary>
public sealed class OpenPullsTests
{
    private static readonly string One = "sha256:" + new string('1', 64);
    private static readonly string Two = "sha256:" + new string('2', 64);

    private readonly ManualTime _time = new();
    private readonly OpenPulls _pulls;
    private int _asked;

    public OpenPullsTests() => _pulls = new OpenPulls(_time);

    [Theory]
    [InlineData("HEAD latest, GET latest, GET 1", "AAA")]
    [InlineData("HEAD latest, GET 1, GET 2, HEAD latest, GET 1", "AAABB")]
    [InlineData("HEAD latest, HEAD latest, GET 1", "AAA")]
    [InlineData("HEAD latest, HEAD other, GET 1", "ABB")]
    [InlineData("GET latest, GET 1, GET latest, GET 1", "AABB")]
    [InlineData("GET latest, GET latest", "AB")]
    [InlineData("HEAD 1, GET 1, GET 2, HEAD 2, GET 2", "AAABB")]
    [InlineData("HEAD 1, HEAD 2", "AB")]
    [InlineData("GET 1, GET 2, blob 1, blob 2", "AAAA")]
    [InlineData("blob 1, blob 2, GET latest", "AAB")]
    public void The_order_in_which_clients_ask_tells(string requests, string pulls) =>
        Assert.Equal(pulls, Letters(requests.Split(", ").Select(request => Ask(request))));

    [Fact]
    public void Another_caller_address_or_repository_is_another_pull() => Assert.Equal(
        "ABCDA", Letters([Ask("HEAD latest"), Ask("HEAD latest", caller: "carol"), Ask("HEAD latest", client: "192.0.2.2"), Ask("HEAD latest", repository: "acme/other"), Ask("GET 1")]));

    [Fact]
    public void A_minute_after_its_beginning_a_pull_is_over()
    {
        var ids = new List<string?> { Ask("HEAD latest") };
        _time.Advance(OpenPulls.Window - TimeSpan.FromSeconds(1));
        ids.Add(Ask("GET 1"));
        _time.Advance(TimeSpan.FromSeconds(1));
        ids.Add(Ask("GET 2"));
        Assert.Equal("AAB", Letters(ids));
    }

    [Theory]
    [InlineData("GET", "tags/list")]
    [InlineData("GET", "referrers/sha256:1111111111111111111111111111111111111111111111111111111111111111")]
    [InlineData("PUT", "manifests/latest")]
    [InlineData("DELETE", "manifests/latest")]
    [InlineData("POST", "blobs/uploads/")]
    public void What_is_no_part_of_a_pull_has_none_and_ends_none(string method, string rest)
    {
        var began = Ask("HEAD latest");
        Assert.Null(_pulls.Join("bob", IPAddress.Loopback, AuditFixture.Parse(method, $"/v2/acme/app/{rest}"), "x"));
        Assert.Equal(began, Ask("GET 1"));
    }

    [Fact]
    public async Task However_many_ask_at_once_each_is_told_a_pull_of_its_own_or_began_one()
    {
        var wrong = 0;
        await Parallel.ForAsync(0, 20_000, (i, _) =>
        {
            var caller = $"caller-{i % 500}";
            var id = $"{caller} {i}";
            if (_pulls.Join(caller, IPAddress.Loopback, AuditFixture.Parse("GET", $"/v2/acme/app/manifests/{One}"), id)?.Id.StartsWith(caller + " ", StringComparison.Ordinal) != true)
                Interlocked.Increment(ref wrong);
            return ValueTask.CompletedTask;
        });
        Assert.Equal(0, wrong);
    }

    private string? Ask(string request, string caller = "bob", string client = "192.0.2.1", string repository = "acme/app")
    {
        var (method, what) = (request.Split(' ')[0], request.Split(' ')[1].Replace("1", One, StringComparison.Ordinal));
        what = what == "2" ? Two : what;
        var target = $"/v2/{repository}/{(method == "blob" ? "blobs" : "manifests")}/{what}";
        return _pulls.Join(caller, IPAddress.Parse(client), AuditFixture.Parse(method == "blob" ? "GET" : method, target), $"id-{_asked++}")?.Id;
    }

    private static string Letters(IEnumerable<string?> ids)
    {
        var seen = new List<string?>();
        return string.Concat(ids.Select(id =>
        {
            if (!seen.Contains(id))
                seen.Add(id);
            return (char)('A' + seen.IndexOf(id));
        }));
    }
}
