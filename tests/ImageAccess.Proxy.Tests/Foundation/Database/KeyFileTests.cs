using System.Runtime.Versioning;
using ImageAccess.Proxy.Foundation.Database.Keys;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Tests.Foundation.Database;

/// <summary>The key outside the database: made where nobody names one, and used only where nobody else can read it.</summary>
[UnsupportedOSPlatform("windows")]
public sealed class KeyFileTests : IDisposable
{
    private static readonly string Good = Convert.ToBase64String(new byte[KeyFile.Size]);

    private readonly TemporaryDirectory _directory = new();

    public void Dispose() => _directory.Dispose();

    [Fact]
    public void It_is_made_once_for_its_owner_alone()
    {
        var made = new KeyFile(null, _directory.Path);
        Assert.Null(made.Open());
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(_directory["data.key"]));
        Assert.Equal(KeyFile.Size, Convert.FromBase64String(File.ReadAllText(_directory["data.key"]).Trim()).Length);
        var again = new KeyFile(null, _directory.Path);
        again.Open();
        Assert.Equal(made.Fingerprint, again.Fingerprint);

        File.Delete(_directory["data.key"]);
        var another = new KeyFile(null, _directory.Path);
        another.Open();
        Assert.NotEqual(made.Fingerprint, another.Fingerprint);
        Assert.DoesNotContain(another.Fingerprint, Convert.ToHexStringLower(Convert.FromBase64String(File.ReadAllText(_directory["data.key"]).Trim())), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(null, 0b110_000_000, "is not there: make it with openssl rand -base64 32, readable by its owner alone, the same file for all replicas")]
    [InlineData("", 0b110_000_000, "does not hold a key of 32 bytes in base64, as openssl rand -base64 32 makes one")]
    [InlineData("AAAA", 0b110_000_000, "does not hold a key of 32 bytes in base64, as openssl rand -base64 32 makes one")]
    [InlineData("not base64 at all, and yet as long as one", 0b110_000_000, "does not hold a key of 32 bytes in base64, as openssl rand -base64 32 makes one")]
    [InlineData("long", 0b110_000_000, "does not hold a key of 32 bytes in base64, as openssl rand -base64 32 makes one")]
    [InlineData("good", 0b110_000_100, "is open to others than its owner: chmod 600 FILE")]
    [InlineData("good", 0b110_100_000, "is open to others than its owner: chmod 600 FILE")]
    [InlineData("good", 0b110_000_010, "is open to others than its owner: chmod 600 FILE")]
    public void One_that_cannot_be_used_stops_the_start_with_a_sentence(string? content, int mode, string sentence)
    {
        var path = _directory["own.key"];
        if (content is not null)
        {
            File.WriteAllText(path, content switch { "good" => Good, "long" => Convert.ToBase64String(new byte[KeyFile.Size + 1]), _ => content });
            File.SetUnixFileMode(path, (UnixFileMode)mode);
        }

        var file = new KeyFile(path, _directory.Path);
        var failure = Assert.Throws<OptionsValidationException>(() => file.Open());
        Assert.Equal($"Data:KeyFile: {path} {sentence.Replace("FILE", path, StringComparison.Ordinal)}", Assert.Single(failure.Failures));
        Assert.False(file.IsOpen);
        if (content is null)
            Assert.False(File.Exists(path)); // one that somebody has named is not made
    }

    [Fact]
    public void One_with_a_line_end_is_good()
    {
        File.WriteAllText(_directory["own.key"], Good + "\r\n");
        File.SetUnixFileMode(_directory["own.key"], UnixFileMode.UserRead);
        Assert.Null(new KeyFile(_directory["own.key"], _directory.Path).Open());
    }

    /// <summary>A data directory in which nothing can be made, as a full disk, does not stop the start: it is tried again.</summary>
    [Fact]
    public void Where_it_cannot_be_made_it_is_said_and_tried_again()
    {
        File.WriteAllText(_directory["data"], "a file");
        var file = new KeyFile(null, _directory["data"]);
        Assert.NotNull(file.Open());
        Assert.False(file.IsOpen);
        File.Delete(_directory["data"]);
        Assert.Null(file.Open());
        Assert.True(file.IsOpen);
    }
}
