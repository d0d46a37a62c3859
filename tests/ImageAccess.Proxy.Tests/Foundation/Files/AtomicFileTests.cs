using System.Runtime.Versioning;
using ImageAccess.Proxy.Foundation.Files;
using ImageAccess.Proxy.Tests.HouseRules;

namespace ImageAccess.Proxy.Tests.Foundation.Files;

[UnsupportedOSPlatform("windows")]
public sealed class AtomicFileTests : IDisposable
{
    private const UnixFileMode Everybody = OwnerFile.Mode | UnixFileMode.GroupRead | UnixFileMode.OtherRead;

    private readonly TemporaryDirectory _directory = new();

    private string Place => _directory["kept/one"];

    public void Dispose() => _directory.Dispose();

    [Fact]
    public void No_other_place_brings_a_file_to_disk()
    {
        var places = Directory.GetFiles(RepositoryRoot.Find("src"), "*.cs", SearchOption.AllDirectories)
            .Where(file => File.ReadAllText(file).Contains("Flush(flushToDisk", StringComparison.Ordinal));
        Assert.Equal(["AtomicFile.cs"], places.Select(Path.GetFileName));
    }

    [Fact]
    public void The_content_is_there_for_its_owner_alone_and_nothing_lies_beside_it()
    {
        AtomicFile.Write(Place, "first"u8.ToArray());
        AtomicFile.Write(Place, "second"u8.ToArray());

        Assert.Equal("second", File.ReadAllText(Place));
        Assert.Equal(OwnerFile.Mode, File.GetUnixFileMode(Place));
        Assert.Equal([Place], Directory.GetFiles(_directory["kept"]));
    }

    [Fact]
    public void A_file_for_everybody_is_so_whatever_the_umask_says()
    {
        AtomicFile.Write(Place, "public"u8.ToArray(), Everybody | UnixFileMode.GroupWrite | UnixFileMode.OtherWrite);

        Assert.Equal(Everybody | UnixFileMode.GroupWrite | UnixFileMode.OtherWrite, File.GetUnixFileMode(Place));
    }

    [Fact]
    public void What_a_crash_left_aside_is_replaced_with_its_mode()
    {
        Directory.CreateDirectory(_directory["kept"]);
        File.WriteAllText(Place + ".new", "half a k");
        File.SetUnixFileMode(Place + ".new", Everybody);

        AtomicFile.Write(Place, "key"u8.ToArray());

        Assert.Equal(("key", OwnerFile.Mode), (File.ReadAllText(Place), File.GetUnixFileMode(Place)));
    }

    [Fact]
    public void A_link_left_aside_leads_nowhere()
    {
        Directory.CreateDirectory(_directory["kept"]);
        File.WriteAllText(_directory["other"], "not ours");
        File.CreateSymbolicLink(Place + ".new", _directory["other"]);

        AtomicFile.Write(Place, "ours"u8.ToArray());

        Assert.Equal(("ours", "not ours"), (File.ReadAllText(Place), File.ReadAllText(_directory["other"])));
    }

    [Fact]
    public void A_writer_that_fails_leaves_the_old_content()
    {
        AtomicFile.Write(Place, "old"u8.ToArray());

        Assert.Throws<IOException>(() => AtomicFile.Write(Place, file =>
        {
            file.Write("ne"u8);
            throw new IOException("the disk is full");
        }));

        Assert.Equal("old", File.ReadAllText(Place));
    }

    [Fact]
    public void What_is_there_stays_where_it_may_not_be_replaced()
    {
        AtomicFile.Write(Place, "old"u8.ToArray());

        Assert.Throws<IOException>(() => AtomicFile.Write(Place, "new"u8.ToArray(), overwrite: false));

        Assert.Equal("old", File.ReadAllText(Place));
    }

    [Fact]
    public void What_is_in_the_way_is_an_IO_failure()
    {
        Directory.CreateDirectory(Place + ".new");
        Assert.Throws<IOException>(() => AtomicFile.Write(Place, "content"u8.ToArray()));

        File.WriteAllText(_directory["file"], "");
        Assert.Throws<IOException>(() => AtomicFile.Write(_directory["file/one"], "content"u8.ToArray()));
    }
}
