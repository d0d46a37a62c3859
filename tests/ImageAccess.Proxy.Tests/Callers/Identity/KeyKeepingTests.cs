using System.Globalization;
using System.Runtime.Versioning;
using System.Text.Json.Nodes;
using ImageAccess.Proxy.Callers.Identity;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace ImageAccess.Proxy.Tests.Callers.Identity;

/// <summary>Learnt keys on disk: what a start believes of them, and for how long.</summary>
public sealed class KeyKeepingTests : IAsyncLifetime
{
    private static readonly TimeSpan Hour = TimeSpan.FromHours(1);
    private static readonly TimeSpan Minute = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan Second = TimeSpan.FromSeconds(1);

    private readonly string _directory = Path.Combine(Directory.CreateTempSubdirectory("imageaccess-keys-").FullName, "data");

    private IdentityRoom _first = null!;

    private string Kept => Path.Combine(_directory, "token-keys.json");

    public async Task InitializeAsync() => _first = await IdentityRoom.OpenAsync(("Data:Directory", _directory));

    public async Task DisposeAsync()
    {
        await _first.DisposeAsync();
        Directory.Delete(Path.GetDirectoryName(_directory)!, recursive: true);
    }

    [Fact]
    public async Task A_start_while_the_token_service_is_down_verifies_with_the_kept_key()
    {
        await _first.LearnAsync();
        Fail();

        await using var next = await RestartAsync();
        Assert.IsType<Identification.Verified>(await next.IdentifyAsync(TokenForge.Docker.Token(next.Now)));
        Assert.IsType<Identification.Invalid>(await next.IdentifyAsync(TokenForge.Stranger.Token(next.Now)));
        Assert.Equal(HealthStatus.Healthy, (await next.CheckHealthAsync()).Status);
    }

    [Fact]
    public async Task Without_a_kept_key_no_token_can_be_judged()
    {
        await _first.LearnAsync();
        Fail();
        File.Delete(Kept);

        await using var next = await RestartAsync();
        Assert.IsType<Identification.Unavailable>(await next.IdentifyAsync(TokenForge.Docker.Token(next.Now)));
    }

    [Fact]
    public async Task A_key_on_the_curve_P256_is_kept_likewise()
    {
        _first.Identifier.LearnFrom(TokenForge.Elliptic.Token(_first.Now));
        Fail();

        await using var next = await RestartAsync();
        Assert.IsType<Identification.Verified>(await next.IdentifyAsync(TokenForge.Elliptic.Token(next.Now)));
    }

    [Fact]
    [UnsupportedOSPlatform("windows")]
    public async Task The_file_holds_public_keys_and_is_its_owners()
    {
        await _first.LearnAsync();

        var kept = JsonNode.Parse(await File.ReadAllTextAsync(Kept))!;
        Assert.Equal(_first.Server.Address.AbsoluteUri, kept["tokenService"]!.GetValue<string>());
        var key = Assert.Single(kept["keys"]!.AsArray())!;
        Assert.Equal(TokenForge.Docker.PublicKeyPem, "-----BEGIN PUBLIC KEY-----\n" + Lines(key["publicKey"]!.GetValue<string>()) + "-----END PUBLIC KEY-----");
        Assert.Null(key["goodUntil"]);
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(Kept));
        Assert.Equal([Kept], Directory.GetFiles(_directory));
    }

    [Fact]
    public async Task A_kept_key_is_good_for_an_hour_and_the_outage_is_told_thereafter()
    {
        await _first.LearnAsync();
        Fail();
        await using var next = await RestartAsync();

        next.Time.Advance(Hour - Second);
        var token = TokenForge.Docker.Token(next.Now);
        Assert.IsType<Identification.Verified>(await next.IdentifyAsync(token));
        Assert.IsType<Identification.Verified>(await next.IdentifyAsync(token)); // remembered, but not past the hour
        next.Time.Advance(Second);
        Assert.IsType<Identification.Unavailable>(await next.IdentifyAsync(token));
        Assert.Equal("no token can be verified: the token service answered 503", (await next.CheckHealthAsync()).Description);

        Recover(TokenForge.Docker, next);
        next.Time.Advance(TimeSpan.FromSeconds(3)); // as soon as where there never was a key
        Assert.IsType<Identification.Verified>(await next.IdentifyAsync(TokenForge.Docker.Token(next.Now)));
        Assert.Equal(HealthStatus.Healthy, (await next.CheckHealthAsync()).Status);
    }

    [Fact]
    public async Task Restarting_again_and_again_makes_no_key_good_for_longer()
    {
        await _first.LearnAsync();
        Fail();
        var until = _first.Now + Hour;
        foreach (var minutes in new[] { 0, 20, 40, 59 })
        {
            await using var next = await RestartAsync(TimeSpan.FromMinutes(minutes));
            Assert.IsType<Identification.Verified>(await next.IdentifyAsync(TokenForge.Docker.Token(next.Now)));
            Assert.Equal(until, Ends().Single());
        }

        await using var late = await RestartAsync(Hour);
        Assert.IsType<Identification.Unavailable>(await late.IdentifyAsync(TokenForge.Docker.Token(late.Now)));
    }

    [Fact]
    public async Task A_kept_key_that_the_token_service_still_signs_with_is_good_without_end_again()
    {
        await _first.LearnAsync();
        await using var next = await RestartAsync();
        next.Identifier.LearnFrom(TokenForge.Docker.Token(next.Now));
        Assert.Equal([null], Ends());
        Fail();

        next.Time.Advance(2 * Hour);
        Assert.IsType<Identification.Verified>(await next.IdentifyAsync(TokenForge.Docker.Token(next.Now)));
        Assert.DoesNotContain(next.Logs.Lines, line => line.Contains("another key", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Another_key_is_learnt_as_ever_and_the_kept_one_stays_good_for_its_hour()
    {
        await _first.LearnAsync();
        await using var next = await RestartAsync();
        Recover(TokenForge.Next, next);
        var asked = _first.Server.Requests;

        next.Time.Advance(TimeSpan.FromMinutes(30));
        Assert.IsType<Identification.Verified>(await next.IdentifyAsync(TokenForge.Next.Token(next.Now)));
        Assert.Equal(asked + 1, _first.Server.Requests);
        next.Time.Advance(TimeSpan.FromMinutes(30) - Second);
        Assert.IsType<Identification.Verified>(await next.IdentifyAsync(TokenForge.Docker.Token(next.Now)));
        next.Time.Advance(Second);
        Assert.IsType<Identification.Invalid>(await next.IdentifyAsync(TokenForge.Docker.Token(next.Now)));
        Assert.IsType<Identification.Verified>(await next.IdentifyAsync(TokenForge.Next.Token(next.Now)));
        Assert.Contains(next.Logs.Lines, line => line.Contains("the former one stays good until 2026-05-04 13:00:00Z", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_key_that_was_left_is_kept_with_its_end()
    {
        await _first.LearnAsync();
        _first.Time.Advance(Minute);
        _first.Identifier.LearnFrom(TokenForge.Next.Token(_first.Now));
        Assert.Equal([null, _first.Now + Hour], Ends());
        Fail();

        _first.Time.Advance(TimeSpan.FromMinutes(50));
        await using var next = await RestartAsync();
        next.Time.Advance(TimeSpan.FromMinutes(10) - Second);
        Assert.IsType<Identification.Verified>(await next.IdentifyAsync(TokenForge.Docker.Token(next.Now)));
        next.Time.Advance(Second);
        Assert.IsType<Identification.Invalid>(await next.IdentifyAsync(TokenForge.Docker.Token(next.Now)));
        Assert.IsType<Identification.Verified>(await next.IdentifyAsync(TokenForge.Next.Token(next.Now)));
    }

    [Fact]
    public async Task A_token_service_that_signs_with_two_keys_in_turn_causes_one_write_a_minute()
    {
        await _first.LearnAsync();
        for (var second = 0; second < 59; second++)
        {
            _first.Identifier.LearnFrom((second % 2 == 0 ? TokenForge.Next : TokenForge.Docker).Token(_first.Now));
            Assert.Single(Ends());
            _first.Time.Advance(Second);
        }

        _first.Time.Advance(Second);
        _first.Identifier.LearnFrom(TokenForge.Next.Token(_first.Now));
        Assert.Equal(2, Ends().Count);
    }

    [Fact]
    public async Task What_is_not_written_yet_is_written_when_the_process_ends()
    {
        await _first.LearnAsync();
        _first.Identifier.LearnFrom(TokenForge.Next.Token(_first.Now));
        Assert.Single(Ends());
        await _first.Keys.StopAsync(CancellationToken.None);
        Assert.Equal(2, Ends().Count);
    }

    [Fact]
    public async Task Keys_of_another_token_service_are_not_used()
    {
        await _first.LearnAsync();

        await using var other = await IdentityRoom.OpenAsync(("Data:Directory", _directory)); // with a token service of its own
        other.Server.AnswerText(503, "text/plain", "down");
        Assert.IsType<Identification.Unavailable>(await other.IdentifyAsync(TokenForge.Docker.Token(other.Now)));

        other.Identifier.LearnFrom(TokenForge.Next.Token(other.Now));
        await using var again = await RestartAsync();
        Fail();
        Assert.IsType<Identification.Unavailable>(await again.IdentifyAsync(TokenForge.Next.Token(again.Now)));
    }

    [Fact]
    public async Task With_trusted_keys_nothing_is_kept_or_read()
    {
        await _first.LearnAsync();
        using var file = new TemporaryFile(TokenForge.Next.CertificatePem);
        await using var trusting = await RestartAsync(TimeSpan.Zero, ("Identity:TrustedKeys", file.Path));
        Assert.IsType<Identification.Invalid>(await trusting.IdentifyAsync(TokenForge.Docker.Token(trusting.Now)));

        File.Delete(Kept);
        Assert.IsType<Identification.Verified>(await trusting.IdentifyAsync(TokenForge.Next.Token(trusting.Now)));
        trusting.Identifier.LearnFrom(TokenForge.Next.Token(trusting.Now));
        await trusting.Keys.StopAsync(CancellationToken.None);
        Assert.False(File.Exists(Kept));
    }

    [Theory]
    [InlineData("", "it is not what was written")]
    [InlineData("null", "it holds nothing")]
    [InlineData("[]", "it is not what was written")]
    [InlineData("{\"tokenService\":\"SERVICE\"}", "it is not what was written")]
    [InlineData("{\"tokenService\":\"SERVICE\",\"keys\":null}", "it is not what was written")]
    [InlineData("{\"tokenService\":\"SERVICE\",\"keys\":[null]}", "it holds what is no public key of RSA (2048 to 8192 bits) or P-256")]
    [InlineData("{\"tokenService\":\"SERVICE\",\"keys\":[{\"publicKey\":null,\"goodUntil\":null}]}", "it is not what was written")]
    [InlineData("{\"tokenService\":\"SERVICE\",\"keys\":[{\"publicKey\":\"%\",\"goodUntil\":null}]}", "it is not what was written")]
    [InlineData("{\"tokenService\":\"SERVICE\",\"keys\":[{\"publicKey\":\"\\ud800\",\"goodUntil\":null}]}", "it is not what was written")]
    [InlineData("{\"tokenService\":\"SERVICE\",\"keys\":[{\"publicKey\":\"AAAA\",\"goodUntil\":null}]}", "it holds what is no public key of RSA (2048 to 8192 bits) or P-256")]
    [InlineData("{\"tokenService\":\"SERVICE\",\"keys\":[{\"publicKey\":\"KEY\",\"goodUntil\":\"soon\"}]}", "it is not what was written")]
    [InlineData("{\"tokenService\":\"SERVICE\",\"keys\":[{\"publicKey\":\"KEY\",\"goodUntil\":null},{\"publicKey\":\"\",\"goodUntil\":null}]}", "it holds what is no public key of RSA (2048 to 8192 bits) or P-256")]
    [InlineData("HUGE", "it is larger than 64 KiB")]
    public async Task A_broken_file_is_told_and_stops_nothing(string text, string cause)
    {
        await _first.LearnAsync();
        var key = JsonNode.Parse(await File.ReadAllTextAsync(Kept))!["keys"]![0]!["publicKey"]!.GetValue<string>();
        await File.WriteAllTextAsync(Kept, text
            .Replace("SERVICE", _first.Server.Address.AbsoluteUri, StringComparison.Ordinal)
            .Replace("KEY", key, StringComparison.Ordinal)
            .Replace("HUGE", new string(' ', 65 * 1024), StringComparison.Ordinal));

        await using var next = await RestartAsync();
        Assert.Contains($"Warning The verification keys kept in {Kept} are not used: {cause} ", next.Logs.Lines);
        Assert.IsType<Identification.Verified>(await next.IdentifyAsync(TokenForge.Docker.Token(next.Now)));
        Assert.Equal(2, _first.Server.Requests); // learnt anew
        Assert.Equal([null], Ends());
    }

    [Fact]
    public async Task A_tampered_end_makes_no_key_good_for_longer()
    {
        await _first.LearnAsync();
        var text = await File.ReadAllTextAsync(Kept);
        await File.WriteAllTextAsync(Kept, text.Replace("null", "\"9999-12-31T23:59:59Z\"", StringComparison.Ordinal));
        Fail();

        await using var next = await RestartAsync();
        next.Time.Advance(Hour);
        Assert.IsType<Identification.Unavailable>(await next.IdentifyAsync(TokenForge.Docker.Token(next.Now)));
    }

    [Fact]
    public async Task A_directory_that_cannot_be_written_is_told_once_and_stops_nothing()
    {
        await File.WriteAllTextAsync(_directory, "a file where the directory should be");
        await _first.LearnAsync();
        for (var i = 0; i < 3; i++)
        {
            _first.Time.Advance(Minute);
            _first.Identifier.LearnFrom((i % 2 == 0 ? TokenForge.Next : TokenForge.Docker).Token(_first.Now));
        }

        Assert.Single(_first.Logs.Lines, line => line.StartsWith($"Warning The verification keys cannot be written to {Kept}: ", StringComparison.Ordinal));
        Assert.IsType<Identification.Verified>(await _first.IdentifyAsync(TokenForge.Docker.Token(_first.Now)));
    }

    private static string Lines(string base64) => string.Concat(base64.Chunk(64).Select(line => new string(line) + "\n"));

    private void Fail() => _first.Server.AnswerText(503, "text/plain", "down");

    private void Recover(TokenForge forge, IdentityRoom room) => _first.Server.AnswerToken(() => forge.AnonymousToken(room.Now));

    /// <summary>Until when each kept key is good.</summary>
    private List<DateTimeOffset?> Ends() => [.. JsonNode.Parse(File.ReadAllText(Kept))!["keys"]!.AsArray()
        .Select(key => key!["goodUntil"] is { } end ? DateTimeOffset.Parse(end.GetValue<string>(), CultureInfo.InvariantCulture) : (DateTimeOffset?)null)];

    private Task<IdentityRoom> RestartAsync() => RestartAsync(TimeSpan.Zero);

    /// <summary>Another process on the same directory, so much later.</summary>
    private Task<IdentityRoom> RestartAsync(TimeSpan later, params (string Key, string Value)[] settings) => IdentityRoom.OpenAsync(
        _first.Now + later, [("Data:Directory", _directory), ("Upstream:Auth", _first.Server.Address.ToString()), .. settings]);
}
