using System.Text;
using ImageAccess.Proxy.Policies.Catalog;
using ImageAccess.Proxy.Tests.Foundation.Files;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Tests.Policies.Catalog;

public sealed class FileCatalogSourceTests : IAsyncLifetime
{
    private const string Pins =
        """
        {
          // reviewed every quarter
          "partner": { "category": "verified-publisher", "reason": "under contract" },
          "bitnami": { "category": "community", "reason": "not for us", },
        }
        """;

    private CatalogSurroundings _here = null!;

    private string Document => _here.Data["catalog.json"];

    public async Task InitializeAsync() => _here = await CatalogSurroundings.StartAsync();

    public async Task DisposeAsync() => await _here.DisposeAsync();

    [Fact]
    public async Task A_pin_counts_and_nobody_is_asked()
    {
        await File.WriteAllTextAsync(Document, Pins);
        await using var room = await _here.OpenAsync();

        Assert.Equal("VerifiedPublisher by file", await room.FindAsync("partner"));
        Assert.Equal("None by file", await room.FindAsync("bitnami"));
        Assert.Equal(0, _here.Asked);
        Assert.Equal("under contract", room.Pins.Current.Find("partner")!.Reason);

        Assert.Equal("OpenSource by hub", await room.FindAsync("curl"));
        Assert.Equal(2, room.Measurements["lookups source=file result=known"]);
    }

    [Fact]
    public async Task A_pin_counts_more_than_what_is_remembered()
    {
        await using var room = await _here.OpenAsync();
        Assert.Equal("VerifiedPublisher by hub", await room.FindAsync("bitnami"));
        await File.WriteAllTextAsync(Document, Pins);
        room.Pins.RefreshTwice();
        Assert.Equal("None by file", await room.FindAsync("bitnami"));

        await File.WriteAllTextAsync(Document, "{}");
        room.Pins.RefreshTwice();
        Assert.Equal("VerifiedPublisher by hub", await room.FindAsync("bitnami"));
    }

    [Fact]
    public async Task Without_the_Hub_API_the_file_is_all_there_is()
    {
        await using (var before = await _here.OpenAsync())
            await before.FindAsync("curl");
        _here.Hub.Requests.Clear();

        await File.WriteAllTextAsync(Document, Pins);
        await using var room = await _here.OpenAsync(("Catalog:Hub", "false"));
        Assert.Equal("VerifiedPublisher by file", await room.FindAsync("partner"));
        Assert.Equal("unavailable", await room.FindAsync("plain"));
        Assert.Equal("unavailable", await room.FindAsync("curl"));
        Assert.Equal(0, _here.Asked);
        Assert.Null(await room.ConcernAsync());
    }

    [Fact]
    public async Task A_pin_may_stand_for_all_others()
    {
        await File.WriteAllTextAsync(Document, """{ "partner": { "category": "verified-publisher" }, "*": { "category": "community" } }""");
        await using var room = await _here.OpenAsync();
        Assert.Equal("VerifiedPublisher by file", await room.FindAsync("partner"));
        Assert.Equal("None by file", await room.FindAsync("bitnami"));
        Assert.Equal(0, _here.Asked);
    }

    [Fact]
    public async Task A_change_is_in_force_within_a_second()
    {
        await using var room = await _here.OpenAsync();
        await Eventually.TrueAsync(() => _here.Time.PendingTimers == 2);
        await File.WriteAllTextAsync(_here.Data["new"], Pins);
        File.Move(_here.Data["new"], Document);
        _here.Time.Advance(TimeSpan.FromSeconds(1));
        await Eventually.TrueAsync(() => room.Pins.Current.Count == 2);
        Assert.Contains($"2 pinned namespaces of {Document} are in force", room.Log.At(LogLevel.Information));
    }

    [Theory]
    [InlineData("rename")]
    [InlineData("link")]
    [InlineData("config map")]
    public async Task However_the_file_is_replaced_it_is_read(string way)
    {
        var folder = Directory.CreateDirectory(_here.Data["etc"]).FullName;
        var path = Path.Combine(folder, "catalog.json");
        Lay("one", "{}");
        Lay("two", Pins);
        switch (way)
        {
            case "rename":
                File.Copy(Path.Combine(folder, "one", "catalog.json"), path);
                break;
            case "link":
                File.CreateSymbolicLink(path, Path.Combine("one", "catalog.json"));
                break;
            default:
                Directory.CreateSymbolicLink(Path.Combine(folder, "..data"), "one");
                File.CreateSymbolicLink(path, Path.Combine("..data", "catalog.json"));
                break;
        }

        await using var room = await _here.OpenAsync(("Catalog:File", path));
        Assert.Equal(0, room.Pins.Current.Count);
        switch (way)
        {
            case "rename":
                File.Move(Path.Combine(folder, "two", "catalog.json"), path, overwrite: true);
                break;
            case "link":
                File.CreateSymbolicLink(path + ".new", Path.Combine("two", "catalog.json"));
                File.Move(path + ".new", path, overwrite: true);
                break;
            default:
                File.Delete(Path.Combine(folder, "..data"));
                Directory.CreateSymbolicLink(Path.Combine(folder, "..data"), "two");
                break;
        }

        room.Pins.RefreshTwice();
        Assert.Equal(2, room.Pins.Current.Count);

        void Lay(string name, string text)
        {
            Directory.CreateDirectory(Path.Combine(folder, name));
            File.WriteAllText(Path.Combine(folder, name, "catalog.json"), text);
        }
    }

    [Theory]
    [InlineData("{ \"partner\": ")]
    [InlineData("{ \"partner\": { \"category\": \"golden\" } }")]
    [InlineData("")]
    [InlineData(null)]
    public async Task A_bad_file_is_refused_loudly_and_the_last_good_one_stays(string? bad)
    {
        await File.WriteAllTextAsync(Document, Pins);
        await using (var room = await _here.OpenAsync())
        {
            File.Delete(Document);
            if (bad is not null)
                await File.WriteAllTextAsync(Document, bad);
            room.Pins.RefreshTwice();
            room.Pins.RefreshTwice();

            Assert.Equal("VerifiedPublisher by file", await room.FindAsync("partner"));
            Assert.StartsWith(Document, await room.ConcernAsync(), StringComparison.Ordinal);
            Assert.Single(room.Log.At(LogLevel.Error), line => line.EndsWith("what was accepted before stays in force", StringComparison.Ordinal));
        }

        await using var restarted = await _here.OpenAsync();
        Assert.Equal("VerifiedPublisher by file", await restarted.FindAsync("partner"));
        Assert.NotNull(await restarted.ConcernAsync());

        await File.WriteAllTextAsync(Document, Pins);
        restarted.Pins.RefreshTwice();
        Assert.Null(await restarted.ConcernAsync());
    }

    [Fact]
    public async Task A_file_that_never_was_good_stops_the_start_with_every_problem()
    {
        await File.WriteAllTextAsync(Document, """{ "a": 7, "b": { "category": "golden" } }""");
        await using var room = _here.Build();
        var stop = await Assert.ThrowsAsync<OptionsValidationException>(room.StartAsync);
        Assert.Equal(
            [
                $"Catalog:File: {Document}: a: must be an object with a category and a reason",
                $"Catalog:File: {Document}: b.category: must be \"verified-publisher\" or \"community\"",
            ],
            stop.Failures);
    }

    [Fact]
    public async Task A_file_that_is_asked_for_and_is_not_there_stops_the_start()
    {
        var missing = _here.Data["elsewhere.json"];
        await using var room = _here.Build(("Catalog:File", missing));
        var stop = await Assert.ThrowsAsync<OptionsValidationException>(room.StartAsync);
        Assert.Equal([$"Catalog:File: {missing} does not exist"], stop.Failures);
    }

    [Fact]
    public async Task A_file_without_end_is_refused()
    {
        await using var room = await _here.OpenAsync();
        await File.WriteAllTextAsync(Document, "{}".PadRight(5 * 1024 * 1024));
        room.Pins.RefreshTwice();
        Assert.Equal($"{Document} is larger than 4 MiB", await room.ConcernAsync());
    }

    [Fact]
    public void Every_problem_is_told_with_its_path()
    {
        const string document =
            """
            {
              "library": { "category": "official" },
              "Upper": { "category": "community" },
              "acme": { "category": "organization", "resaon": "x" },
              "a": { "category": 7, "reason": "" },
              "b": { "reason": 7 },
              "c": [],
              "d": { "category": "community", "category": "community" },
              "e": { "category": "community" },
              "e": { "category": "community" }
            }
            """;
        Assert.Null(CatalogPins.Read(Encoding.UTF8.GetBytes(document), out var problems));
        Assert.Equal(
            [
                "library: holds the official images and nothing else; it cannot be pinned",
                "library.category: only the repositories of library are official images; approve others in the policy's allowlist",
                "Upper: not a Docker Hub namespace: lower-case letters and digits, with - _ between them (or * for all others)",
                "acme.category: an organization's namespaces are those that the policy gives it",
                "acme.resaon: unknown member; known here: category, reason",
                "a.category: must be \"verified-publisher\" or \"community\"",
                "a.reason: must be a text of 1 to 1000 characters",
                "b.reason: must be a text of 1 to 1000 characters",
                "b: needs a category",
                "c: must be an object with a category and a reason",
                "d.category: comes twice",
                "e: comes twice",
            ],
            problems);
    }

    [Theory]
    [InlineData("[]", "must be an object: namespaces, and for each its category and reason")]
    [InlineData("{ \"a\" }", "line 1, column 7: not valid JSON: a colon is expected between a name and its value")]
    [InlineData("{ \"\\ud800\": {} }", "not valid text: UTF-8 is needed, and escapes that are whole characters")]
    public void What_is_no_such_document_is_told(string document, string problem)
    {
        Assert.Null(CatalogPins.Read(Encoding.UTF8.GetBytes(document), out var problems));
        Assert.Equal([problem], problems);
    }

    [Fact]
    public void Bytes_that_are_no_UTF_8_are_told()
    {
        Assert.Null(CatalogPins.Read(new byte[] { 0x7B, 0xFF, 0x7D }, out var problems));
        Assert.Equal(["not valid text: UTF-8 is needed, and escapes that are whole characters"], problems);
    }
}
