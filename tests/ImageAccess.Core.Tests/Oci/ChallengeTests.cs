using FsCheck;
using FsCheck.Fluent;
using ImageAccess.Core.Oci;

namespace ImageAccess.Core.Tests.Oci;

public sealed class ChallengeTests
{
    [Fact]
    public void Reads_what_Docker_Hub_sends()
    {
        Assert.True(Challenge.TryParse(
            "Bearer realm=\"https://auth.docker.io/token\",service=\"registry.docker.io\","
            + "scope=\"repository:acme/app:pull,push\",error=\"insufficient_scope\"",
            out var challenge));
        Assert.Equal(
            new Challenge("https://auth.docker.io/token", "registry.docker.io")
            {
                Scope = "repository:acme/app:pull,push",
                Error = "insufficient_scope",
            },
            challenge);
    }

    [Theory]
    [InlineData("Bearer realm=\"r\"", "r", "", null, null)]
    [InlineData("bearer realm=\"r\", service=\"s\"", "r", "s", null, null)]
    [InlineData("BEARER service=\"s\" , realm=\"r\"", "r", "s", null, null)]
    [InlineData("Bearer realm=\"r\",service=\"s\",", "r", "s", null, null)]
    [InlineData("Bearer realm=\"r\",unknown=\"x\",error=\"invalid_token\"", "r", "", null, "invalid_token")]
    [InlineData("Bearer realm=\"r\",scope=\"a b\"", "r", "", "a b", null)]
    [InlineData("Bearer realm=\"a=b,c\"", "a=b,c", "", null, null)]
    public void Reads_a_Bearer_challenge(string header, string realm, string service, string? scope, string? error)
    {
        Assert.True(Challenge.TryParse(header, out var challenge));
        Assert.Equal(new Challenge(realm, service) { Scope = scope, Error = error }, challenge);
    }

    [Theory]
    [InlineData(null)]
    [InlineData("")]
    [InlineData("Bearer")]
    [InlineData("Bearer ")]
    [InlineData("Bearer service=\"s\"")]
    [InlineData("Basic realm=\"r\"")]
    [InlineData("Bearerrealm=\"r\"")]
    [InlineData("Bearer realm=r")]
    [InlineData("Bearer realm=\"r")]
    [InlineData("Bearer realm=\"a\\\"b\"")]
    [InlineData("Bearer realm=\"r\",error=invalid_token")]
    [InlineData("Bearer =\"r\"")]
    public void Refuses_what_it_cannot_read_in_full(string? header)
    {
        Assert.False(Challenge.TryParse(header, out var challenge));
        Assert.Null(challenge);
    }

    [Theory]
    [InlineData(null, null, "Bearer realm=\"r\",service=\"s\"")]
    [InlineData("repository:library/nginx:pull", null, "Bearer realm=\"r\",service=\"s\",scope=\"repository:library/nginx:pull\"")]
    [InlineData(null, "invalid_token", "Bearer realm=\"r\",service=\"s\",error=\"invalid_token\"")]
    [InlineData("x", "insufficient_scope", "Bearer realm=\"r\",service=\"s\",scope=\"x\",error=\"insufficient_scope\"")]
    public void Is_written_as_Docker_Hub_writes_it(string? scope, string? error, string text) =>
        Assert.Equal(text, new Challenge("r", "s") { Scope = scope, Error = error }.ToString());

    [Fact]
    public void What_is_written_is_read_again()
    {
        var values = Gen.Elements<char>([.. "az09:/.,= &?-"]).ListOf().Select(list => string.Concat(list));
        var challenges =
            from realm in values
            from service in values
            from scope in Gen.OneOf(Gen.Constant<string?>(null), values.Select(text => (string?)text))
            from error in Gen.OneOf(Gen.Constant<string?>(null), values.Select(text => (string?)text))
            select new Challenge(realm, service) { Scope = scope, Error = error };

        Prop.ForAll(challenges.ToArbitrary(), written => Challenge.TryParse(written.ToString(), out var read) && read == written)
            .Check(Config.QuickThrowOnFailure);
    }
}
