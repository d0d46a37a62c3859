using System.Net;
using System.Text;
using ImageAccess.Proxy.Connections.Ingress;
using ImageAccess.Proxy.Foundation.Limits;
using ImageAccess.Proxy.Tests.Foundation.Limits;
using ImageAccess.Proxy.Tests.Walk;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Tests.Connections.Ingress;

/// <summary>Who may use the forward proxy, and the file that says so.</summary>
public sealed class ProxyUsersTests : IDisposable
{
    /// <summary>The least that bcrypt knows: these are tests.</summary>
    private static readonly string Alice = $"alice:{BCrypt.Net.BCrypt.HashPassword("wonder:land", workFactor: 4)}";

    private readonly TemporaryDirectory _directory = new();
    private readonly ManualTime _time = new();
    private readonly LogLines<ProxyUsers> _log = new();
    private readonly LimitRoom _limits = new();

    private string UsersFile => _directory["users"];

    public void Dispose()
    {
        _limits.Dispose();
        _directory.Dispose();
    }

    [Theory]
    [InlineData("Basic", "alice:wonder:land", "alice")]
    [InlineData("basic", "alice:wonder:land", "alice")]
    [InlineData("Basic", "alice:wonder:lan", null)]
    [InlineData("Basic", "alice:", null)]
    [InlineData("Basic", "alice", null)]
    [InlineData("Basic", ":wonder:land", null)]
    [InlineData("Basic", "ALICE:wonder:land", null)]
    [InlineData("Basic", "bob:wonder:land", null)]
    [InlineData("Bearer", "alice:wonder:land", null)]
    public async Task Credentials_are_those_of_the_file_or_nobodys(string scheme, string credentials, string? user)
    {
        await File.WriteAllTextAsync(UsersFile, $"# people\n\n{Alice}\n");
        using var users = Open();
        var header = $"{scheme} {Convert.ToBase64String(Encoding.UTF8.GetBytes(credentials))}";
        Assert.Equal(user, await FindAsync(users, header));
        Assert.Equal(user, await FindAsync(users, header)); // remembered or not
    }

    [Theory]
    [InlineData(null)]
    [InlineData("")]
    [InlineData("Basic")]
    [InlineData("Basic !!!")]
    public async Task Without_credentials_nobody_is_accepted(string? header)
    {
        await File.WriteAllTextAsync(UsersFile, Alice);
        using var users = Open();
        Assert.Null(await FindAsync(users, header));
    }

    [Fact]
    public async Task Where_no_file_is_named_everybody_is()
    {
        using var users = Open(new ForwardProxyOptions());
        Assert.Equal("", await FindAsync(users, null));
    }

    [Fact]
    public async Task A_change_counts_within_a_second_for_remembered_passwords_too()
    {
        await File.WriteAllTextAsync(UsersFile, Alice);
        using var users = Open();
        var header = "Basic " + Convert.ToBase64String("alice:wonder:land"u8);
        Assert.Equal("alice", await FindAsync(users, header));

        await File.WriteAllTextAsync(UsersFile, "# nobody any more\n");
        _time.Advance(TimeSpan.FromSeconds(1));
        Assert.Null(await FindAsync(users, header));
    }

    [Fact]
    public async Task A_file_that_has_become_bad_changes_nothing()
    {
        await File.WriteAllTextAsync(UsersFile, Alice);
        using var users = Open();
        var header = "Basic " + Convert.ToBase64String("alice:wonder:land"u8);
        await File.WriteAllTextAsync(UsersFile, "alice:plain\n");
        _time.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal("alice", await FindAsync(users, header));
        File.Delete(UsersFile);
        _time.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal("alice", await FindAsync(users, header));
    }

    [Theory]
    [InlineData("alice", "line 1 is not NAME:HASH with a bcrypt hash, as htpasswd -B writes it")]
    [InlineData("# fine\nalice:secret", "line 2 is not NAME:HASH with a bcrypt hash, as htpasswd -B writes it")]
    [InlineData("alice:$apr1$x$y", "line 1 is not NAME:HASH with a bcrypt hash, as htpasswd -B writes it")]
    [InlineData("alice:$2y$10$0123456789", "line 1 is not NAME:HASH with a bcrypt hash, as htpasswd -B writes it")]
    [InlineData("# secret\nalice:$2y$10$aaaaaaaaaaaaaaaaaaaa!aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "line 2 is not NAME:HASH with a bcrypt hash, as htpasswd -B writes it")]
    [InlineData("# secret\nalice:$2b$xx$aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "line 2 is not NAME:HASH with a bcrypt hash, as htpasswd -B writes it")]
    [InlineData("# secret\nalice:$2y$10$aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaé", "line 2 is not NAME:HASH with a bcrypt hash, as htpasswd -B writes it")]
    [InlineData("# secret\nalice:$2z$10$aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "line 2 is not NAME:HASH with a bcrypt hash, as htpasswd -B writes it")]
    [InlineData("# secret\nalice:$2y$10xaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "line 2 is not NAME:HASH with a bcrypt hash, as htpasswd -B writes it")]
    [InlineData("# secret\nalice:$2$$$$$$$$$$$$$$$$$$$$$$$$$$$$$$$$$$$$$$$$$$$$$$$$$$$$$$$$$$", "line 2 is not NAME:HASH with a bcrypt hash, as htpasswd -B writes it")]
    [InlineData("ALICE\nALICE", "line 2 names a user once more")]
    [InlineData(null, "does not exist")]
    public async Task A_bad_file_is_named_with_its_line(string? text, string problem)
    {
        if (text is not null)
            await File.WriteAllTextAsync(UsersFile, text.Replace("ALICE", Alice, StringComparison.Ordinal));
        var failure = Assert.Single(new ForwardProxyOptionsValidator().Validate(null, new ForwardProxyOptions { Users = UsersFile }).Failures!);
        Assert.Equal($"ForwardProxy:Users: {UsersFile} {problem}", failure);
        Assert.DoesNotContain("secret", failure, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_whole_proxy_asks_and_strips_the_credentials()
    {
        await File.WriteAllTextAsync(UsersFile, Alice);
        await using var room = await IngressRoom.StartAsync(settings: ("ForwardProxy:Users", UsersFile));
        var (refused, closed) = await room.ConnectAsync("registry-1.docker.io:443");
        await closed.DisposeAsync();
        Assert.StartsWith("HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"imageaccess\", charset=\"UTF-8\"\r\n", refused, StringComparison.Ordinal);

        var (head, stream) = await room.ConnectAsync("registry-1.docker.io:443", "Proxy-Authorization: Basic " + Convert.ToBase64String("alice:wonder:land"u8));
        Assert.StartsWith("HTTP/1.1 200 ", head, StringComparison.Ordinal);
        await using var tls = await room.SecureAsync(stream, "registry-1.docker.io");
        var token = await room.World.PullTokenAsync(null, "library/nginx");
        await tls.WriteAsync(Encoding.ASCII.GetBytes(IngressRoom.Request("GET", "registry-1.docker.io", "/v2/library/nginx/manifests/latest", token)));
        Assert.Equal(200, RawAnswer.Parse(await IngressRoom.ReadToEndAsync(tls)).Status);
        Assert.All(room.World.Hub.Requests.All, request => Assert.Null(request.Header("Proxy-Authorization")));
        var (wrong, _) = await room.ConnectAsync("registry-1.docker.io:443", "Proxy-Authorization: Basic " + Convert.ToBase64String("alice:wrong"u8));
        Assert.StartsWith("HTTP/1.1 407 ", wrong, StringComparison.Ordinal);
        await room.AuditedAsync("registry-1.docker.io", "sign-in");
        Assert.Single(await room.World.AuditAsync(1), audit => audit.TryGetProperty("reason", out _)); // not of the one without credentials
        Assert.DoesNotContain("wonder", room.World.Log.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_change_counts_though_length_and_time_are_the_same()
    {
        await File.WriteAllTextAsync(UsersFile, Alice);
        var written = File.GetLastWriteTimeUtc(UsersFile);
        using var users = Open();

        await File.WriteAllTextAsync(UsersFile, Alice.Replace("alice", "clara", StringComparison.Ordinal));
        File.SetLastWriteTimeUtc(UsersFile, written);
        _time.Advance(TimeSpan.FromSeconds(1));

        Assert.Null(await FindAsync(users, "Basic " + Convert.ToBase64String("alice:wonder:land"u8)));
        Assert.Equal("clara", await FindAsync(users, "Basic " + Convert.ToBase64String("clara:wonder:land"u8)));
    }

    [Fact]
    public async Task A_refusal_is_logged_once_and_the_recovery_once()
    {
        await File.WriteAllTextAsync(UsersFile, Alice);
        using var users = Open();
        File.Delete(UsersFile);
        await LookTwiceAsync();
        await File.WriteAllTextAsync(UsersFile, Alice);
        await LookTwiceAsync();

        Assert.Equal(
            [
                $"The users of the forward proxy stay as they were: {UsersFile} does not exist",
                $"The file {UsersFile} agrees with the users of the forward proxy again",
            ],
            _log.All);

        async Task LookTwiceAsync()
        {
            for (var i = 0; i < 2; i++)
            {
                _time.Advance(TimeSpan.FromSeconds(1));
                Assert.Equal("alice", await FindAsync(users, "Basic " + Convert.ToBase64String("alice:wonder:land"u8)));
            }
        }
    }

    private static async Task<string?> FindAsync(ProxySignIn users, string? authorization) => (await users.CheckAsync(authorization, ClientShare.Of(IPAddress.Loopback), default)).User;

    private ProxySignIn Open() => Open(new ForwardProxyOptions { Users = UsersFile });

    private ProxySignIn Open(ForwardProxyOptions options) =>
        new(new ProxyUsers(Options.Create(options), _time, _log), _limits.Metrics, _time);
}
