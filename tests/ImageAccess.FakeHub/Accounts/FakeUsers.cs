using System.Collections.Concurrent;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;

namespace ImageAccess.FakeHubs;

public enum NamespaceKind
{
    Organization,
    User,
}

/// <summary>Somebody who can sign in: a person, or an organization by its access tokens.</summary>
public sealed class FakeAccount
{
    internal FakeAccount(string name, NamespaceKind kind, string? password, IEnumerable<string> accessTokens)
    {
        Name = name;
        Kind = kind;
        Id = IdOf(name);
        Password = password;
        AccessTokens = new HashSet<string>(accessTokens, StringComparer.Ordinal);
    }

    public string Name { get; }

    public NamespaceKind Kind { get; }

    /// <summary>The token's <c>sub</c>; without dashes, the member's <c>id</c> in the Hub API.</summary>
    public Guid Id { get; }

    public string? Password { get; set; }

    /// <summary>Personal (<c>dckr_pat_…</c>) or organization (<c>dckr_oat_…</c>) access tokens.</summary>
    public ISet<string> AccessTokens { get; }

    /// <summary><c>free</c> has pull limits, every other plan has none.</summary>
    public string Plan { get; set; } = "free";

    /// <summary>Further members of the token's <c>https://auth.docker.io</c> object.</summary>
    public JsonObject HubClaims { get; } = [];

    /// <summary>The same name always has the same id, so that member lists and tokens agree.</summary>
    internal static Guid IdOf(string name) => new(SHA256.HashData(Encoding.UTF8.GetBytes(name)).AsSpan(0, 16));
}

/// <summary>The accounts of the token service and of the Hub API.</summary>
public sealed class FakeUsers
{
    private readonly ConcurrentDictionary<string, FakeAccount> _accounts = new(StringComparer.OrdinalIgnoreCase);
    private readonly FakeNamespaces _namespaces;

    internal FakeUsers(FakeNamespaces namespaces) => _namespaces = namespaces;

    public IEnumerable<FakeAccount> All => _accounts.Values;

    /// <summary>A person, who also owns the personal namespace of the same name.</summary>
    public FakeAccount Add(string name, string password, params string[] personalAccessTokens)
    {
        _namespaces.Add(name, badge: "", NamespaceKind.User);
        return _accounts[name] = new FakeAccount(name, NamespaceKind.User, password, personalAccessTokens);
    }

    /// <summary>An organization with its namespace; it signs in with its access tokens alone.</summary>
    public FakeAccount AddOrganization(string name, string? badge = "", params string[] organizationAccessTokens)
    {
        _namespaces.Add(name, badge);
        return _accounts[name] = new FakeAccount(name, NamespaceKind.Organization, password: null, organizationAccessTokens);
    }

    public FakeAccount? Find(string? name) => name is not null && _accounts.TryGetValue(name, out var account) ? account : null;

    public void Remove(string name) => _accounts.TryRemove(name, out _);

    internal FakeAccount? SignIn(string? name, string? secret)
    {
        if (Find(name) is not { } account || string.IsNullOrEmpty(secret))
            return null;
        return account.Password == secret || account.AccessTokens.Contains(secret) ? account : null;
    }
}
