using ImageAccess.Proxy.Callers.Identity;
using ImageAccess.Proxy.Callers.Members;
using ImageAccess.Proxy.Foundation.Configuration;
using ImageAccess.Proxy.Foundation.DockerHub;
using ImageAccess.Proxy.Tests.Callers.Identity;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Tests.Callers.Members;

public sealed class DirectoryOptionsTests : IDisposable
{
    private readonly TemporaryDirectory _directory = new();

    public void Dispose() => _directory.Dispose();

    [Fact]
    public void One_organization_or_several_may_be_named_in_any_case()
    {
        Assert.Equal(["acme"], Read(("Organization", "Acme")).Organizations);
        Assert.Equal(["acme", "beta"], Read(("Organization:0", "acme"), ("Organization:1", "beta"), ("Organization:2", "ACME")).Organizations);
    }

    [Fact]
    public void Without_the_section_there_is_no_directory()
    {
        var services = new ServiceCollection().AddLogging().AddIdentity(IdentityRoom.Configure(("Data:Directory", _directory.Path)));
        using var provider = services.BuildServiceProvider();
        Assert.Empty(provider.GetRequiredService<IOptions<DirectoryOptions>>().Value.Organizations);
    }

    [Theory]
    [InlineData("Organization", "no/body", "Identity:Directory:Organization: 'no/body' is not the name of an organization on Docker Hub")]
    [InlineData("Organization", "", "Identity:Directory:Organization: name the organization whose members are to be read, or leave out the other keys of Identity:Directory")]
    [InlineData("Username", "", "Identity:Directory:Username: name the account that may read the members: a user, or the organization for its access token")]
    [InlineData("Secret", "", "Identity:Directory:SecretFile: name a file that holds an access token, or set IMAGEACCESS_Identity__Directory__Secret: one of the two")]
    [InlineData("SecretFile", "{missing}", "Identity:Directory:SecretFile: name a file that holds an access token, or set IMAGEACCESS_Identity__Directory__Secret: one of the two")]
    [InlineData("Refresh", "00:00:00", "Identity:Directory:Refresh: choose a duration of at most a day, as 5m")]
    [InlineData("Refresh", "2.00:00:00", "Identity:Directory:Refresh: choose a duration of at most a day, as 5m")]
    [InlineData("StaleFor", "-00:01:00", "Identity:Directory:StaleFor: choose a duration, as 7d")]
    [InlineData(":Upstream:Hub", "http://hub.example.com", "Identity:Directory:Organization: Upstream:Hub is http://hub.example.com, and the secret goes over https or to this host alone; make Upstream:Hub https")]
    public void What_is_wrong_is_named_with_the_way_out(string key, string value, string problem)
    {
        var failure = Assert.Throws<OptionsValidationException>(() => Read((key, value)));
        Assert.Equal([problem], failure.Failures);
        Assert.DoesNotContain("dckr_", failure.ToString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(null, "is not there")]
    [InlineData("", "does not hold one access token")]
    [InlineData(" \n", "does not hold one access token")]
    [InlineData("dckr_pat_one\ndckr_pat_two\n", "does not hold one access token")]
    public void A_secret_file_that_holds_none_stops_the_start_and_is_not_quoted(string? content, string problem)
    {
        if (content is not null)
            File.WriteAllText(_directory["secret"], content);
        var failure = Assert.Throws<OptionsValidationException>(() => Read(("Secret", ""), ("SecretFile", _directory["secret"])));
        Assert.Equal([$"Identity:Directory:SecretFile: {_directory["secret"]} {problem}"], failure.Failures);
    }

    [Fact]
    public async Task A_secret_file_is_read_anew_for_each_sign_in()
    {
        var file = _directory["secret"];
        await File.WriteAllTextAsync(file, DirectoryRoom.Secret + "\n");
        await using var room = await DirectoryRoom.OpenAsync(("Identity:Directory:Secret", ""), ("Identity:Directory:SecretFile", file));
        await room.ReadAsync();
        Assert.Null(room.Refresh.TroubleWith("acme"));

        await File.WriteAllTextAsync(file, "dckr_pat_revoked");
        await room.ReadAsync();
        Assert.True(room.Refresh.IsRefused("acme"));
        File.Delete(file);
        await room.ReadAsync();
        Assert.Equal($"there is no secret to sign in with: {file} is not there", room.Refresh.TroubleWith("acme"));
        await File.WriteAllTextAsync(file, "dckr_oat_acme");
        await room.ReadAsync();
        Assert.Null(room.Refresh.TroubleWith("acme"));
    }

    [Theory]
    [InlineData("30s", "00:00:30")]
    [InlineData("5m", "00:05:00")]
    [InlineData("12h", "12:00:00")]
    [InlineData("7d", "7.00:00:00")]
    public void Durations_are_written_with_their_unit(string written, string read) =>
        Assert.Equal(TimeSpan.Parse(read), Load(("IMAGEACCESS_Identity__Directory__Refresh", written)).GetValue<TimeSpan>("Identity:Directory:Refresh"));

    [Theory]
    [InlineData("5")]
    [InlineData("m")]
    [InlineData("0m")]
    [InlineData("-5m")]
    [InlineData("5 m")]
    [InlineData("1.5h")]
    [InlineData("5M")]
    [InlineData("00:05:00")]
    [InlineData("9999999d")]
    public void What_is_no_duration_is_refused(string written)
    {
        var failure = Assert.Throws<OptionsValidationException>(() => Load(("IMAGEACCESS_Identity__Directory__StaleFor", written)));
        Assert.Equal([$"Identity:Directory:StaleFor: '{written}' is not a duration, as 30s, 5m, 12h or 7d"], failure.Failures);
    }

    [Fact]
    public void The_secret_comes_from_the_environment_and_not_from_the_file()
    {
        Assert.Equal("dckr_pat_x", Load(("IMAGEACCESS_Identity__Directory__Secret", "dckr_pat_x"))["Identity:Directory:Secret"]);

        File.WriteAllText(_directory["imageaccess.json"], """{ "Identity": { "Directory": { "Secret": "dckr_pat_x" } } }""");
        var failure = Assert.Throws<OptionsValidationException>(() => Load());
        Assert.Equal(
            [$"Identity:Directory:Secret: a secret does not belong into {_directory["imageaccess.json"]}; set IMAGEACCESS_Identity__Directory__Secret, or name a file in Identity:Directory:SecretFile"],
            failure.Failures);
    }

    private IConfigurationRoot Load(params (string Name, string Value)[] environment)
    {
        if (!File.Exists(_directory["imageaccess.json"]))
            File.WriteAllText(_directory["imageaccess.json"], "{}");
        return ConfigurationLoading.Load(_directory["imageaccess.json"], environment.ToDictionary(v => v.Name, v => v.Value));
    }

    /// <summary>A good section with these keys changed; a key that begins with a colon stands outside of it.</summary>
    private DirectoryOptions Read(params (string Key, string Value)[] changes)
    {
        (string, string)[] settings =
        [
            ("Data:Directory", _directory.Path),
            ("Identity:Directory:Username", "reader"),
            ("Identity:Directory:Secret", "dckr_pat_reader"),
            .. changes.Any(change => change.Key.StartsWith("Organization", StringComparison.Ordinal)) ? [] : new[] { ("Identity:Directory:Organization", "acme") },
            .. changes.Select(change => (change.Key.StartsWith(':') ? change.Key[1..] : $"Identity:Directory:{change.Key}", change.Value)),
        ];
        var configuration = IdentityRoom.Configure(settings);
        using var provider = new ServiceCollection().AddLogging().AddDockerHub(configuration).AddIdentity(configuration).BuildServiceProvider();
        return provider.GetRequiredService<IOptions<DirectoryOptions>>().Value;
    }
}
