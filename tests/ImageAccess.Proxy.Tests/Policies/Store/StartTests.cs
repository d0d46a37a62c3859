using System.Runtime.Versioning;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Tests.Foundation.Files;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Tests.Policies.Store;

public sealed class StartTests : IDisposable
{
    private const string Bad = """{ "organizations": [ { "name": "acme", "enabled": "yes", "color": "red" } ] }""";

    private readonly PolicyFixture _fixture = new();

    private string DefaultDocument => Path.Combine(_fixture.Data, "policy.json");

    [Fact]
    public void An_installation_that_never_had_a_policy_starts_off()
    {
        var store = _fixture.Start(file: null);

        Assert.Same(Policy.Off, store.Current);
        Assert.Null(store.State!.Concern);
        Assert.Contains("Image access is off", Assert.Single(_fixture.Log.At(LogLevel.Warning)), StringComparison.Ordinal);
        Assert.Null(_fixture.NextChange());
    }

    [Fact]
    public void Its_first_policy_is_accepted_when_it_comes()
    {
        var store = _fixture.Start(file: null);
        File.WriteAllText(DefaultDocument, PolicyFixture.Strict);
        store.RefreshTwice();
        Assert.True(store.Current.IsEnabled);
    }

    [Fact]
    public void A_first_policy_that_is_bad_leaves_it_off_and_degraded()
    {
        var store = _fixture.Start(file: null);
        File.WriteAllText(DefaultDocument, Bad);
        store.RefreshTwice();
        Assert.Same(Policy.Off, store.Current);
        Assert.EndsWith("image access stays off", store.State!.Concern, StringComparison.Ordinal);

        File.Delete(DefaultDocument);
        store.RefreshTwice();
        Assert.Null(store.State!.Concern);
    }

    [Fact]
    public void A_document_in_the_data_directory_needs_no_key()
    {
        File.WriteAllText(DefaultDocument, PolicyFixture.Strict);
        Assert.True(_fixture.Start(file: null).Current.IsEnabled);
    }

    [Fact]
    public void A_named_document_that_does_not_exist_stops_the_start()
    {
        var failure = Assert.Throws<OptionsValidationException>(() => _fixture.Start());
        Assert.Equal(
            [
                $"Policy:File: {_fixture.Document} does not exist",
                "Policy:File: create the document, or leave the key out to start with image access off",
            ],
            failure.Failures);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_bad_document_stops_the_start_with_every_problem(bool isExplicit)
    {
        var path = isExplicit ? _fixture.Document : DefaultDocument;
        File.WriteAllText(path, Bad);

        var store = _fixture.NotStarted(isExplicit ? path : null);
        var failure = Assert.Throws<OptionsValidationException>(store.Open);

        Assert.Equal(
            [
                $"Policy:File: {path}: organizations[0].color: unknown member; known here: "
                    + "name, namespaces, owners, members, roles, follow, enabled, mode, observeUntil, allow, allowlist, help, registries",
                $"Policy:File: {path}: organizations[0].enabled: must be true or false",
                "Policy:File: no policy was accepted before that could stay in force; correct the document",
            ],
            failure.Failures);
        Assert.Throws<InvalidOperationException>(() => store.Current);
        Assert.Null(store.State);
    }

    [Fact]
    public void An_empty_document_is_not_a_policy()
    {
        File.WriteAllText(_fixture.Document, "");
        Assert.Throws<OptionsValidationException>(() => _fixture.Start());
    }

    [Fact]
    public void A_link_to_nothing_in_the_default_place_is_no_new_installation()
    {
        File.CreateSymbolicLink(DefaultDocument, "elsewhere.json");
        Assert.Throws<OptionsValidationException>(() => _fixture.Start(file: null));
    }

    [Theory]
    [InlineData("vanished", true)]
    [InlineData("vanished", false)]
    [InlineData("bad", true)]
    [InlineData("bad", false)]
    public void After_a_restart_the_kept_copy_is_in_force(string what, bool isExplicit)
    {
        var path = isExplicit ? _fixture.Document : DefaultDocument;
        var key = isExplicit ? path : null;
        File.WriteAllText(path, PolicyFixture.Strict);
        _fixture.Start(key);
        Assert.Equal(PolicyFixture.Strict, File.ReadAllText(_fixture.Copy));

        if (what == "vanished")
            File.Delete(path);
        else
            File.WriteAllText(path, Bad);
        _fixture.Log.Clear();
        var store = _fixture.Start(key);

        var version = PolicyFixture.VersionOf(PolicyFixture.Strict);
        Assert.Equal(version, store.Current.Version);
        Assert.StartsWith($"{path} {(what == "bad" ? "is refused" : "does not exist")}", store.State!.Concern, StringComparison.Ordinal);
        Assert.NotEmpty(_fixture.Log.At(LogLevel.Error));
        Assert.Null(_fixture.NextChange());

        File.WriteAllText(path, PolicyFixture.Strict);
        store.RefreshTwice();
        Assert.Null(store.State!.Concern);
    }

    [Fact]
    public void What_was_opened_while_the_program_did_not_run_is_told_at_the_next_start()
    {
        File.WriteAllText(_fixture.Document, PolicyFixture.Strict);
        _fixture.Start();
        File.WriteAllText(_fixture.Document, PolicyFixture.Lax);

        var store = _fixture.Start();

        var change = _fixture.NextChange()!;
        Assert.Equal(store.Current.Version, change.Version);
        Assert.Equal(PolicyFixture.VersionOf(PolicyFixture.Strict), change.PreviousVersion);
        Assert.Equal(["organization acme: community images allowed"], change.Opens);
    }

    [Fact]
    public void A_restart_with_the_same_document_is_no_change()
    {
        File.WriteAllText(_fixture.Document, PolicyFixture.Strict);
        _fixture.Start();
        _fixture.Start();
        Assert.Null(_fixture.NextChange());
    }

    [Fact]
    public void A_spoilt_copy_with_no_document_stops_the_start_even_without_the_key()
    {
        File.WriteAllText(_fixture.Copy, "{");

        var failure = Assert.Throws<OptionsValidationException>(() => _fixture.Start(file: null));

        Assert.Contains("restore the document", failure.Message, StringComparison.Ordinal);
        Assert.Contains(_fixture.Copy, failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_spoilt_copy_beside_a_good_document_is_told_and_replaced()
    {
        File.WriteAllText(_fixture.Copy, "{");
        File.WriteAllText(_fixture.Document, PolicyFixture.Strict);

        Assert.True(_fixture.Start().Current.IsEnabled);

        Assert.Single(_fixture.Log.At(LogLevel.Error));
        Assert.Equal(PolicyFixture.Strict, File.ReadAllText(_fixture.Copy));
    }

    [Fact]
    [UnsupportedOSPlatform("windows")]
    public void The_copy_is_for_its_owner_alone_and_nothing_is_left_beside_it()
    {
        File.WriteAllText(_fixture.Copy + ".new", "left by a crash");
        File.WriteAllText(_fixture.Document, PolicyFixture.Strict);
        _fixture.Start();

        Assert.Equal([_fixture.Copy], Directory.GetFiles(_fixture.Data));
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(_fixture.Copy));
    }

    [Fact]
    public void Before_the_start_nothing_can_be_decided()
    {
        Assert.Throws<InvalidOperationException>(() => _fixture.NotStarted(null).Current);
    }

    public void Dispose() => _fixture.Dispose();
}
