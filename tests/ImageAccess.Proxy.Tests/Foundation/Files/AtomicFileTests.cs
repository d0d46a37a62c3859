using System.Runtime.Versioning;
using ImageAccess.Proxy.Foundation.Files;

namespace ImageAccess.Proxy.Tests.Foundation.Files;

[UnsupportedOSPlatform("windows")]
public sealed class AtomicFileTests : IDisposable
{
    private const UnixFileMode Everybody = OwnerFile.Mode | UnixFileMode.GroupRead | UnixFileMode.OtherRead;

    private readonly TemporaryDirectory _directory = new();

    private string Place => _directory["kept/one"];

    public void Dispose() => _directory.Dispose();

    [Fact]
    public void The_content_is_there_for_its_owner_alone_and_nothing_lies_beside_it()
    {
        AtomicFile.Write(Place, "first"u8);
        AtomicFile.Write(Place, "second"u8);

        Assert.Equal("second", File.ReadAllText(Place));
        Assert.Equal(OwnerFile.Mode, File.GetUnixFileMode(Place));
        Assert.Equal([Place], Directory.GetFiles(_directory["kept"]));
    }

    [Fact]
    public void A_file_for_everybody_is_so_whatever_the_umask_says()
    {
        AtomicFile.Write(Place, file => file.Write("public"u8), Everybody | UnixFileMode.GroupWrite | UnixFileMode.OtherWrite);

        Assert.Equal(Everybody | UnixFileMode.GroupWrite | UnixFileMode.OtherWrite, File.GetUnixFileMode(Place));
    }

    [Fact]
    public void What_a_crash_left_aside_is_replaced_with_its_mode()
    {
        Directory.CreateDirectory(_directory["kept"]);
        File.WriteAllText(Place + ".new", "half a k");
        File.SetUnixFileMode(Place + ".new", Everybody);

        AtomicFile.Write(Place, "key"u8);

        Assert.Equal(("key", OwnerFile.Mode), (File.ReadAllText(Place), File.GetUnixFileMode(Place)));
    }

    [Fact]
    public void A_link_left_aside_leads_nowhere()
    {
        Directory.CreateDirectory(_directory["kept"]);
        File.WriteAllText(_directory["other"], "not ours");
        File.CreateSymbolicLink(Place + ".new", _directory["other"]);

        AtomicFile.Write(Place, "ours"u8);

        Assert.Equal(("ours", "not ours"), (File.ReadAllText(Place), File.ReadAllText(_directory["other"])));
    }

    [Fact]
    public void A_writer_that_fails_leaves_the_old_content()
    {
        AtomicFile.Write(Place, "old"u8);

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
        AtomicFile.Write(Place, "old"u8);

        Assert.Throws<IOException>(() => AtomicFile.Write(Place, file => file.Write("new"u8), overwrite: false));

        Assert.Equal("old", File.ReadAllText(Place));
    }

    [Fact]
    public void What_is_in_the_way_is_an_IO_failure()
    {
        Directory.CreateDirectory(Place + ".new");
        Assert.Throws<IOException>(() => AtomicFile.Write(Place, "content"u8));

        File.WriteAllText(_directory["file"], "");
        Assert.Throws<IOException>(() => AtomicFile.Write(_directory["file/one"], "content"u8));
    }
}
