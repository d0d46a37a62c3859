using System.Text;
using ImageAccess.Proxy.Foundation.Files;

namespace ImageAccess.Proxy.Tests.Foundation.Files;

public sealed class ParsedFileTests
{
    [Fact]
    public void A_good_document_has_its_value_and_bytes_of_its_own()
    {
        var buffer = "good"u8.ToArray();
        var parsed = Parse(FileReading.Found(buffer));
        buffer[0] = 0;

        Assert.Equal(("good", null), (parsed.Value, parsed.Flaw));
        Assert.Equal("good"u8.ToArray(), parsed.Bytes);
    }

    [Theory]
    [InlineData("a", "is refused: a")]
    [InlineData("a,b\nb,c", "is refused: a (and 2 more)")]
    public void A_bad_document_has_every_problem_fit_for_a_line(string problems, string flaw)
    {
        var parsed = Parse(FileReading.Found(Encoding.ASCII.GetBytes("!" + problems)));

        Assert.Equal(flaw, parsed.Flaw);
        Assert.Equal(problems.Replace('\n', '?').Split(','), parsed.Problems);
        Assert.Equal((null, null), (parsed.Value, parsed.Bytes));
    }

    [Fact]
    public void More_than_twenty_problems_are_counted()
    {
        var parsed = Parse(FileReading.Found(Encoding.ASCII.GetBytes("!" + string.Join(',', Enumerable.Range(0, 120)))));

        Assert.Equal((21, "19", "and 100 more"), (parsed.Problems.Count, parsed.Problems[19], parsed.Problems[20]));
    }

    [Fact]
    public void What_could_not_be_read_is_the_cause()
    {
        Assert.Equal(("does not exist", true), (Parse(FileReading.Missing).Flaw, Parse(FileReading.Missing).IsMissing));
        Assert.Equal(("cannot be read", false), (Parse(FileReading.Failed("cannot be read")).Flaw, Parse(FileReading.Failed("cannot be read")).IsMissing));
    }

    private static ParsedFile<string> Parse(FileReading reading) => new(reading, (content, out problems) =>
    {
        var text = Encoding.ASCII.GetString(content.Span);
        problems = text.StartsWith('!') ? text[1..].Split(',') : [];
        return problems.Count == 0 ? text : null;
    });
}
