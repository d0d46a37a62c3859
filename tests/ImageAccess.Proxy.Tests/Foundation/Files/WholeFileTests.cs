using System.Runtime.Versioning;
using System.Text;
using ImageAccess.Proxy.Foundation.Files;

namespace ImageAccess.Proxy.Tests.Foundation.Files;

[UnsupportedOSPlatform("windows")]
public sealed class WholeFileTests : IDisposable
{
    private const int Limit = 64 * 1024;

    private readonly TemporaryDirectory _directory = new();

    private string Place => _directory["document"];

    public void Dispose() => _directory.Dispose();

    [Theory]
    [InlineData(0)]
    [InlineData(8 * 1024)]
    [InlineData(Limit)]
    public void The_whole_content_is_read(int length)
    {
        var content = new string('x', length);
        File.WriteAllText(Place, content);

        Assert.Equal(content, Encoding.ASCII.GetString(new WholeFile(Place, Limit).Read().Bytes!.Value.Span));
    }

    [Theory]
    [InlineData(Limit, "is larger than 64 KiB")]
    [InlineData(1024 * 1024, "is larger than 1 MiB")]
    [InlineData(1000, "is larger than 1000 bytes")]
    public void More_than_the_limit_is_a_failure(int limit, string failure)
    {
        File.WriteAllText(Place, new string('x', limit + 1));

        Assert.Equal(FileReading.Failed(failure), new WholeFile(Place, limit).Read());
    }

    [Fact]
    public void No_file_and_no_directory_are_told_as_missing()
    {
        Assert.Equal(FileReading.Missing, new WholeFile(Place, Limit).Read());
        Assert.Equal(FileReading.Missing, new WholeFile(_directory["nowhere/document"], Limit).Read());
    }

    [Fact]
    public void A_link_to_nothing_is_no_missing_file()
    {
        File.CreateSymbolicLink(Place, _directory["nothing"]);

        Assert.Equal(FileReading.Failed("is a link to a file that does not exist"), new WholeFile(Place, Limit).Read());
    }

    [Fact]
    public void A_directory_in_the_place_of_the_file_is_told()
    {
        Directory.CreateDirectory(Place);

        Assert.Equal(FileReading.Failed("cannot be read: it is a directory"), new WholeFile(Place, Limit).Read());
    }

    [Theory]
    [InlineData(UnixFileMode.OtherRead, false)]
    [InlineData(UnixFileMode.GroupRead, true)]
    public void A_mode_that_is_forbidden_is_a_failure(UnixFileMode more, bool isRead)
    {
        File.WriteAllText(Place, "key");
        File.SetUnixFileMode(Place, OwnerFile.Mode | more);

        var reading = new WholeFile(Place, Limit, UnixFileMode.OtherRead | UnixFileMode.OtherWrite).Read();

        Assert.Equal(isRead ? "" : $"is open to others than its owner: chmod 600 {Place}", reading.Failure);
        Assert.Equal(isRead, reading.Bytes is not null);
    }
}
