using System.Collections.Concurrent;

namespace ImageAccess.FakeHubs;

/// <summary>A line of an organization's member list.</summary>
public sealed record FakeMember(string Username, string Role)
{
    public string Id { get; init; } = FakeAccount.IdOf(Username).ToString("N");

    public bool IsGuest { get; init; }

    /// <summary>The teams that it is in; by default that of its role.</summary>
    public IReadOnlyList<string> Groups { get; init; } = [Role.Equals("owner", StringComparison.OrdinalIgnoreCase) ? "owners" : "members"];
}

/// <summary>Docker's own image access settings of an organization.</summary>
public sealed record FakeRestrictedImages(bool Enabled, bool AllowOfficialImages, bool AllowVerifiedPublishers);

/// <summary>What the Hub API tells about a namespace.</summary>
public sealed class FakeNamespace
{
    private readonly ConcurrentDictionary<string, FakeMember> _members = new(StringComparer.OrdinalIgnoreCase);

    internal FakeNamespace(string name) => Name = name;

    public string Name { get; }

    public NamespaceKind Kind { get; set; }

    /// <summary><c>verified_publisher</c>, <c>open_source</c>, empty, or null for an answer without the member.</summary>
    public string? Badge { get; set; }

    public FakeRestrictedImages RestrictedImages { get; set; } =
        new(Enabled: false, AllowOfficialImages: true, AllowVerifiedPublishers: true);

    /// <summary>Docker's Registry Access Management, as the Hub API writes it.</summary>
    public string RegistryAccess { get; set; } = """{"enabled":false,"standard_registries":[{"id":"DockerHub","allowed":true}],"custom_registries":[]}""";

    public IReadOnlyList<FakeMember> Members => [.. _members.Values.OrderBy(member => member.Username, StringComparer.Ordinal)];

    /// <summary>Roles as the Hub API writes them: <c>Owner</c>, <c>Editor</c>, <c>Member</c>, <c>Invitee</c>.</summary>
    public FakeNamespace AddMember(string username, string role = "Member")
    {
        _members[username] = new FakeMember(username, role);
        return this;
    }

    public FakeNamespace AddMember(FakeMember member)
    {
        _members[member.Username] = member;
        return this;
    }

    public void RemoveMember(string username) => _members.TryRemove(username, out _);

    internal FakeMember? Member(string username) => _members.GetValueOrDefault(username);
}

/// <summary>The namespaces that the Hub API knows. A namespace that is not here is unknown to it, whatever images exist.</summary>
public sealed class FakeNamespaces
{
    private readonly ConcurrentDictionary<string, FakeNamespace> _namespaces = new(StringComparer.Ordinal);

    /// <summary>Adds a namespace, or changes badge and kind of the one that is there; its members stay.</summary>
    public FakeNamespace Add(string name, string? badge = "", NamespaceKind kind = NamespaceKind.Organization)
    {
        var added = _namespaces.GetOrAdd(name, static name => new FakeNamespace(name));
        added.Badge = badge;
        added.Kind = kind;
        return added;
    }

    public FakeNamespace? Find(string name) => _namespaces.GetValueOrDefault(name);

    public void Remove(string name) => _namespaces.TryRemove(name, out _);
}
