using System.Text.Json;

namespace ImageAccess.Proxy.Foundation.DockerHub;

/// <summary>
/// The tokens in an answer of the token service, which names the registry token <c>token</c>, <c>access_token</c> or both, or of the
/// Hub API's sign-in. A member that is missing, empty or no text is no token.
/// </summary>
internal sealed record TokenAnswer(string? Token, string? AccessToken, string? RefreshToken)
{
    private static readonly TokenAnswer None = new(null, null, null);

    /// <summary>By either name.</summary>
    public string? Either => Token ?? AccessToken;

    /// <summary>Without tokens where the text is no JSON: whoever passes the answer on leaves it as it is.</summary>
    public static TokenAnswer Read(ReadOnlyMemory<byte> body)
    {
        try
        {
            using var json = JsonDocument.Parse(body);
            return Read(json.RootElement);
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            return None;
        }
    }

    /// <exception cref="InvalidOperationException">A text holds half of a surrogate pair.</exception>
    public static TokenAnswer Read(JsonElement answer)
    {
        return answer.ValueKind == JsonValueKind.Object ? new TokenAnswer(Text("token"), Text("access_token"), Text("refresh_token")) : None;

        string? Text(string name) =>
            answer.TryGetProperty(name, out var member) && member.ValueKind == JsonValueKind.String && member.GetString() is { Length: > 0 } text ? text : null;
    }
}
