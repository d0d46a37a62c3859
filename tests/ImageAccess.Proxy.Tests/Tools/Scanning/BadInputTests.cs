using System.Diagnostics;
using System.Text;
using ImageAccess.Proxy.Tools.Scanning;
using ImageAccess.Proxy.Tools.Verbs;

namespace ImageAccess.Proxy.Tests.Tools.Scanning;

/// <summary>Files that are broken, huge, hostile or no files at all: each has a clear outcome at its place, soon.</summary>
public sealed class BadInputTests : IDisposable
{
    /// <summary>Ample on a slow machine, and far less than anything that grows faster than its input.</summary>
    private static readonly TimeSpan Soon = TimeSpan.FromSeconds(20);

    private readonly TemporaryDirectory _directory = new();

    [Fact]
    public void A_Dockerfile_of_ten_megabytes_is_read_to_its_end()
    {
        var text = new StringBuilder("FROM alpine\n");
        while (text.Length < 10_000_000)
            text.Append("RUN --mount=type=bind,from=busybox,target=/b echo ").Append(text.Length).Append('\n');
        Write("Dockerfile", text.Append("FROM someuser/last").ToString());

        var found = Scan();

        var last = text.ToString().Count(c => c == '\n') + 1;
        Assert.Equal(new ImageMention(_directory["Dockerfile"], last, "FROM", "someuser/last") { Image = "someuser/last" }, found[^1]);
        Assert.Equal(last, found.Count);
    }

    [Theory]
    [InlineData("FROM alpine\nRUN \\\n", "--mount=from=busybox \\\n", "true")]
    [InlineData("ARG A=1", " B=2", "\nFROM busybox")]
    [InlineData("ARG A=\"1", " \"B=2", "\nFROM busybox")]
    [InlineData("", "FROM alpine AS a\nCOPY --from=a . .\n", "FROM busybox")]
    [InlineData("FROM busybox\nRUN cat ", "<<A", "")]
    [InlineData("FROM ", "\\\n", "busybox")]
    public void One_pattern_repeated_through_ten_megabytes_is_read_soon(string before, string pattern, string after)
    {
        Write("Dockerfile", before + string.Concat(Enumerable.Repeat(pattern, 10_000_000 / pattern.Length)) + after);
        Assert.Contains(Scan(), mention => mention.Image == "busybox");
    }

    [Theory]
    [InlineData("Dockerfile")]
    [InlineData("compose.yaml")]
    [InlineData("pod.yaml")]
    public void What_is_longer_than_a_limit_is_not_read_and_said_so(string name)
    {
        Write(name, "FROM alpine\n" + new string('#', SourceText.MaximumSize));
        AssertTrouble(name, 1, "has more than 16 MiB, which are not read");
    }

    [Theory]
    [InlineData("Dockerfile")]
    [InlineData("compose.yaml")]
    [InlineData("pod.yaml")]
    public void A_binary_file_is_said_to_be_one(string name)
    {
        File.WriteAllBytes(_directory[name], [.. "FROM "u8, 0, 1, 2, 255]);
        AssertTrouble(name, 1, "is a binary file");
    }

    [Fact]
    public void Variables_that_double_each_other_come_to_an_end()
    {
        var text = new StringBuilder("ARG A0=aaaaaaaaaa\n");
        for (var i = 1; i < 60; i++)
            text.Append(FormattableString.Invariant($"ARG A{i}=$A{i - 1}$A{i - 1}\n"));
        Write("Dockerfile", text.Append("FROM $A59\n").ToString());
        AssertTrouble("Dockerfile", 61, "it comes to more than 4096 characters");
    }

    [Fact]
    public void Variables_that_come_to_much_text_altogether_come_to_an_end()
    {
        var text = new StringBuilder($"ARG A={new string('a', 4000)}\n");
        for (var i = 0; i < 100_000; i++)
            text.Append(FormattableString.Invariant($"ARG B{i}=$A\n"));
        Write("Dockerfile", text.Append("FROM $B99999\n").ToString());
        AssertTrouble("Dockerfile", 100_002, "the file's variables come to too much text");
    }

    [Theory]
    [InlineData("Dockerfile", "FROM ")]
    [InlineData("compose.yaml", "services: { web: { image: ")]
    public void Variables_nested_without_end_come_to_one(string name, string before)
    {
        Write(name, before + (before[0] == 's' ? "'" : "") + string.Concat(Enumerable.Repeat("${A:-", 200_000)) + (before[0] == 's' ? "' } }" : ""));
        AssertTrouble(name, 1, "variables are nested more than 50 deep");
    }

    [Fact]
    public void Aliases_of_aliases_come_to_no_more_than_the_file()
    {
        Write("pod.yaml", $"apiVersion: v1\nkind: Pod\nspec:\n{Bomb("  ", "containers: [ { name: x, image: nginx } ]")}");
        var mention = Assert.Single(Scan());
        Assert.Equal((4, "nginx"), (mention.Line, mention.Image));
    }

    [Fact]
    public void Merges_of_merges_come_to_no_more_than_the_file()
    {
        var text = new StringBuilder("x-0: &a0 { image: nginx }\n");
        for (var i = 1; i < 60; i++)
            text.Append(FormattableString.Invariant($"x-{i}: &a{i} {{ <<: [ *a{i - 1}, *a{i - 1} ] }}\n"));
        Write("compose.yaml", text.Append("services: { web: *a59 }\n").ToString());
        var mention = Assert.Single(Scan());
        Assert.Equal((1, "nginx"), (mention.Line, mention.Image));
    }

    [Fact]
    public void A_long_chain_of_merges_is_refused()
    {
        var text = new StringBuilder("x-0: &a0 { image: nginx }\n");
        for (var i = 1; i < 200; i++)
            text.Append(FormattableString.Invariant($"x-{i}: &a{i} {{ <<: *a{i - 1} }}\n"));
        Write("compose.yaml", text.Append("services:\n  web: *a199\n").ToString());
        AssertTrouble("compose.yaml", 200, "merges more than 100 maps into one");
    }

    [Theory]
    [InlineData("[")]
    [InlineData("{ a: ")]
    [InlineData("- ")]
    public void What_is_nested_too_deep_is_refused(string open)
    {
        Write("compose.yaml", "services:\n  " + string.Concat(Enumerable.Repeat(open, 300_000)));
        AssertTrouble("compose.yaml", 2, "is nested more than 200 deep");
    }

    [Fact]
    public void What_holds_too_many_values_is_refused()
    {
        Write("pod.yaml", "apiVersion: v1\nkind: image\nlist: [" + string.Concat(Enumerable.Repeat("a,", 1_000_000)) + "]");
        AssertTrouble("pod.yaml", 3, "holds more than 1,000,000 values");
    }

    [Theory]
    [InlineData("services:\n\tweb: x", 2, "is not valid YAML: ")]
    [InlineData("services:\n  web:\n    image: nginx\n   x: 1", 4, "is not valid YAML: ")]
    [InlineData("services:\n  web:\n    image: *nobody", 3, "is not valid YAML: no anchor before this alias is named nobody")]
    [InlineData("services:\n  web:\n    image: \"nginx", 3, "is not valid YAML: ")]
    public void Broken_YAML_is_named_with_its_line(string text, int line, string trouble)
    {
        Write("compose.yaml", text);
        AssertTrouble("compose.yaml", line, trouble);
    }

    [Theory]
    [InlineData("compose.yaml", "services: &a\n  web: *a\n  image: nginx\n")]
    [InlineData("pod.yaml", "apiVersion: v1\nkind: Pod\ncontainers: &a [ { image: nginx, containers: *a } ]\n")]
    public void A_value_may_hold_itself(string name, string text)
    {
        Write(name, text);
        var mention = Assert.Single(Scan());
        Assert.Equal((3, "nginx"), (mention.Line, mention.Image));
    }

    [Fact]
    public void Includes_of_includes_are_read_once_each()
    {
        for (var i = 0; i < 40; i++)
            Write(FormattableString.Invariant($"part{i}.yml"), FormattableString.Invariant($"include: [ part{i + 1}.yml, ./part{i + 1}.yml ]\n"));
        Write("part40.yml", "services: { web: { image: nginx } }");
        Write("compose.yaml", "include: [ part0.yml ]");
        Assert.Equal("nginx", Assert.Single(Scan()).Image);
    }

    [Fact]
    public void A_chain_of_includes_without_end_comes_to_one()
    {
        for (var i = 0; i < 150; i++)
            Write(FormattableString.Invariant($"part{i}.yml"), FormattableString.Invariant($"include:\n  - part{i + 1}.yml\n"));
        Write("compose.yaml", "include: [ part0.yml ]");
        AssertTrouble("part98.yml", 2, "include goes more than 100 files deep");
    }

    [Fact]
    public void A_chain_of_extends_without_end_comes_to_one()
    {
        var text = new StringBuilder("services:\n");
        for (var i = 0; i < 150; i++)
            text.Append(FormattableString.Invariant($"  s{i}: {{ extends: s{i + 1} }}\n"));
        Write("compose.yaml", text.Append("  s150: { image: nginx }\n").ToString());
        Assert.Contains(Scan(), mention => mention is { Line: 101, Trouble: "extends goes more than 100 services deep" });
    }

    [Fact]
    public void A_link_that_leads_nowhere_or_to_itself_is_said_to()
    {
        File.CreateSymbolicLink(_directory["Dockerfile"], _directory["gone"]);
        File.CreateSymbolicLink(_directory["compose.yaml"], _directory["compose.yaml"]);
        var found = Scan();
        Assert.Equal(["is not there", "cannot be read: "], found.Select(mention => mention.Trouble![..Math.Min(16, mention.Trouble!.Length)]));
    }

    [Fact]
    public void What_the_system_will_not_let_read_is_said_to_be_so()
    {
        File.CreateSymbolicLink(_directory["Dockerfile"], "/proc/self/mem");
        AssertTrouble("Dockerfile", 1, "cannot be read: ");
    }

    [Fact]
    public void A_directory_in_the_place_of_a_file_is_said_to_be_one()
    {
        Directory.CreateDirectory(_directory["app"]);
        Write("compose.yaml", "services:\n  web:\n    build: { context: ., dockerfile: app }\n");
        AssertTrouble("compose.yaml", 3, "its app is a directory");
    }

    [Fact]
    public void Directories_that_link_in_a_circle_are_walked_once()
    {
        Directory.CreateDirectory(_directory["a/b"]);
        Write("a/b/Dockerfile", "FROM nginx");
        Directory.CreateSymbolicLink(_directory["a/b/up"], _directory["a"]);
        Directory.CreateSymbolicLink(_directory["a/Dockerfile"], _directory["a/b"]);
        Assert.Equal(_directory["a/b/Dockerfile"], Assert.Single(Scan()).File);
    }

    [Fact]
    public void What_is_nobodys_own_is_passed_over()
    {
        foreach (var folder in new[] { ".git", "node_modules", "vendored", "kept" })
        {
            Directory.CreateDirectory(_directory[folder]);
            Write($"{folder}/Dockerfile", "FROM nginx");
        }

        var found = Scan(new ScanSettings { Environment = _ => null, Exclude = ["vendor*"] });
        Assert.Equal(_directory["kept/Dockerfile"], Assert.Single(found).File);
    }

    [Fact]
    public void A_large_tree_is_walked_soon_and_progress_is_told()
    {
        for (var i = 0; i < 200; i++)
        {
            var folder = Directory.CreateDirectory(_directory[FormattableString.Invariant($"d{i}")]).FullName;
            for (var j = 0; j < 50; j++)
                File.WriteAllText(Path.Combine(folder, FormattableString.Invariant($"{j}.txt")), "");
        }

        Write("d199/Dockerfile", "FROM nginx");
        var progress = new StringWriter();
        var time = new ManualTime();
        var scan = new ImageScan(new ScanSettings { Environment = _ => null }, new ProgressLine(time, progress));
        time.Advance(TimeSpan.FromSeconds(2));

        Assert.Single(scan.Run([_directory.Path], default).Mentions);
        Assert.Equal("imageaccess: 0 files and directories seen, 0 places found\n", progress.ToString());
    }

    [Fact]
    public void A_scan_can_be_broken_off()
    {
        Write("Dockerfile", "FROM nginx");
        Assert.Throws<OperationCanceledException>(() =>
            new ImageScan(new ScanSettings { Environment = _ => null }, Silent()).Run([_directory.Path], new CancellationToken(canceled: true)));
    }

    [Fact]
    public void Lines_may_end_as_in_Windows_and_begin_with_a_mark()
    {
        File.WriteAllText(_directory["Dockerfile"], "# escape=`\r\nFROM `\r\n  nginx\r\nRUN <<EOF\r\nFROM x\r\nEOF\r\nFROM redis\r\n", new UTF8Encoding(encoderShouldEmitUTF8Identifier: true));
        Assert.Equal([(3, "nginx"), (7, "redis")], Scan().Select(mention => (mention.Line, mention.Image!)));
    }

    [Fact]
    public void YAML_may_be_of_UTF_16()
    {
        File.WriteAllText(_directory["compose.yaml"], "services:\n  web: { image: nginx }\n", Encoding.Unicode);
        Assert.Equal("nginx", Assert.Single(Scan()).Image);
    }

    public void Dispose() => _directory.Dispose();

    /// <summary>Each level names the one before it ten times.</summary>
    private static string Bomb(string indent, string first)
    {
        var text = new StringBuilder($"{indent}a0: &a0 {{ {first} }}\n");
        for (var i = 1; i < 12; i++)
            text.Append(FormattableString.Invariant($"{indent}a{i}: &a{i} [ {string.Join(", ", Enumerable.Repeat($"*a{i - 1}", 10))} ]\n"));
        return text.ToString();
    }

    private static ProgressLine Silent() => new(TimeProvider.System, TextWriter.Null);

    private void Write(string name, string text) => File.WriteAllText(_directory[name], text);

    private IReadOnlyList<ImageMention> Scan(ScanSettings? settings = null)
    {
        var started = Stopwatch.GetTimestamp();
        var found = new ImageScan(settings ?? new ScanSettings { Environment = _ => null }, Silent()).Run([_directory.Path], default).Mentions;
        Assert.InRange(Stopwatch.GetElapsedTime(started), TimeSpan.Zero, Soon);
        return found;
    }

    private void AssertTrouble(string name, int line, string beginning)
    {
        var mention = Assert.Single(Scan());
        Assert.Equal((_directory[name], line), (mention.File, mention.Line));
        Assert.StartsWith(beginning, mention.Trouble, StringComparison.Ordinal);
    }
}
