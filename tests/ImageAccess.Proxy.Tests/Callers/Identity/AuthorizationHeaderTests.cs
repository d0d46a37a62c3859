using ImageAccess.Proxy.Callers.Identity;
using Microsoft.Extensions.Primitives;

namespace ImageAccess.Proxy.Tests.Callers.Identity;

public sealed class AuthorizationHeaderTests
{
    [Theory]
    [InlineData("")]
    [InlineData("Basic YWxpY2U6c2VjcmV0")]
    [InlineData("Negotiate TOKEN")]
    [InlineData("BearerTOKEN")]
    [InlineData("Bearers TOKEN")]
    [InlineData(" Bearer TOKEN")]
    [InlineData("TOKEN")]
    public async Task What_is_no_bearer_token_is_none(string header)
    {
        await using var room = await IdentityRoom.OpenAsync();
        var token = TokenForge.Docker.Token(room.Now);

        var answer = await room.Identifier.IdentifyAsync(header.Replace("TOKEN", token, StringComparison.Ordinal), CancellationToken.None);

        Assert.IsType<Identification.NoToken>(answer);
        Assert.Equal(0, room.Server.Requests);
    }

    [Fact]
    public async Task No_header_is_no_token()
    {
        await using var room = await IdentityRoom.OpenAsync();

        Assert.IsType<Identification.NoToken>(await room.Identifier.IdentifyAsync(StringValues.Empty, CancellationToken.None));
        Assert.IsType<Identification.NoToken>(await room.Identifier.IdentifyAsync(new StringValues((string?)null), CancellationToken.None));
    }

    [Theory]
    [InlineData("Bearer TOKEN")]
    [InlineData("bearer TOKEN")]
    [InlineData("BEARER TOKEN")]
    public async Task The_scheme_has_no_case(string header)
    {
        await using var room = await IdentityRoom.OpenAsync();
        var token = TokenForge.Docker.Token(room.Now);

        Assert.IsType<Identification.Verified>(
            await room.Identifier.IdentifyAsync(header.Replace("TOKEN", token, StringComparison.Ordinal), CancellationToken.None));
    }

    [Theory]
    [InlineData("Bearer")]
    [InlineData("Bearer ")]
    [InlineData("Bearer  TOKEN")]
    [InlineData("Bearer\tTOKEN")]
    [InlineData("Bearer TOKEN TOKEN")]
    [InlineData("Bearer TOKEN,TOKEN")]
    [InlineData("Bearer token=\"TOKEN\"")]
    public async Task A_bearer_header_of_another_form_is_malformed(string header)
    {
        await using var room = await IdentityRoom.OpenAsync();
        var token = TokenForge.Docker.Token(room.Now);

        var answer = await room.Identifier.IdentifyAsync(header.Replace("TOKEN", token, StringComparison.Ordinal), CancellationToken.None);

        Assert.Equal(TokenFlaw.Malformed, Assert.IsType<Identification.Invalid>(answer).Flaw);
    }

    [Fact]
    public async Task Two_headers_are_refused_whatever_they_hold()
    {
        await using var room = await IdentityRoom.OpenAsync();
        var good = $"Bearer {TokenForge.Docker.Token(room.Now)}";

        foreach (var second in new[] { good, "Basic YWxpY2U6c2VjcmV0", "" })
        {
            foreach (var pair in new[] { new StringValues([good, second]), new StringValues([second, good]) })
            {
                var answer = await room.Identifier.IdentifyAsync(pair, CancellationToken.None);
                Assert.Equal(TokenFlaw.SeveralHeaders, Assert.IsType<Identification.Invalid>(answer).Flaw);
            }
        }
    }

    [Fact]
    public async Task Sixty_four_kibibytes_are_the_limit()
    {
        await using var room = await IdentityRoom.OpenAsync();
        await room.LearnAsync();
        var longest = Padded(room.Now, 64 * 1024);

        Assert.IsType<Identification.Verified>(await room.IdentifyAsync(longest));
        var answer = await room.IdentifyAsync(longest + "A");
        Assert.Equal(TokenFlaw.TooLong, Assert.IsType<Identification.Invalid>(answer).Flaw);
    }

    /// <summary>A token of exactly this length: base64url has no text of some lengths, so the header gives way.</summary>
    private static string Padded(DateTimeOffset now, int length)
    {
        var missing = length - TokenForge.Docker.Token(now).Length;
        for (var inHeader = 0; inHeader < 4; inHeader++)
        {
            for (var inPayload = (missing * 3 / 4) - 24; inPayload < missing; inPayload++)
            {
                var token = TokenForge.Docker.Token(
                    now,
                    c => c["pad"] = new string('x', inPayload),
                    h => h["pad"] = new string('x', inHeader));
                if (token.Length == length)
                    return token;
                if (token.Length > length)
                    break;
            }
        }

        throw new InvalidOperationException("no token has this length");
    }
}
