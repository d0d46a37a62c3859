using System.Net;
using ImageAccess.FakeHubs;
using ImageAccess.Proxy.Tests.Walk;

namespace ImageAccess.Proxy.Tests.Hosting;

/// <summary>SIGHUP reads files again, and ends nothing.</summary>
public abstract class ReadAgainTests(string transport) : WalkTests(transport), IAsyncLifetime
{
    private const string Manifest = "/v2/library/slow/manifests/latest";

    private ProgramRoom _room = null!;
    private string _token = "";

    public async Task InitializeAsync()
    {
        _room = await ProgramRoom.OpenAsync(Transport);
        _room.Push(ProgramRoom.Repository);
        _token = await _room.Hub.TokenForAsync(null, $"repository:{ProgramRoom.Repository}:pull");
        await File.WriteAllTextAsync(_room["keys.pem"], _room.Hub.Signer.CertificatePem);
        await File.WriteAllTextAsync(_room["users"], $"alice:{BCrypt.Net.BCrypt.HashPassword("x", 4)}\n");
        await File.WriteAllTextAsync(_room["pins.json"], """{ "bitnami": { "category": "verified-publisher" } }""");
    }

    public async Task DisposeAsync() => await _room.DisposeAsync();

    [Fact]
    public async Task Each_file_is_read_again_and_named_in_a_line()
    {
        await using var program = await StartAsync();
        program.Process.Signal("HUP");
        foreach (var line in new[]
        {
            $"the policy document {_room["policy.json"]}; policy ",
            $"the catalog file {_room["pins.json"]}; 1 namespaces are pinned",
            $"the trusted keys {_room["keys.pem"]}; 1 verify tokens",
            $"the users of the forward proxy, {_room["users"]}; 1 may sign in",
            $"the certificates; {_room["data/certificates/docker-hub.crt"]} ends on ",
        })
        {
            await program.Process.WaitForLineAsync(text => text.Contains($"Read again on SIGHUP: {line}", StringComparison.Ordinal));
        }

        Assert.Equal(HttpStatusCode.OK, await AskAsync(program));
        program.Process.Terminate();
        Assert.Equal(0, (await program.Process.EndAsync()).Code);
    }

    [Fact]
    public async Task A_trusted_key_that_is_gone_verifies_no_token_any_more_and_one_that_is_new_does()
    {
        using var other = new CertificateAuthority("Another token service");
        await using var program = await StartAsync();
        Assert.Equal(HttpStatusCode.OK, await AskAsync(program));

        await File.WriteAllTextAsync(_room["keys.pem"], other.CertificatePem);
        await ReadAgainAsync(program, "the trusted keys");
        Assert.Equal(HttpStatusCode.Unauthorized, await AskAsync(program));

        await File.WriteAllTextAsync(_room["keys.pem"], other.CertificatePem + "\n" + _room.Hub.Signer.CertificatePem);
        await ReadAgainAsync(program, "the trusted keys");
        Assert.Equal(HttpStatusCode.OK, await AskAsync(program));
    }

    [Theory]
    [InlineData("")]
    [InlineData("-----BEGIN CERTIFICATE-----\nAAAA\n")]
    [InlineData("no key at all")]
    public async Task Trusted_keys_that_cannot_be_used_leave_the_former_ones(string content)
    {
        await using var program = await StartAsync();
        await File.WriteAllTextAsync(_room["keys.pem"], content);
        await ReadAgainAsync(program, "the trusted keys");
        await program.Process.WaitForLineAsync(line => line.Contains($"The trusted keys stay as they were: {_room["keys.pem"]} ", StringComparison.Ordinal));
        Assert.Equal(HttpStatusCode.OK, await AskAsync(program));
    }

    [Theory]
    [InlineData("policy.json", "{ \"organizations\": [ {", "the policy document")]
    [InlineData("pins.json", "{", "the catalog file")]
    [InlineData("users", "alice:secret", "the users")]
    [InlineData("users", "alice:$2y$10$aaaaaaaaaaaaaaaaaaaa!aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "the users")]
    [InlineData("users", "alice:$2b$xx$aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "the users")]
    [InlineData("users", "alice:$2y$10$aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaé", "the users")]
    public async Task What_cannot_be_used_ends_nothing(string file, string content, string what)
    {
        await using var program = await StartAsync();
        await File.WriteAllTextAsync(_room[file], content);
        await ReadAgainAsync(program, what);
        Assert.Equal(HttpStatusCode.OK, await AskAsync(program));
    }

    /// <summary>Somebody writes a file twice in a minute, and both times it has more faults than are told one by one.</summary>
    [Theory]
    [InlineData("policy.json", 22)]
    [InlineData("policy.json", 45)]
    [InlineData("pins.json", 30)]
    public async Task Each_refusal_says_why(string file, int faults)
    {
        await using var program = await StartAsync();
        foreach (var edit in new[] { "first", "second" })
        {
            await File.WriteAllTextAsync(_room[file], $$"""{ {{string.Join(", ", Enumerable.Range(0, faults).Select(fault => $"\"{edit}-{fault}\": true"))}} }""");
            await Eventually.TrueAsync(() => LinesWith($"and {faults - 20} more") == (edit == "first" ? 1 : 2));
            Assert.Equal(20, LinesWith($"{edit}-"));
        }

        int LinesWith(string text) => program.Process.Output.Split('\n').Count(line => line.Contains($"{_room[file]}: ", StringComparison.Ordinal) && line.Contains(text, StringComparison.Ordinal));
    }

    [Fact]
    public async Task While_it_stops_a_pull_under_way_is_not_disturbed()
    {
        var (layer, digest) = _room.Push(ProgramRoom.Repository);
        _room.SlowContent();
        await using var program = await StartAsync();
        using var answer = await program.AskAsync(HttpMethod.Get, $"/v2/{ProgramRoom.Repository}/blobs/{digest}", _token);
        await program.StopAsync();
        program.Process.Signal("HUP");
        Assert.Equal(layer, await answer.Content.ReadAsByteArrayAsync());
        Assert.Equal(0, (await program.Process.EndAsync()).Code);
    }

    private Task<RunningProgram> StartAsync() => _room.StartAsync(
        """ "Cache": { "Enabled": false }, "Identity": { "TrustedKeys": "keys.pem" }, "Catalog": { "File": "pins.json" }, "ForwardProxy": { "Users": "users" } """,
        """, "ForwardProxy": "http://127.0.0.1:0" """);

    /// <summary>Sends the signal, and waits for the line that it brings for this file.</summary>
    private static async Task ReadAgainAsync(RunningProgram program, string what)
    {
        var before = Lines();
        program.Process.Signal("HUP");
        await Eventually.TrueAsync(() => Lines() > before);

        int Lines() => program.Process.Output.Split('\n').Count(line => line.Contains($"Read again on SIGHUP: {what}", StringComparison.Ordinal));
    }

    private async Task<HttpStatusCode> AskAsync(RunningProgram program)
    {
        using var answer = await program.AskAsync(HttpMethod.Get, Manifest, _token);
        return answer.StatusCode;
    }
}

public sealed class ReadAgainTests_direct() : ReadAgainTests(Direct);

public sealed class ReadAgainTests_kestrel() : ReadAgainTests(Kestrel);
