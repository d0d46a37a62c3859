using System.Runtime.Versioning;
using ImageAccess.Proxy.Foundation.Files;
using ImageAccess.Proxy.Tests.Policies.Store;

namespace ImageAccess.Proxy.Tests.Foundation.Files;

/// <summary>Files that decide whom the program believes, and that others than their owner may change.</summary>
[UnsupportedOSPlatform("windows")]
public sealed class FileRightsTests : IDisposable
{
    private const UnixFileMode Usual = OwnerFile.Mode | UnixFileMode.GroupRead | UnixFileMode.OtherRead;

    private readonly TemporaryDirectory _directory = new();

    private string Place => _directory["document"];

    public void Dispose() => _directory.Dispose();

    [Theory]
    [InlineData(UnixFileMode.None, false)]
    [InlineData(UnixFileMode.OtherExecute, false)]
    [InlineData(UnixFileMode.OtherWrite, true)]
    [InlineData(UnixFileMode.OtherWrite | UnixFileMode.GroupWrite, true)]
    public void A_file_that_others_may_change_is_not_read(UnixFileMode more, bool isRefused)
    {
        File.WriteAllText(Place, "x");
        File.SetUnixFileMode(Place, Usual | more);

        var reading = new WholeFile(Place, 100).Read();

        Assert.Equal(isRefused ? $"can be changed by others than its owner: chmod go-w {Place}" : "", reading.Failure);
        Assert.Equal(isRefused, reading.Bytes is null);
        Assert.NotNull(new WholeFile(Place, 100, isDraft: true).Read().Bytes);
    }

    /// <summary>Kubernetes hands out the files of a ConfigMap and a Secret through two links, in a directory that everybody may write into.</summary>
    [Theory]
    [InlineData(UnixFileMode.None, false)]
    [InlineData(UnixFileMode.OtherWrite, true)]
    public void Of_a_link_the_target_counts(UnixFileMode more, bool isRefused)
    {
        Directory.CreateDirectory(_directory["..2026"]);
        File.WriteAllText(_directory["..2026/document"], "x");
        File.SetUnixFileMode(_directory["..2026/document"], Usual | more);
        Directory.CreateSymbolicLink(_directory["..data"], "..2026");
        File.CreateSymbolicLink(Place, Path.Combine("..data", "document"));

        Assert.Equal(isRefused, new WholeFile(Place, 100).Read().Bytes is null);
        Assert.Equal(isRefused, FileRights.Of(Place) is { IsWritableByOthers: true });
    }

    [Fact]
    public void Owner_and_group_are_those_of_the_system()
    {
        File.WriteAllText(Place, "x");
        File.SetUnixFileMode(Place, Usual);

        var rights = FileRights.Of(Place)!;

        Assert.Equal(Usual, rights.Mode);
        Assert.False(rights.IsAnothers);
        Assert.True((rights with { Owner = 4_000_000_000 }).IsAnothers);
        Assert.False((rights with { Owner = 0 }).IsAnothers);
        using var file = File.OpenHandle(Place);
        Assert.Equal(rights, FileRights.Of(file));
        Assert.Null(FileRights.Of(_directory["nothing"]));
    }

    [Fact]
    public void A_group_may_not_change_it_unless_this_program_is_in_it_or_it_is_the_owners_own()
    {
        File.WriteAllText(Place, "x");
        var own = FileRights.Of(Place)! with { Mode = Usual | UnixFileMode.GroupWrite };
        Assert.False(own.IsWritableByOthers);
        Assert.True(own.IsOfOwnGroup);
        Assert.True((own with { Group = 4_000_000_000 }).IsWritableByOthers);
        Assert.True((own with { Group = null }).IsWritableByOthers);
        var owners = own with { Owner = 4_000_000_000, Group = 4_000_000_000 };
        Assert.Equal((false, true, false), (owners.IsWritableByOthers, owners.IsWritableByGroup, owners.IsOfOwnGroup));
        Assert.True((owners with { Mode = owners.Mode | UnixFileMode.OtherWrite }).IsWritableByOthers);
    }

    /// <summary>A private key in a volume of Kubernetes gets the rights of its group at every mount.</summary>
    [Fact]
    public void A_key_may_be_open_to_a_group_that_this_program_is_in_but_not_to_roots()
    {
        const UnixFileMode Mounted = OwnerFile.Mode | UnixFileMode.GroupRead | UnixFileMode.GroupWrite;
        File.WriteAllText(Place, "x");
        var rights = FileRights.Of(Place)! with { Mode = Mounted };
        Assert.Equal(rights.Group == 0 ? Mounted : OwnerFile.Mode, rights.ModeForOthers);
        Assert.Equal(Mounted, (rights with { Group = 4_000_000_000 }).ModeForOthers);
        Assert.Equal(Mounted, (rights with { Group = 0 }).ModeForOthers);
        Assert.Equal(Mounted, (rights with { Owner = 4_000_000_000, Group = 4_000_000_000 }).ModeForOthers);
    }

    [Fact]
    public void A_policy_that_others_may_change_is_refused_at_the_start_and_at_a_change_and_the_last_accepted_stays()
    {
        using var fixture = new PolicyFixture();
        File.WriteAllText(fixture.Document, PolicyFixture.Strict);
        File.SetUnixFileMode(fixture.Document, Usual | UnixFileMode.OtherWrite);
        var failure = Assert.Throws<Microsoft.Extensions.Options.OptionsValidationException>(fixture.Start);
        Assert.Contains(
            $"Policy:File: {fixture.Document} can be changed by others than its owner: chmod go-w {fixture.Document}", failure.Failures);

        File.SetUnixFileMode(fixture.Document, Usual);
        var store = fixture.Start();
        File.WriteAllText(fixture.Document, PolicyFixture.Lax);
        File.SetUnixFileMode(fixture.Document, Usual | UnixFileMode.OtherWrite);
        store.RefreshTwice();

        Assert.Equal(PolicyFixture.VersionOf(PolicyFixture.Strict), store.Current.Version);
        Assert.StartsWith($"{fixture.Document} can be changed by others than its owner: chmod go-w {fixture.Document}; policy ", store.State!.Concern, StringComparison.Ordinal);

        File.SetUnixFileMode(fixture.Document, Usual);
        store.Refresh();
        Assert.Equal((PolicyFixture.VersionOf(PolicyFixture.Lax), null), (store.Current.Version, store.State.Concern));
    }
}
