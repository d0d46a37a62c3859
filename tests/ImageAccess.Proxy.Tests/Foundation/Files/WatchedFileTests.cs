using System.Globalization;
using System.Text;
using ImageAccess.Proxy.Foundation.Files;

namespace ImageAccess.Proxy.Tests.Foundation.Files;

public sealed class WatchedFileTests : IDisposable
{
    private readonly TemporaryDirectory _directory = new();
    private readonly ManualTime _time = new();
    private int _parsed;

    private string Place => _directory["number"];

    public void Dispose() => _directory.Dispose();

    [Fact]
    public void What_is_good_is_used_and_told_once()
    {
        var file = Watch();
        Write("1");

        Assert.Equal([FileChange.Accepted, FileChange.None], [file.LookTwice(), file.LookTwice()]);
        Assert.Equal(("1", 1), (file.Current!.Text, _parsed));

        Write("2");
        Assert.Equal((FileChange.Accepted, "2"), (file.LookTwice(), file.Current.Text));
    }

    [Fact]
    public void The_content_alone_tells_a_change()
    {
        var file = Watch();
        Write("1");
        var written = File.GetLastWriteTimeUtc(Place);
        file.LookTwice();

        Write("2"); // as long as before, and of the same moment
        File.SetLastWriteTimeUtc(Place, written);
        Assert.Equal((FileChange.Accepted, "2"), (file.LookTwice(), file.Current!.Text));

        File.SetLastWriteTimeUtc(Place, written.AddDays(1));
        Assert.Equal(FileChange.None, file.LookTwice());
    }

    [Fact]
    public void A_refusal_is_told_once_and_the_last_good_content_stays_until_the_file_recovers()
    {
        var file = Watch();
        Write("1");
        file.LookTwice();

        Write("one");
        Assert.Equal([FileChange.Refused, FileChange.None], [file.LookTwice(), file.LookTwice()]);
        Assert.Equal(("1", "is no number: one"), (file.Current!.Text, file.Refusal!.Flaw));
        Assert.Equal(3, _parsed); // what is refused is not parsed again

        Write("eins");
        Assert.Equal((FileChange.Refused, "is no number: eins"), (file.LookTwice(), file.Refusal.Flaw));

        Write("1");
        Assert.Equal([FileChange.Recovered, FileChange.None], [file.LookTwice(), file.LookTwice()]);
        Assert.Null(file.Refusal);
    }

    [Fact]
    public void Another_good_content_ends_a_refusal_without_a_recovery()
    {
        var file = Watch();
        Write("one");
        Assert.Equal(FileChange.Refused, file.LookTwice());

        Write("1");
        Assert.Equal((FileChange.Accepted, null), (file.LookTwice(), file.Refusal));
    }

    [Fact]
    public void A_file_that_vanishes_is_refused_once_and_recovers()
    {
        var file = Watch(isOptional: true);
        Write("1");
        file.LookTwice();

        File.Delete(Place);
        Assert.Equal([FileChange.Refused, FileChange.None], [file.LookTwice(), file.LookTwice()]);
        Assert.Equal(("1", "does not exist", true), (file.Current!.Text, file.Refusal!.Flaw, file.IsMissing));

        Directory.CreateDirectory(Place); // another cause
        Assert.Equal((FileChange.Refused, false), (file.LookTwice(), file.IsMissing));

        Directory.Delete(Place);
        Write("1");
        Assert.Equal((FileChange.Recovered, null), (file.LookTwice(), file.Refusal));
    }

    [Fact]
    public void A_file_that_must_be_there_is_refused_when_it_is_missing()
    {
        var file = Watch();
        Assert.Equal((FileChange.Refused, "does not exist"), (file.LookTwice(), file.Refusal!.Flaw));

        Write("one");
        Assert.Equal(FileChange.Refused, file.LookTwice());
        File.Delete(Place);
        Assert.Equal(FileChange.Refused, file.LookTwice());
    }

    [Fact]
    public void A_file_that_may_be_missing_is_no_fault_until_one_was_good()
    {
        var file = Watch(isOptional: true);
        Assert.Equal((FileChange.None, null), (file.LookTwice(), file.Refusal));

        Write("one");
        Assert.Equal(FileChange.Refused, file.LookTwice());
        File.Delete(Place);
        Assert.Equal((FileChange.Recovered, null), (file.LookTwice(), file.Refusal));
    }

    [Theory]
    [InlineData("rename")]
    [InlineData("link")]
    [InlineData("config map")]
    public void However_the_file_is_replaced_the_change_is_seen(string way)
    {
        Lay("one", "1");
        Lay("two", "2");
        switch (way)
        {
            case "rename":
                File.Copy(_directory["one/number"], Place);
                break;
            case "link":
                File.CreateSymbolicLink(Place, Path.Combine("one", "number"));
                break;
            default:
                Directory.CreateSymbolicLink(_directory["..data"], "one");
                File.CreateSymbolicLink(Place, Path.Combine("..data", "number"));
                break;
        }

        var file = Watch();
        file.LookTwice();
        switch (way)
        {
            case "rename":
                File.Move(_directory["two/number"], Place, overwrite: true);
                break;
            case "link":
                File.CreateSymbolicLink(Place + ".new", Path.Combine("two", "number"));
                File.Move(Place + ".new", Place, overwrite: true);
                break;
            default:
                File.Delete(_directory["..data"]);
                Directory.CreateSymbolicLink(_directory["..data"], "two");
                break;
        }

        Assert.Equal((FileChange.Accepted, "2"), (file.LookTwice(), file.Current!.Text));
    }

    [Fact]
    public void What_a_copy_holds_is_in_use_until_the_file_says_other()
    {
        File.WriteAllText(_directory["copy"], "1");
        var file = Watch(isOptional: true);
        Assert.Null(file.Restore(new WholeFile(_directory["copy"], 100).Read()).Flaw);
        Assert.Equal("1", file.Current!.Text);
        Assert.Equal(FileChange.Refused, file.LookTwice()); // there was a file, and it is gone

        Write("1");
        Assert.Equal(FileChange.Recovered, file.LookTwice());
        Write("2");
        Assert.Equal(FileChange.Accepted, file.LookTwice());
    }

    [Fact]
    public void A_copy_that_is_no_good_changes_nothing()
    {
        File.WriteAllText(_directory["copy"], "one");
        var file = Watch(isOptional: true);
        Assert.Equal("is no number: one", file.Restore(new WholeFile(_directory["copy"], 100).Read()).Flaw);
        Assert.Equal((null, FileChange.None), (file.Current, file.LookTwice()));
    }

    /// <summary>The ways in which editors and tools write: each leaves something half for a moment.</summary>
    [Theory]
    [InlineData("x")]
    [InlineData("o", "on")]
    [InlineData("2x", null)]
    [InlineData("x", null, "one")]
    public void What_is_seen_in_the_middle_of_being_written_is_no_refusal(params string?[] seen)
    {
        foreach (var isFirst in new[] { true, false }) // nothing is in use yet; something is
        {
            var file = Watch(isOptional: true);
            File.Delete(Place);
            if (!isFirst)
                Write("1");
            file.Look();
            foreach (var half in seen)
            {
                if (half is null)
                    File.Delete(Place);
                else
                    Write(half);
                Assert.Equal((FileChange.None, null), (file.Look(), file.Refusal));
            }

            Write("2");
            Assert.Equal((FileChange.Accepted, "2"), (file.Look(), file.Current!.Text));
        }
    }

    [Fact]
    public void Several_files_are_one_content_and_refused_at_the_second_look_alone()
    {
        var (half, other) = (_directory["half"], _directory["other"]);
        var file = new WatchedFile<Number>([new WholeFile(half, 100), new WholeFile(other, 100)], Join);
        File.WriteAllText(half, "1");
        Assert.Equal(FileChange.Refused, file.Look()); // the first look: at once
        Assert.False(file.IsMissing);

        File.WriteAllText(other, "1");
        Assert.Equal((FileChange.Accepted, "1=1"), (file.Look(), file.Current!.Text));

        File.WriteAllText(half, "2");
        Assert.Equal((FileChange.None, null), (file.Look(), file.Refusal));
        File.WriteAllText(other, "2");
        Assert.Equal((FileChange.Accepted, "2=2"), (file.Look(), file.Current.Text));

        File.WriteAllText(half, "3");
        Assert.Equal([FileChange.None, FileChange.Refused, FileChange.None], [file.Look(), file.Look(), file.Look()]);
        Assert.Equal("2=2", file.Current.Text);

        static Number Join(IReadOnlyList<FileReading> readings)
        {
            var texts = readings.Select(reading => reading.Bytes is { } bytes ? Encoding.ASCII.GetString(bytes.Span) : reading.Failure).ToList();
            return new Number(string.Join('=', texts), texts[0] == texts[1] ? null : "are not of one kind");
        }
    }

    [Fact]
    public void The_same_content_may_become_good_with_time()
    {
        var file = new WatchedFile<Number>(new WholeFile(Place, 100), ParseYear) { ChangesWithTime = true };
        Write("2027");
        Assert.Equal([FileChange.Refused, FileChange.None], [file.LookTwice(), file.LookTwice()]);

        _time.Advance(TimeSpan.FromDays(365));
        Assert.Equal(FileChange.Accepted, file.LookTwice());

        Number ParseYear(FileReading reading)
        {
            var year = Parse(reading);
            return int.Parse(year.Text, CultureInfo.InvariantCulture) <= _time.GetUtcNow().Year ? year : year with { Flaw = "is not yet" };
        }
    }

    private WatchedFile<Number> Watch(bool isOptional = false) => new(new WholeFile(Place, 100), Parse) { IsOptional = isOptional };

    private Number Parse(FileReading reading)
    {
        _parsed++;
        if (reading.Bytes is not { } bytes)
            return new Number("", reading.Failure);
        var text = Encoding.ASCII.GetString(bytes.Span);
        return new Number(text, text.All(char.IsAsciiDigit) ? null : $"is no number: {text}");
    }

    private void Write(string text) => File.WriteAllText(Place, text);

    private void Lay(string name, string text)
    {
        Directory.CreateDirectory(_directory[name]);
        File.WriteAllText(_directory[$"{name}/number"], text);
    }

    private sealed record Number(string Text, string? Flaw) : IFileContent;
}
