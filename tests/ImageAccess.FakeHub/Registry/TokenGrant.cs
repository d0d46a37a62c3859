using System.Text.Json.Nodes;

namespace ImageAccess.FakeHubs;

/// <summary>What a verified bearer token allows, and whose it is.</summary>
internal sealed class TokenGrant
{
    private readonly Dictionary<string, HashSet<string>> _actions = new(StringComparer.Ordinal);

    private TokenGrant(string username, string subject) => (Username, Subject) = (username, subject);

    /// <summary>Empty for an anonymous token.</summary>
    public string Username { get; }

    public string Subject { get; }

    public bool Allows(string repository, string action) =>
        repository.Contains('/', StringComparison.Ordinal) && _actions.TryGetValue(repository, out var allowed) && allowed.Contains(action);

    /// <summary>Null when the token is not this hub's, is for somebody else, or is not valid now.</summary>
    public static TokenGrant? Read(TokenSigner signer, string token, DateTimeOffset now)
    {
        if (signer.Open(token) is not { } payload)
            return null;
        try
        {
            var audience = payload["aud"] is JsonArray several ? several.Select(Text) : [Text(payload["aud"])];
            if (Text(payload["iss"]) != "auth.docker.io"
                || !audience.Contains("registry.docker.io", StringComparer.Ordinal)
                || now.ToUnixTimeSeconds() >= (payload["exp"]?.GetValue<long>() ?? 0)
                || now.ToUnixTimeSeconds() < (payload["nbf"]?.GetValue<long>() ?? 0))
                return null;

            var grant = new TokenGrant(Text(payload["https://auth.docker.io"]?["username"]), Text(payload["sub"]));
            foreach (var entry in payload["access"] as JsonArray ?? [])
            {
                if (Text(entry?["type"]) == "repository")
                    grant._actions[Text(entry?["name"])] = [.. (entry?["actions"] as JsonArray ?? []).Select(Text)];
            }

            return grant;
        }
        catch (InvalidOperationException)
        {
            return null;
        }
    }

    private static string Text(JsonNode? node) => node?.GetValue<string>() ?? "";
}
