namespace ImageAccess.FakeHubs;

/// <summary>Who may do what with which repository: the rules by which the token service grants actions.</summary>
internal sealed class Entitlements(FakeNamespaces namespaces, FakeRegistry images, IRegistryContent content)
{
    public async ValueTask<bool> AllowsAsync(FakeAccount? account, string repository, string action, CancellationToken cancel) =>
        repository.Contains('/', StringComparison.Ordinal) && action switch
        {
            "pull" => MayPush(account, repository)
                || (MayRead(account, repository) && await content.HasRepositoryAsync(repository, cancel)),
            "push" or "delete" => MayPush(account, repository),
            _ => false,
        };

    public bool MayRead(FakeAccount? account, string repository)
    {
        if (images.ReadersOf(repository) is not { } readers)
            return true;
        if (account is null)
            return false;
        var role = RoleIn(repository, account);
        return readers.Contains(account.Name) || role is "owner" || (readers.Count == 0 && role is not null);
    }

    private bool MayPush(FakeAccount? account, string repository) =>
        account is not null
        && (images.WritersOf(repository) is { } writers
            ? writers.Contains(account.Name)
            : MayRead(account, repository) && RoleIn(repository, account) is not null);

    /// <summary>The account's role in the repository's namespace, in lower case; an account owns the namespace of its own name.</summary>
    private string? RoleIn(string repository, FakeAccount account)
    {
        var name = repository.Split('/')[0];
        if (account.Name.Equals(name, StringComparison.OrdinalIgnoreCase))
            return "owner";
        return namespaces.Find(name)?.Member(account.Name)?.Role.ToLowerInvariant() switch
        {
            "invitee" => null,
            var role => role,
        };
    }
}
