using System.Diagnostics;
using ImageAccess.Proxy.Policies.Store;

namespace ImageAccess.Proxy.Tests.Administration.Api;

/// <summary>The policy document of the database by the API: read, written, written at once by many, and while the database cannot be written.</summary>
public sealed class PolicyInDatabaseTests : IAsyncLifetime
{
    private const string Acme = "/api/v1/organizations/acme/policy?reason=because";

    private readonly ApiRoom _room = new();
    private string _alice = "";
    private string _carol = "";

    private IPolicyStore Store => _room.Service<IPolicyStore>();

    public async Task InitializeAsync()
    {
        await _room.InitializeAsync();
        await _room.ImportAsync(ApiRoom.Policy);
        (_alice, _carol) = (await _room.TokenAsync("owner", person: "alice"), await _room.TokenAsync("company-owner", null, "carol"));
    }

    public Task DisposeAsync() => _room.DisposeAsync();

    [Fact]
    public async Task What_was_written_is_read_at_once()
    {
        for (var i = 0; i < 5; i++)
        {
            var whole = await _room.SendAsync("GET", "/api/v1/policy", _carol);
            var written = ApiRoom.Policy.Replace("\"maximumDays\": 90", $"\"maximumDays\": {80 - i}", StringComparison.Ordinal);
            var done = await _room.SendAsync("PUT", "/api/v1/policy?reason=because", _carol, written, whole.Tag);
            Assert.True(done.Status == 200, done.Text);
            var read = await _room.SendAsync("GET", "/api/v1/policy", _carol);
            Assert.Equal((done.Tag, written), (read.Tag, read.Text));
            Assert.Equal(412, (await _room.SendAsync("PUT", "/api/v1/policy?reason=because", _carol, ApiRoom.Policy, whole.Tag)).Status); // the tag is used up
        }
    }

    [Fact]
    public async Task Of_many_who_write_one_section_at_once_one_does()
    {
        var section = await SectionAsync();
        var globex = await _room.SendAsync("GET", "/api/v1/organizations/globex/policy", _carol);
        var answers = await Task.WhenAll(Enumerable.Range(0, 6).Select(i => _room.SendAsync("PUT", Acme, _alice, With(section.Text, $"ask {i}"), section.Tag)));
        Assert.Equal([200, 412, 412, 412, 412, 412], answers.Select(answer => answer.Status).Order());
        foreach (var tag in new[] { section.Tag, globex.Tag, "\"\"", section.Tag!.ToUpperInvariant() })
            Assert.Equal(412, (await _room.SendAsync("PUT", Acme, _alice, With(section.Text, "again"), tag)).Status);
        foreach (var tag in new[] { $"W/{section.Tag}", $"{section.Tag}, {globex.Tag}", "*", section.Tag.Trim('"') })
            Assert.Equal(400, (await _room.SendAsync("PUT", Acme, _alice, With(section.Text, "again"), tag)).Status);
    }

    /// <summary>A whole document changes every section: each organization is told what became of its own.</summary>
    [Fact]
    public async Task Whoever_was_slower_is_told_nothing_of_other_organizations()
    {
        var section = await SectionAsync();
        var whole = await _room.SendAsync("GET", "/api/v1/policy", _carol);
        var opened = ApiRoom.Policy.Replace("\"official\": true", "\"official\": true, \"community\": true", StringComparison.Ordinal).Replace("[ \"gail\" ]", "[ \"gail\", \"gil\" ]", StringComparison.Ordinal);
        Assert.Equal(200, (await _room.SendAsync("PUT", "/api/v1/policy?reason=because", _carol, opened, whole.Tag)).Status);
        var late = await _room.SendAsync("PUT", Acme, _alice, With(section.Text, "late"), section.Tag);
        Assert.Equal(412, late.Status);
        Assert.EndsWith("(because): opens: organization acme: community images allowed. Look at it, and change it from there", late.Detail, StringComparison.Ordinal);
        Assert.Contains("globex", (await _room.SendAsync("PUT", "/api/v1/policy?reason=because", _carol, ApiRoom.Policy, whole.Tag)).Detail, StringComparison.Ordinal);
    }

    /// <summary>As a draft of it is answered: what was written is wrong, whatever is in force.</summary>
    [Theory]
    [InlineData(false, """{ "enabled": """, 1, "the section is refused: the section is refused: line 1")]
    [InlineData(false, "[ ]", 1, "the section is refused: the section is no JSON object")]
    [InlineData(false, """{ "enabeld": true, "color": "red" }""", 2, "the section is refused: ")]
    [InlineData(false, """{ "name": "globex" }""", 1, "the section is refused: the section is not named acme")]
    [InlineData(true, """{ "organizations": [ { "name": "acme", "enabled": "yes" }, { "name": "BIG NAME" } ], "extra": 1 }""", 3, "the document is refused: ")]
    public async Task What_is_malformed_is_refused_with_its_problems(bool isWhole, string body, int problems, string detail)
    {
        var (target, token) = isWhole ? ("/api/v1/policy", _carol) : (Acme.Split('?')[0], _alice);
        var before = await _room.SendAsync("GET", target, token);
        var draft = await _room.SendAsync("POST", $"{target}/drafts", token, body);
        var answer = await _room.SendAsync("PUT", $"{target}?reason=because", token, body, before.Tag);
        Assert.Equal((400, 400), (draft.Status, answer.Status));
        Assert.Equal(draft.Text, answer.Text);
        Assert.StartsWith(detail, answer.Detail, StringComparison.Ordinal);
        Assert.Equal(Enumerable.Repeat(isWhole ? "document" : "section", problems), answer.Json.GetProperty("errors").EnumerateArray().Select(error => error.GetProperty("member").GetString()));
        Assert.Equal(before.Text, (await _room.SendAsync("GET", target, token)).Text);
    }

    /// <summary>The database's disk alone: it is a link to a small one.</summary>
    [Fact]
    public async Task On_a_full_disk_and_on_one_that_is_read_only_the_policy_stays_and_whoever_changes_it_is_told_why()
    {
        using var directory = new TemporaryDirectory();
        await RunAsync("mount", "-t", "tmpfs", "-o", "size=2m,mode=0700", "tmpfs", directory.Path);
        try
        {
            var file = Path.Combine(_room.Here.DataDirectory, "imageaccess.db");
            await _room.Here.RestartAsync(() =>
            {
                File.Move(file, directory["imageaccess.db"]);
                File.CreateSymbolicLink(file, directory["imageaccess.db"]);
            });
            _room.Reconnect();
            await _room.ReadyAsync();
            var section = await SectionAsync();
            var version = Store.Current.Version;

            await FillAsync(directory["filler"]);
            await NotChangedAsync(section, version, "^the database cannot grow: its disk has no space left; make room; nothing was changed$|^the database cannot be (opened|read or written): .*; nothing was changed$");
            File.Delete(directory["filler"]);

            while (await ExitCodeAsync("mount", "-o", "remount,ro", directory.Path) != 0)
            {
                // Somebody writes at this moment.
            }

            await NotChangedAsync(section, version, "^the database cannot be (written|opened|read or written): .*; nothing was changed$");
            await RunAsync("mount", "-o", "remount,rw", directory.Path);
            var done = await _room.SendAsync("PUT", Acme, _alice, With(section.Text, "there is room"), section.Tag);
            Assert.True(done.Status == 200, done.Text);
            Assert.Equal((done.Json.GetProperty("done").GetProperty("version").GetString(), null), (Store.Current.Version, Store.State!.Concern));
        }
        finally
        {
            await _room.Here.RestartAsync(() => File.Delete(Path.Combine(_room.Here.DataDirectory, "imageaccess.db")));
            _room.Reconnect();
            await RunAsync("umount", directory.Path);
        }
    }

    private async Task NotChangedAsync(ApiAnswer section, string version, string cause)
    {
        var answer = await _room.SendAsync("PUT", Acme, _alice, With(section.Text, new string('x', 200)), section.Tag);
        Assert.True(answer.Status == 503, answer.Text);
        Assert.Matches(cause, answer.Detail);
        Assert.Equal(version, Store.Current.Version);
        Assert.Equal(200, (await _room.Here.AskAsync("GET", "/v2/library/nginx/manifests/latest", await _room.Here.PullTokenAsync("bob", "library/nginx"))).Status);
        Assert.Equal(403, (await _room.Here.AskAsync("GET", "/v2/someuser/custom-image/manifests/latest", await _room.Here.PullTokenAsync("bob", "someuser/custom-image"))).Status);
    }

    private static string With(string section, string help) => section.TrimEnd().TrimEnd('}') + $", \"help\": \"{help}\" }}";

    private static async Task FillAsync(string path)
    {
        await using var file = new FileStream(path, FileMode.Append);
        try
        {
            while (true)
            {
                await file.WriteAsync(new byte[4096]);
                await file.FlushAsync();
            }
        }
        catch (IOException)
        {
            // It is full.
        }
    }

    private static async Task RunAsync(params string[] command) => Assert.Equal(0, await ExitCodeAsync(command));

    private static async Task<int> ExitCodeAsync(params string[] command)
    {
        using var process = Process.Start(new ProcessStartInfo(command[0], command[1..]) { RedirectStandardError = true, UseShellExecute = false })!;
        await process.WaitForExitAsync();
        return process.ExitCode;
    }

    private Task<ApiAnswer> SectionAsync() => _room.SendAsync("GET", "/api/v1/organizations/acme/policy", _alice);
}
