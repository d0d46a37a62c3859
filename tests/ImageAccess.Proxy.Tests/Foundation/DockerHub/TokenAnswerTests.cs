using System.Text;
using System.Text.Json;
using ImageAccess.Proxy.Foundation.DockerHub;

namespace ImageAccess.Proxy.Tests.Foundation.DockerHub;

public sealed class TokenAnswerTests
{
    [Theory]
    [InlineData("""{"token":"a"}""", "a", null, null, "a")]
    [InlineData("""{"access_token":"a"}""", null, "a", null, "a")]
    [InlineData("""{"token":"a","access_token":"b","refresh_token":"c","expires_in":300}""", "a", "b", "c", "a")]
    [InlineData("""{"token":"","access_token":"b"}""", null, "b", null, "b")]
    [InlineData("""{"token":7,"access_token":["b"],"refresh_token":null}""", null, null, null, null)]
    [InlineData("""{"details":"no"}""", null, null, null, null)]
    [InlineData("[]", null, null, null, null)]
    [InlineData("\"a\"", null, null, null, null)]
    [InlineData("", null, null, null, null)]
    [InlineData("<html>", null, null, null, null)]
    [InlineData("""{"token":"a" """, null, null, null, null)]
    [InlineData("""{"token":"\ud800"}""", null, null, null, null)]
    public void A_token_goes_by_either_name_and_what_is_no_text_is_none(string body, string? token, string? accessToken, string? refreshToken, string? either)
    {
        var answer = TokenAnswer.Read(Encoding.UTF8.GetBytes(body));
        Assert.Equal((token, accessToken, refreshToken, either), (answer.Token, answer.AccessToken, answer.RefreshToken, answer.Either));
    }

    [Fact]
    public void Of_an_answer_that_was_parsed_half_a_character_is_told()
    {
        using var json = JsonDocument.Parse("""{"access_token":"\ud800"}""");
        Assert.Throws<InvalidOperationException>(() => TokenAnswer.Read(json.RootElement));
    }
}
