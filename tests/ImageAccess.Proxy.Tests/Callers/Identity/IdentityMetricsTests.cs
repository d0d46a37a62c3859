using ImageAccess.Proxy.Callers.Identity;

namespace ImageAccess.Proxy.Tests.Callers.Identity;

public sealed class IdentityMetricsTests
{
    [Theory]
    [InlineData(TokenFlaw.SeveralHeaders, "several_headers")]
    [InlineData(TokenFlaw.TooLong, "too_long")]
    [InlineData(TokenFlaw.Malformed, "malformed")]
    [InlineData(TokenFlaw.Algorithm, "algorithm")]
    [InlineData(TokenFlaw.Issuer, "issuer")]
    [InlineData(TokenFlaw.Audience, "audience")]
    [InlineData(TokenFlaw.Expired, "expired")]
    [InlineData(TokenFlaw.NotYetValid, "not_yet_valid")]
    [InlineData(TokenFlaw.Signature, "signature")]
    [InlineData(TokenFlaw.TooManyOrganizations, "too_many_organizations")]
    public void A_flaw_has_this_name_on_the_wire(TokenFlaw flaw, string name) => Assert.Equal(name, IdentityMetrics.NameOf(flaw));

    [Fact]
    public void Every_flaw_has_a_name_of_its_own()
    {
        var flaws = Enum.GetValues<TokenFlaw>().Where(f => f != TokenFlaw.None).ToList();

        Assert.Equal(flaws.Count, flaws.Select(IdentityMetrics.NameOf).Distinct(StringComparer.Ordinal).Count());
        Assert.Throws<ArgumentOutOfRangeException>(() => IdentityMetrics.NameOf(TokenFlaw.None));
    }

    [Fact]
    public async Task Every_answer_is_counted_under_its_name()
    {
        await using var room = await IdentityRoom.OpenAsync();
        var answer = room.Server.Answer;
        room.Server.AnswerText(500, "text/plain", "no");
        var token = TokenForge.Docker.Token(room.Now);

        await room.IdentifyAsync(token);
        room.Server.Answer = answer;
        room.Time.Advance(TimeSpan.FromSeconds(3));
        await room.IdentifyAsync(token);
        await room.IdentifyAsync(token);
        await room.IdentifyAsync("nonsense");
        await room.IdentifyAsync(TokenForge.Stranger.Token(room.Now));
        await room.Identifier.IdentifyAsync("Basic eDp5", CancellationToken.None);

        Assert.Equal(
            [
                "imageaccess.token.key_fetches result=failed 1",
                "imageaccess.token.key_fetches result=fetched 1",
                "imageaccess.token.verifications result=refused reason=malformed 1",
                "imageaccess.token.verifications result=refused reason=signature 1",
                "imageaccess.token.verifications result=remembered 1",
                "imageaccess.token.verifications result=unavailable 1",
                "imageaccess.token.verifications result=verified 1",
            ],
            room.Measurements.Select(m => $"{m.Key} {m.Value}").Order(StringComparer.Ordinal));
    }
}
