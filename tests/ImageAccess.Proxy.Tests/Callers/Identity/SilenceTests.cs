using System.Collections.Concurrent;
using System.Diagnostics.Tracing;
using ImageAccess.Proxy.Callers.Identity;
using Microsoft.AspNetCore.Http;

namespace ImageAccess.Proxy.Tests.Callers.Identity;

/// <summary>Nothing of a token is to be found in what the room says.</summary>
public sealed class SilenceTests
{
    [Fact]
    public async Task No_part_of_a_token_is_logged_counted_or_reported()
    {
        using var events = new LibraryEvents();
        await using var room = await IdentityRoom.OpenAsync(("Identity:OrganizationClaim", "/o"));
        var served = new ConcurrentQueue<string>();
        room.Server.AnswerToken(() =>
        {
            var token = TokenForge.Docker.AnonymousToken(room.Now);
            served.Enqueue(token);
            return token;
        });
        string[] shown =
        [
            TokenForge.Docker.Token(room.Now),
            TokenForge.Stranger.Token(room.Now),
            TokenForge.Stranger.Token(room.Now, header: h => h["kid"] = "canary-kid-value"),
            TokenForge.Docker.Token(room.Now, c => c["iss"] = "canary-issuer-value"),
            TokenForge.Docker.Token(room.Now, c => c["aud"] = "canary-audience-value"),
            TokenForge.Docker.Token(room.Now, c => c["exp"] = 7),
            TokenForge.Docker.Token(room.Now, header: h => h["alg"] = "canary-algorithm-value"),
            TokenForge.Docker.Token(room.Now)[..^20],
            TokenForge.Docker.Token(room.Now) + ".canary",
            "dckr_pat_canary-secret-value",
        ];

        var answers = new List<string>();
        foreach (var token in shown)
        {
            room.Time.Advance(TimeSpan.FromSeconds(10));
            answers.Add(Describe(await room.IdentifyAsync(token)));
        }

        room.Identifier.LearnFrom(TokenForge.Next.Token(room.Now));
        room.Identifier.LearnFrom(shown[1][..^30]);
        room.Identifier.LearnFrom("dckr_pat_canary-secret-value");

        // A token service whose answer is not even HTTP, or holds the token where none is looked for.
        room.Time.Advance(TimeSpan.FromMinutes(2));
        room.Server.Answer = http => http.Response.WriteAsync($"<html>{shown[0]}");
        answers.Add(Describe(await room.IdentifyAsync(TokenForge.Stranger.Token(room.Now))));
        answers.Add((await room.CheckHealthAsync()).Description ?? "");

        string[] said = [.. room.Logs.Lines, .. answers, .. room.Measurements.Keys];
        Assert.Contains(said, l => l.Contains("Learnt the token service's verification key", StringComparison.Ordinal));
        Assert.Contains(said, l => l.Contains("Token refused: Signature", StringComparison.Ordinal));
        Assert.NotEmpty(served);
        string[] tokens = [.. shown, .. served];
        Assert.All(said, line => Assert.DoesNotContain("canary", line, StringComparison.OrdinalIgnoreCase));
        Assert.NotEmpty(events.Lines); // these name a stranger's kid, and nothing else
        Assert.All([.. said, .. events.Lines], line =>
        {
            foreach (var piece in tokens.SelectMany(Pieces))
                Assert.DoesNotContain(piece, line, StringComparison.Ordinal);
        });
    }

    [Fact]
    public async Task A_broken_status_line_is_not_quoted()
    {
        using var listener = new System.Net.Sockets.TcpListener(System.Net.IPAddress.Loopback, 0);
        listener.Start();
        await using var room = await IdentityRoom.OpenAsync(("Upstream:Auth", $"http://{listener.LocalEndpoint}"));

        var asking = room.IdentifyAsync(TokenForge.Docker.Token(room.Now));
        using (var connection = await listener.AcceptTcpClientAsync())
        {
            await using var stream = connection.GetStream();
            _ = await stream.ReadAsync(new byte[4096]);
            await stream.WriteAsync("{\"token\":\"canary.canary.canary\"}\r\n\r\n"u8.ToArray());
        }

        Assert.IsType<Identification.Unavailable>(await asking);
        Assert.Equal(
            $"no token can be verified: the token service gave no whole answer ({listener.LocalEndpoint}: the answer cannot be read; look at Upstream:Auth)",
            (await room.CheckHealthAsync()).Description);
        Assert.DoesNotContain(room.Logs.Lines, l => l.Contains("canary", StringComparison.Ordinal));
    }

    private static string Describe(Identification answer) => answer switch
    {
        Identification.Invalid invalid => $"invalid {invalid.Flaw}",
        _ => $"{answer.GetType()}",
    };

    /// <summary>What could give a token away: its payload and its signature in pieces. The header is the same for everyone.</summary>
    private static IEnumerable<string> Pieces(string token) =>
        token.Split('.').Skip(1).SelectMany(p => p.Chunk(24)).Where(c => c.Length == 24).Select(c => new string(c));

    /// <summary>What the token library itself tells whoever listens.</summary>
    private sealed class LibraryEvents : EventListener
    {
        private readonly ConcurrentQueue<string> _lines = new();

        public IReadOnlyCollection<string> Lines => _lines;

        protected override void OnEventSourceCreated(EventSource eventSource)
        {
            if (eventSource.Name.StartsWith("Microsoft.IdentityModel", StringComparison.Ordinal))
                EnableEvents(eventSource, EventLevel.Verbose);
        }

        protected override void OnEventWritten(EventWrittenEventArgs eventData) =>
            _lines?.Enqueue($"{eventData.Message} {string.Join(' ', eventData.Payload ?? (IReadOnlyList<object?>)[])}");
    }
}
