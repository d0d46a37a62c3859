using ImageAccess.Proxy.Foundation.Audit;
using ImageAccess.Proxy.Policies.Store;
using ImageAccess.Proxy.Tests.Foundation.Files;
using Microsoft.Extensions.Logging;

namespace ImageAccess.Proxy.Tests.Policies.Store;

public sealed class ReloadTests : IDisposable
{
    private readonly PolicyFixture _fixture = new();

    public static TheoryData<string> Ways => ["in place", "in place, same length and time", "rename", "link", "config map", "away and back"];

    [Theory]
    [MemberData(nameof(Ways))]
    public void A_document_is_reloaded_however_it_was_changed(string way)
    {
        var change = Prepare(way);
        var store = _fixture.Start();
        Assert.Equal(PolicyFixture.VersionOf(PolicyFixture.Strict), store.Current.Version);

        change(store);

        store.RefreshTwice();
        Assert.NotEqual(PolicyFixture.VersionOf(PolicyFixture.Strict), store.Current.Version);
        Assert.True(store.Current.Organizations[0].AllowsCommunity);
        Assert.Null(store.State!.Concern);
    }

    [Fact]
    public async Task The_watcher_sees_a_change_within_a_second()
    {
        File.WriteAllText(_fixture.Document, PolicyFixture.Strict);
        var store = _fixture.NotStarted(_fixture.Document);
        using var watcher = new PolicyWatcher(store, null!, _fixture.History(), new ExpiryWarnings(store, _fixture.Time, new LogLines<ExpiryWarnings>()), _fixture.Time);
        await watcher.StartAsync(CancellationToken.None);
        Assert.Equal(PolicyFixture.VersionOf(PolicyFixture.Strict), store.Current.Version);
        await Eventually.TrueAsync(() => _fixture.Time.PendingTimers == 1);

        File.WriteAllText(_fixture.Document, PolicyFixture.Lax);
        _fixture.Time.Advance(TimeSpan.FromSeconds(1));

        await Eventually.TrueAsync(() => store.Current.Version == PolicyFixture.VersionOf(PolicyFixture.Lax));
        await watcher.StopAsync(CancellationToken.None);
        Assert.Equal(store.Current.Version, _fixture.NextChange()!.Version); // recorded before the store has stopped
    }

    [Fact]
    public void A_half_written_document_is_refused_once_and_loudly_and_the_last_accepted_stays()
    {
        File.WriteAllText(_fixture.Document, PolicyFixture.Strict);
        var store = _fixture.Start();
        _fixture.Log.Clear();

        File.WriteAllText(_fixture.Document, PolicyFixture.Lax[..30]);
        store.RefreshTwice();
        store.RefreshTwice();

        var version = PolicyFixture.VersionOf(PolicyFixture.Strict);
        Assert.Equal(version, store.Current.Version);
        Assert.Equal(
            [
                $"The policy document {_fixture.Document} is refused; policy {version}, accepted earlier, stays in force",
                $"{_fixture.Document}: line 1, column 31: not valid JSON: the document ends here; a closing }} or ] is expected",
            ],
            _fixture.Log.At(LogLevel.Error));
        Assert.Equal(
            $"{_fixture.Document} is refused: line 1, column 31: not valid JSON: the document ends here; a closing }} or ] is expected; policy {version}, accepted earlier, stays in force",
            store.State!.Concern);

        File.WriteAllText(_fixture.Document, PolicyFixture.Lax);
        store.RefreshTwice();
        Assert.Equal(PolicyFixture.VersionOf(PolicyFixture.Lax), store.Current.Version);
        Assert.Null(store.State!.Concern);
    }

    [Fact]
    public void Every_problem_is_a_line_and_another_bad_document_is_told_again()
    {
        File.WriteAllText(_fixture.Document, PolicyFixture.Strict);
        var store = _fixture.Start();
        _fixture.Log.Clear();

        File.WriteAllText(_fixture.Document, """{ "organizations": [ { "name": "acme", "mode": "watch", "enabled": 1 } ] }""");
        store.RefreshTwice();

        Assert.Equal(3, _fixture.Log.At(LogLevel.Error).Count);
        Assert.Contains($"{_fixture.Document}: organizations[0].enabled: must be true or false", _fixture.Log.All);
        Assert.Contains("(and 1 more)", store.State!.Concern, StringComparison.Ordinal);

        _fixture.Log.Clear();
        File.WriteAllText(_fixture.Document, """{ "organization": [] }""");
        store.RefreshTwice();
        Assert.Equal(2, _fixture.Log.At(LogLevel.Error).Count);
    }

    /// <summary>Whatever makes a document large: the lines of a change do not grow with it.</summary>
    [Theory]
    [InlineData("allowlist", "{{ \"repository\": \"name{0}/app\" }}", "organization acme: name0/app approved, without expiry")]
    [InlineData("namespaces", "\"name{0}\"", "organization acme: namespace name0 added")]
    [InlineData("owners", "\"name{0}\"", "organization acme: owner name0 added")]
    [InlineData("allowlist", "{{ \"repository\": \"name{0}/app\", \"expires\": \"2026-06-03\" }}", "organization acme: name0/app approved, through 2026-06-03")]
    public void A_large_change_logs_a_summary_and_the_audit_has_all(string member, string entry, string first)
    {
        const int Count = 10_000;
        File.WriteAllText(_fixture.Document, PolicyFixture.Strict);
        var store = _fixture.NotStarted(_fixture.Document, maximumSize: 1024 * 1024);
        store.Open();
        var expiry = new LogLines<ExpiryWarnings>();
        var warnings = new ExpiryWarnings(store, _fixture.Time, expiry);
        _fixture.Log.Clear();

        var entries = string.Join(',', Enumerable.Range(0, Count).Select(i => string.Format(System.Globalization.CultureInfo.InvariantCulture, entry, i)));
        File.WriteAllText(_fixture.Document, $$"""{ "organizations": [ { "name": "acme", "enabled": true, "{{member}}": [ {{entries}} ] } ] }""");
        store.Refresh();
        warnings.Look();

        var version = store.Current.Version;
        var told = _fixture.Log.At(LogLevel.Warning);
        Assert.Equal(21, told.Count);
        Assert.Equal($"Policy {version} opens: {first}", told[0]);
        Assert.Equal($"Policy {version} opens {Count - 20} things more: the audit trail has all, and imageaccess policy diff names them", told[20]);
        Assert.Equal(Count, _fixture.NextChange()!.Opens.Count);
        if (entry.Contains("expires", StringComparison.Ordinal))
        {
            Assert.Equal(21, expiry.All.Count);
            Assert.Equal("9980 allowlist entries more end within 14 days: imageaccess policy validate names them", expiry.All[0]);
        }

        File.WriteAllText(_fixture.Document, $$"""{ "organizations": [ { "name": "acme", "{{member}}": [ {{string.Join(',', Enumerable.Repeat("7", Count))}} ] } ] }""");
        store.RefreshTwice();
        Assert.Equal(22, _fixture.Log.At(LogLevel.Error).Count);
        Assert.Equal($"{_fixture.Document}: and {Count - 20} more", _fixture.Log.At(LogLevel.Error)[21]);
    }

    [Fact]
    public void A_document_that_is_seen_in_the_middle_of_being_written_is_no_line_of_the_log()
    {
        var store = _fixture.Start(null); // no policy yet
        _fixture.Log.Clear();
        var place = Path.Combine(_fixture.Data, "policy.json");
        foreach (var (document, half) in new[] { (PolicyFixture.Strict, ""), (PolicyFixture.Lax, PolicyFixture.Lax[..20]), (PolicyFixture.Strict, "{}") })
        {
            File.WriteAllText(place, half);
            store.Refresh();
            File.WriteAllText(place, document);
            store.Refresh();
            Assert.Equal(PolicyFixture.VersionOf(document), store.Current.Version);
        }

        Assert.Empty(_fixture.Log.At(LogLevel.Error));
    }

    [Fact]
    public void A_problem_with_line_breaks_and_without_end_stays_one_short_line()
    {
        File.WriteAllText(_fixture.Document, PolicyFixture.Strict);
        var store = _fixture.Start();
        _fixture.Log.Clear();

        File.WriteAllText(_fixture.Document, $$"""{ "a\r\nerror: forged\u001b[2J{{new string('x', 5000)}}": 1 }""");
        store.RefreshTwice();

        var line = _fixture.Log.At(LogLevel.Error)[1];
        Assert.DoesNotContain(line, char.IsControl);
        Assert.True(line.Length < 1000);
    }

    [Fact]
    public void Thousands_of_problems_are_counted_not_logged()
    {
        File.WriteAllText(_fixture.Document, PolicyFixture.Strict);
        var store = _fixture.Start();
        _fixture.Log.Clear();

        File.WriteAllText(_fixture.Document, "{" + string.Join(',', Enumerable.Range(0, 1000).Select(i => $"\"m{i}\":1")) + "}");
        store.RefreshTwice();

        Assert.Equal(22, _fixture.Log.At(LogLevel.Error).Count);
        Assert.Contains($"{_fixture.Document}: and 980 more", _fixture.Log.All);
    }

    [Fact]
    public void A_vanished_document_leaves_the_policy_and_is_told_once()
    {
        File.WriteAllText(_fixture.Document, PolicyFixture.Strict);
        var store = _fixture.Start();
        var version = store.Current.Version;
        _fixture.Log.Clear();

        File.Delete(_fixture.Document);
        store.RefreshTwice();
        store.RefreshTwice();

        Assert.Equal(version, store.Current.Version);
        Assert.Equal($"{_fixture.Document} does not exist; policy {version}, accepted earlier, stays in force", store.State!.Concern);
        Assert.Single(_fixture.Log.At(LogLevel.Error));

        File.WriteAllText(_fixture.Document, PolicyFixture.Strict);
        store.RefreshTwice();
        Assert.Null(store.State!.Concern);
        Assert.Single(_fixture.Log.At(LogLevel.Information));
    }

    [Theory]
    [InlineData("directory", "cannot be read")]
    [InlineData("link", "is a link to a file that does not exist")]
    [InlineData("large", "is larger than 64 KiB")]
    public void What_cannot_be_read_leaves_the_policy(string what, string cause)
    {
        File.WriteAllText(_fixture.Document, PolicyFixture.Strict);
        var store = _fixture.Start();
        var version = store.Current.Version;

        File.Delete(_fixture.Document);
        switch (what)
        {
            case "directory":
                Directory.CreateDirectory(_fixture.Document);
                break;
            case "link":
                File.CreateSymbolicLink(_fixture.Document, _fixture["nothing"]);
                break;
            default:
                File.WriteAllText(_fixture.Document, PolicyFixture.Lax + new string(' ', 64 * 1024));
                break;
        }

        store.RefreshTwice();

        Assert.Equal(version, store.Current.Version);
        Assert.Contains(cause, store.State!.Concern, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""{ "defaultOrganization": "\ud800" }""")]
    [InlineData("""{ "\ud800": 1 }""")]
    [InlineData("""{ "organizations": [ { "name": "acme", "owners": [ "\udc00" ] } ] }""")]
    [InlineData("[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[")]
    [InlineData("\0")]
    [InlineData("null")]
    public void A_hostile_document_is_refused_like_any_other(string document)
    {
        File.WriteAllText(_fixture.Document, PolicyFixture.Strict);
        var store = _fixture.Start();

        File.WriteAllText(_fixture.Document, document);
        store.RefreshTwice();

        Assert.Equal(PolicyFixture.VersionOf(PolicyFixture.Strict), store.Current.Version);
        Assert.Contains("is refused", store.State!.Concern, StringComparison.Ordinal);
    }

    [Fact]
    public void A_document_of_the_largest_size_is_read()
    {
        File.WriteAllText(_fixture.Document, PolicyFixture.Lax.PadRight(64 * 1024));
        Assert.True(_fixture.Start().Current.Organizations[0].AllowsCommunity);
    }

    [Fact]
    public void A_request_keeps_the_snapshot_that_it_took()
    {
        File.WriteAllText(_fixture.Document, PolicyFixture.Strict);
        var store = _fixture.Start();
        var snapshot = store.Current;

        File.WriteAllText(_fixture.Document, PolicyFixture.Lax);
        store.RefreshTwice();

        Assert.False(snapshot.Organizations[0].AllowsCommunity);
        Assert.NotSame(snapshot, store.Current);
    }

    [Fact]
    public void A_change_tells_what_it_opens()
    {
        File.WriteAllText(_fixture.Document, PolicyFixture.Strict);
        var store = _fixture.Start();
        Assert.Null(_fixture.NextChange()); // the first policy opens nothing
        Assert.Contains($"Policy {store.Current.Version} of {_fixture.Document} is in force (before: none)", _fixture.Log.At(LogLevel.Information));

        File.WriteAllText(_fixture.Document, PolicyFixture.Lax);
        store.RefreshTwice();
        store.RefreshTwice();

        var change = Assert.IsType<PolicyEvent>(_fixture.NextChange());
        Assert.Equal(
            (PolicyFixture.VersionOf(PolicyFixture.Strict), PolicyFixture.VersionOf(PolicyFixture.Lax)),
            (change.PreviousVersion, change.Version));
        Assert.Equal(["organization acme: community images allowed"], change.Opens);
        Assert.Contains($"Policy {change.Version} opens: organization acme: community images allowed", _fixture.Log.At(LogLevel.Warning));
        Assert.Null(_fixture.NextChange());
    }

    [Fact]
    public void A_copy_that_cannot_be_kept_is_tried_again()
    {
        File.WriteAllText(_fixture.Document, PolicyFixture.Strict);
        var store = _fixture.Start();
        Directory.Delete(_fixture.Data, recursive: true);
        File.WriteAllText(_fixture.Data, "in the way");
        _fixture.Log.Clear();

        File.WriteAllText(_fixture.Document, PolicyFixture.Lax);
        store.RefreshTwice();
        store.RefreshTwice();

        Assert.Equal(PolicyFixture.VersionOf(PolicyFixture.Lax), store.Current.Version);
        Assert.Contains("could not be kept for a restart", store.State!.Concern, StringComparison.Ordinal);
        Assert.Single(_fixture.Log.At(LogLevel.Error));

        File.Delete(_fixture.Data);
        store.RefreshTwice();
        Assert.Null(store.State!.Concern);
        Assert.Equal(PolicyFixture.Lax, File.ReadAllText(_fixture.Copy));
    }

    public void Dispose() => _fixture.Dispose();

    /// <summary>Lays out the strict document; what it returns brings the lax one.</summary>
    private Action<PolicyStore> Prepare(string way)
    {
        var path = _fixture.Document;
        switch (way)
        {
            case "in place":
                File.WriteAllText(path, PolicyFixture.Strict);
                return _ => File.WriteAllText(path, PolicyFixture.Lax);

            case "in place, same length and time":
                File.WriteAllText(path, PolicyFixture.Strict);
                var written = File.GetLastWriteTimeUtc(path);
                return _ =>
                {
                    File.WriteAllText(path, PolicyFixture.Lax);
                    File.SetLastWriteTimeUtc(path, written);
                };

            case "rename":
                File.WriteAllText(path, PolicyFixture.Strict);
                return _ =>
                {
                    File.WriteAllText(_fixture["new"], PolicyFixture.Lax);
                    File.Move(_fixture["new"], path, overwrite: true);
                };

            case "link":
                File.WriteAllText(_fixture["one"], PolicyFixture.Strict);
                File.WriteAllText(_fixture["two"], PolicyFixture.Lax);
                File.CreateSymbolicLink(path, "one");
                return _ =>
                {
                    File.CreateSymbolicLink(_fixture["aside"], "two");
                    File.Move(_fixture["aside"], path, overwrite: true);
                };

            case "config map":
                // As the kubelet does it: policy.json -> ..data/policy.json, ..data -> a folder with the time in its name.
                WriteConfigMap("..2026_01", PolicyFixture.Strict);
                Directory.CreateSymbolicLink(_fixture["..data"], "..2026_01");
                File.CreateSymbolicLink(path, Path.Combine("..data", "policy.json"));
                return _ =>
                {
                    WriteConfigMap("..2026_02", PolicyFixture.Lax);
                    File.Delete(_fixture["..data"]);
                    Directory.CreateSymbolicLink(_fixture["..data"], "..2026_02");
                    Directory.Delete(_fixture["..2026_01"], recursive: true);
                };

            default:
                File.WriteAllText(path, PolicyFixture.Strict);
                return store =>
                {
                    File.Delete(path);
                    store.RefreshTwice();
                    Assert.NotNull(store.State!.Concern);
                    File.WriteAllText(path, PolicyFixture.Lax);
                };
        }
    }

    private void WriteConfigMap(string folder, string document)
    {
        Directory.CreateDirectory(_fixture[folder]);
        File.WriteAllText(Path.Combine(_fixture[folder], "policy.json"), document);
    }
}
