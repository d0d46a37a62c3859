namespace ImageAccess.Proxy.Administration.Roles;

/// <summary>Who does something: a person, a program with a token, or whoever runs a verb on the server.</summary>
internal sealed record Actor
{
    /// <summary>What the history and the trail call it; of a person the user name.</summary>
    public required string Name { get; init; }

    /// <summary>Docker Hub's id of a person's account, where signing in has told it: another one behind the same name has none of its roles.</summary>
    public string? Account { get; init; }

    /// <summary>Of a token: the one role that it has. Null: the roles are looked up by the name.</summary>
    public Core.Policies.Roles? Fixed { get; init; }

    /// <summary>Of a person who has signed in with what lies in many files: no role beyond these; null for all.</summary>
    public Core.Policies.Roles? Most { get; init; }

    /// <summary>Of a token: the only organization; null for every one.</summary>
    public string? Organization { get; init; }

    /// <summary>Of a token: who made it. Nobody approves with the one hand what the other asks for.</summary>
    public string? Person { get; init; }

    /// <summary>Of a token: its number.</summary>
    public long? Token { get; init; }

    /// <summary>The Docker Hub user name of the person behind it, in lower case; null where nobody is.</summary>
    public string? User => (Person ?? (Fixed is null && !IsServer ? Name : null))?.ToLowerInvariant();

    /// <summary>A verb on the server: it may everything.</summary>
    public bool IsServer { get; init; }

    /// <summary>Whoever runs a verb on the server.</summary>
    public static Actor Server(string name) => new() { Name = name, IsServer = true };

    /// <summary>Whether one person stands behind both.</summary>
    public bool IsSamePerson(string other) => string.Equals(Person ?? Name, other, StringComparison.OrdinalIgnoreCase);
}
