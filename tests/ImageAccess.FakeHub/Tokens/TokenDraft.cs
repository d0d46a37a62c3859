using System.Text.Json.Nodes;

namespace ImageAccess.FakeHubs;

/// <summary>One entry of a token's <c>access</c> list.</summary>
public sealed record TokenAccess(string Name, params IReadOnlyList<string> Actions)
{
    public string Type { get; init; } = "repository";

    /// <summary>Null: the entry has no <c>parameters</c>.</summary>
    public int? PullLimit { get; init; }

    internal JsonObject ToJson()
    {
        var json = new JsonObject
        {
            ["type"] = Type,
            ["name"] = Name,
            ["actions"] = new JsonArray([.. Actions.Select(action => JsonValue.Create(action))]),
        };
        if (PullLimit is { } limit)
        {
            json["parameters"] = new JsonObject
            {
                ["pull_limit"] = $"{limit}",
                ["pull_limit_interval"] = $"{FakeHubOptions.PullWindowSeconds}",
            };
        }

        return json;
    }
}

/// <summary>A token before it is signed. Untouched it is an anonymous, valid one without rights; every field can be made wrong.</summary>
public sealed class TokenDraft
{
    internal TokenDraft(DateTimeOffset now, TimeSpan lifetime)
    {
        IssuedAt = now;
        NotBefore = now - TimeSpan.FromSeconds(300);
        Expires = now + lifetime;
    }

    /// <summary>Null: the signer's own. <c>none</c> has an empty signature, <c>HS256</c> the certificate (PEM) as its secret.</summary>
    public string? Algorithm { get; set; }

    /// <summary>Null: the signer's certificate. An empty list leaves the header without <c>x5c</c>.</summary>
    public IReadOnlyList<string>? X5c { get; set; }

    /// <summary>Members that are set in the header last; a JSON null removes one.</summary>
    public JsonObject Header { get; } = [];

    public string Issuer { get; set; } = "auth.docker.io";

    /// <summary>A string, or an array.</summary>
    public JsonNode? Audience { get; set; } = "registry.docker.io";

    /// <summary>Empty for an anonymous caller.</summary>
    public string Subject { get; set; } = "";

    /// <summary>Null for an anonymous caller: no <c>https://auth.docker.io</c> object.</summary>
    public string? Username { get; set; }

    public string Plan { get; set; } = "free";

    public DateTimeOffset IssuedAt { get; set; }

    public DateTimeOffset NotBefore { get; set; }

    public DateTimeOffset Expires { get; set; }

    public string Id { get; set; } = "dckr_jti_" + RandomText.Next(20);

    public IReadOnlyList<TokenAccess> Access { get; set; } = [];

    /// <summary>Further members of the <c>https://auth.docker.io</c> object.</summary>
    public JsonObject HubClaims { get; } = [];

    /// <summary>Members that are set in the payload last; a JSON null removes one.</summary>
    public JsonObject Claims { get; } = [];

    /// <summary>The account's name, <c>sub</c>, plan and claims.</summary>
    public TokenDraft For(FakeAccount account)
    {
        Username = account.Name;
        Subject = account.Id.ToString("D");
        Plan = account.Plan;
        Put(account.HubClaims, HubClaims);
        return this;
    }

    internal JsonObject ToHeader(string algorithm, string certificate)
    {
        var header = new JsonObject { ["alg"] = algorithm, ["typ"] = "JWT" };
        var chain = X5c ?? [certificate];
        if (chain.Count > 0)
            header["x5c"] = new JsonArray([.. chain.Select(link => JsonValue.Create(link))]);
        Put(Header, header);
        return header;
    }

    internal JsonObject ToPayload()
    {
        var payload = new JsonObject
        {
            ["access"] = new JsonArray([.. Access.Select(entry => entry.ToJson())]),
            ["aud"] = Audience?.DeepClone(),
            ["exp"] = Expires.ToUnixTimeSeconds(),
        };
        if (Username is not null)
        {
            var account = new JsonObject { ["plan_name"] = Plan, ["username"] = Username };
            Put(HubClaims, account);
            payload["https://auth.docker.io"] = account;
        }

        payload["iat"] = IssuedAt.ToUnixTimeSeconds();
        payload["iss"] = Issuer;
        payload["jti"] = Id;
        payload["nbf"] = NotBefore.ToUnixTimeSeconds();
        payload["sub"] = Subject;
        Put(Claims, payload);
        return payload;
    }

    private static void Put(JsonObject members, JsonObject into)
    {
        foreach (var (name, value) in members)
        {
            if (value is null)
                into.Remove(name);
            else
                into[name] = value.DeepClone();
        }
    }
}
