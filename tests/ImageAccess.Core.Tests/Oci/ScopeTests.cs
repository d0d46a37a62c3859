using ImageAccess.Core.Oci;

namespace ImageAccess.Core.Tests.Oci;

public sealed class ScopeTests
{
    [Theory]
    [InlineData("repository:library/nginx:pull", "repository:library/nginx:pull", "library/nginx")]
    [InlineData("repository:nginx:pull", "repository:library/nginx:pull", "library/nginx")]
    [InlineData("repository:acme/app:pull,push", "repository:acme/app:pull,push", "acme/app")]
    [InlineData("repository:acme/app:push,pull", "repository:acme/app:push,pull", "acme/app")]
    [InlineData("repository:acme/app:*", "repository:acme/app:*", "acme/app")]
    [InlineData("repository:acme/app:", "repository:acme/app:", "acme/app")]
    [InlineData("repository(plugin):vieux/sshfs:pull", "repository(plugin):vieux/sshfs:pull", "vieux/sshfs")]
    [InlineData("repository(plugin):sshfs:pull", "repository(plugin):library/sshfs:pull", "library/sshfs")]
    [InlineData("registry:catalog:*", "registry:catalog:*", null)]
    [InlineData("other:host.example:5000/x:pull", "other:host.example:5000/x:pull", null)]
    public void Reads_a_scope_and_writes_the_name_in_full(string text, string full, string? repository)
    {
        Assert.True(Scope.TryParse(text, out var scope));
        Assert.Equal((full, full, repository), (scope.Text, scope.ToString(), scope.Repository?.Value));
    }

    [Theory]
    [InlineData(null)]
    [InlineData("")]
    [InlineData("repository")]
    [InlineData("repository:nginx")]
    [InlineData(":nginx:pull")]
    [InlineData("repository::pull")]
    [InlineData("repository:Nginx:pull")]
    [InlineData("repository:library//nginx:pull")]
    [InlineData("repository:nginx:latest:pull")]
    [InlineData("repository:localhost:5000/nginx:pull")]
    [InlineData("repository:nginx:PULL")]
    [InlineData("repository:nginx:pull repository:acme/app:pull")]
    [InlineData("repository:nginx:pull push")]
    [InlineData("repository:nginx:pull&service=x")]
    [InlineData("repository:nginx:pull\n")]
    [InlineData("repository:ng\u0131nx:pull")]
    [InlineData("Repository:nginx:pull")]
    [InlineData("repository():nginx:pull")]
    [InlineData("repository(plugin:nginx:pull")]
    [InlineData("repository(Plugin):nginx:pull")]
    [InlineData("(plugin):nginx:pull")]
    [InlineData("repository(plugin)x:nginx:pull")]
    [InlineData("registry:cata log:*")]
    [InlineData("registry:cat\"alog:*")]
    public void Refuses_what_is_no_scope(string? text)
    {
        Assert.False(Scope.TryParse(text, out var scope));
        Assert.Null(scope);
    }

    [Theory]
    [InlineData(513)]
    [InlineData(4 * 1024)]
    [InlineData(60 * 1024)]
    public void A_scope_of_another_type_has_any_length(int length) =>
        Assert.True(Scope.TryParse($"registry:{new string('x', length - "registry::*".Length)}:*", out _));

    [Theory]
    [InlineData(RegistryAction.Pull, "repository:library/nginx:pull")]
    [InlineData(RegistryAction.Push, "repository:library/nginx:pull,push")]
    [InlineData(RegistryAction.Delete, "repository:library/nginx:delete")]
    public void Asks_for_what_a_request_needs(RegistryAction action, string text)
    {
        var scope = Scope.For(Names.Repository("nginx"), action);
        Assert.Equal(text, scope.Text);
        Assert.Equal("library/nginx", scope.Repository?.Value);
        Assert.True(Scope.TryParse(scope.Text, out var again));
        Assert.Equal(text, again.Text);
    }

    [Fact]
    public void No_scope_asks_for_nothing() =>
        Assert.Throws<ArgumentOutOfRangeException>(() => Scope.For(Names.Repository("nginx"), RegistryAction.None));
}
