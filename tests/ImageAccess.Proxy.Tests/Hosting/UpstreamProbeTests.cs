using System.Text.Json.Nodes;
using ImageAccess.FakeHubs;
using ImageAccess.Proxy.Tests.Walk;
using Microsoft.Extensions.Logging;

namespace ImageAccess.Proxy.Tests.Hosting;

/// <summary>Whether what is asked for Docker Hub is Docker Hub is known before somebody pulls.</summary>
public sealed class UpstreamProbeTests
{
    private const string Login = "<html><form>sign in to the network</form></html>";

    private readonly ManualTime _time = new(TimeProvider.System.GetUtcNow());

    /// <summary>What answers in the place of which service, and what is said of it.</summary>
    public static TheoryData<Face, string, string> Wrong => new()
    {
        { Face.Registry, "200 text/html", "does not answer as a registry does (200, text/html); look at Upstream:Registry and at what answers there" },
        { Face.Registry, "404 text/plain", "does not answer as a registry does (404, text/plain); look at Upstream:Registry and at what answers there" },
        { Face.Registry, "302 text/html", "does not answer as a registry does (302, text/html); look at Upstream:Registry and at what answers there" },
        { Face.Registry, "200 application/json", "does not answer as a registry does (200, application/json); look at Upstream:Registry and at what answers there" },
        { Face.Registry, "503 text/html", "answers 503 in the place of a registry" },
        { Face.Registry, "closed", "the answer broke off, " },
        { Face.Auth, "200 text/html", "another server answers in the place of Docker Hub's token service (200, text/html) (" },
        { Face.Auth, "200 application/json", "does not answer as the token service does (200, application/json); look at Upstream:Auth and at what answers there" },
        { Face.Auth, "404 application/json", "does not answer as the token service does (404, application/json); look at Upstream:Auth and at what answers there" },
        { Face.Auth, "429 text/plain", "answers 429 in the place of the token service" },
        { Face.Hub, "200 text/html", "does not answer as the Hub API does (200, text/html); look at Upstream:Hub and at what answers there" },
        { Face.Hub, "403 text/html", "does not answer as the Hub API does (403, text/html); look at Upstream:Hub and at what answers there" },
        { Face.Hub, "closed", "the answer broke off, " },
    };

    [Theory]
    [MemberData(nameof(Wrong))]
    public async Task What_answers_in_the_place_of_a_service_is_told_and_that_it_is_over(Face face, string answer, string says)
    {
        await using var here = await StartAsync();
        var wrong = here.Hub.Faults.Add(face, answer == "closed" ? Fault.CloseConnection() : Fault.Status(int.Parse(answer[..3], System.Globalization.CultureInfo.InvariantCulture), Login, answer[4..]));
        for (var minute = 0; minute < 3; minute++)
            await NextMinuteAsync(here);

        Assert.InRange(wrong.Hits, 3, 6); // a second time where the connection broke
        Assert.Contains(says, Assert.Single(here.Log.At(LogLevel.Warning)), StringComparison.Ordinal);
        Assert.Contains(says, await DegradedAsync(here), StringComparison.Ordinal);

        wrong.Dispose();
        await NextMinuteAsync(here);
        Assert.Single(here.Log.At(LogLevel.Information), line => line.EndsWith(" of Docker Hub answers as it should again", StringComparison.Ordinal));
        Assert.Equal("{}", await DegradedAsync(here));
    }

    [Fact]
    public async Task Each_service_is_asked_once_a_minute_and_not_while_it_answers_anyway()
    {
        await using var here = await StartAsync();
        here.Hub.Requests.Clear();
        for (var minute = 1; minute <= 3; minute++)
        {
            await NextMinuteAsync(here);
            Assert.All([Face.Registry, Face.Auth, Face.Hub], face => Assert.Equal(minute, here.Hub.Requests.Of(face).Count));
        }

        Assert.All(here.Hub.Requests.All, request => Assert.Equal("GET", request.Method));
        Assert.All(here.Hub.Requests.Of(Face.Registry), request => Assert.Equal(("/v2/", null), (request.RawTarget, request.Authorization)));

        _time.Advance(TimeSpan.FromSeconds(30));
        Assert.Equal(200, (await here.AskAsync("GET", "/v2/acme/app/manifests/latest", here.Hub.Signer.IssueToken(draft => draft.For(here.Hub.Users.Find("bob")!).Access = [new TokenAccess("acme/app", "pull")]))).Status);
        here.Hub.Requests.Clear();
        var rounds = Rounds(here);
        _time.Advance(TimeSpan.FromSeconds(30));
        await Eventually.TrueAsync(() => Rounds(here) == rounds + 1);
        Assert.Equal((1, 1), (here.Hub.Requests.Of(Face.Auth).Count, here.Hub.Requests.Of(Face.Hub).Count));
        Assert.Empty(here.Hub.Requests.Of(Face.Registry));
    }

    [Fact]
    public async Task The_first_pull_after_the_start_knows_the_key_already()
    {
        await using var here = await StartAsync();
        await Eventually.TrueAsync(() => here.Log.All.Any(line => line.StartsWith("Learnt the token service's verification key", StringComparison.Ordinal)));
        here.Hub.Faults.Add(Face.Auth, Fault.CloseConnection());
        var answer = await here.AskAsync("GET", "/v2/acme/app/manifests/latest", await here.PullTokenAsync("bob", "acme/app"));
        Assert.True(answer.Status == 200, answer.Body);
    }

    /// <summary>A program whose services are silent is ready all the same.</summary>
    [Fact]
    public async Task The_start_is_not_held_up()
    {
        await using var here = await Surroundings.StartAsync(Surroundings.Policy, hub => hub.Time = _time, _time);
        foreach (var face in new[] { Face.Registry, Face.Auth, Face.Hub })
            here.Hub.Faults.Add(face, Fault.NeverAnswer());
        await here.RestartAsync(("Upstream:Probe", "true"));
        using var admin = Surroundings.NewClient(here.Admin);
        Assert.Contains("\"ready\"", await admin.GetStringAsync("/readyz"), StringComparison.Ordinal);
    }

    /// <summary>With the first round of questions over.</summary>
    private async Task<Surroundings> StartAsync()
    {
        var here = await Surroundings.StartAsync(Surroundings.Policy, hub => hub.Time = _time, _time, ("Upstream:Probe", "true"));
        await Eventually.TrueAsync(() => Rounds(here) == 1);
        return here;
    }

    /// <summary>A minute later, with its questions answered.</summary>
    private async Task NextMinuteAsync(Surroundings here)
    {
        var rounds = Rounds(here);
        _time.Advance(TimeSpan.FromMinutes(1));
        await Eventually.TrueAsync(() => Rounds(here) == rounds + 1);
    }

    private static int Rounds(Surroundings here) => here.Log.All.Count(line => line == "Docker Hub's services were asked what they are");

    private static async Task<string> DegradedAsync(Surroundings here)
    {
        using var admin = Surroundings.NewClient(here.Admin);
        return JsonNode.Parse(await admin.GetStringAsync("/readyz"))!["degraded"]!.ToJsonString().Replace("\\u0027", "'", StringComparison.Ordinal);
    }
}
