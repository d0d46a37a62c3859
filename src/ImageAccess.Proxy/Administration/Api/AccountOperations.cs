using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Administration.Changes;
using ImageAccess.Proxy.Administration.Roles;
using ImageAccess.Proxy.Callers.Members;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Policies.Store;

namespace ImageAccess.Proxy.Administration.Api;

/// <summary><c>accounts</c>: the user names of the policy that more than one account was seen with, or that somebody has confirmed one for.</summary>
internal sealed class AccountOperations(NamedAccounts accounts, ConfirmedAccounts confirmed, ChangeDesk desk, IPolicyStore policies) : IOperations
{
    public void Map(IEndpointRouteBuilder api)
    {
        api.Get("/accounts", Operation.ReadMembers, List);
        api.Post<Wanted>("/accounts/{name}/confirm", Operation.ConfirmAccount, ConfirmAsync);
    }

    private Answer<Page<AccountFacts>> List(HttpContext http, int? limit, string? cursor)
    {
        var (paging, visitor) = (Paging.Of(limit, cursor), http.Visitor());
        var found = AccountFacts.Find(policies.Current, accounts.Holders, confirmed.All, visitor.Organization)
            .Where(facts => paging.After is null || string.CompareOrdinal(facts.Name, paging.After) > 0)
            .Take(paging.Limit + 1)
            .ToList();
        return Answer.Of(paging.Show(found, facts => facts, facts => facts.Name));
    }

    private async Task<Answer<Changed<ConfirmedFacts>>> ConfirmAsync(HttpContext http, string name)
    {
        var wanted = await JsonBody.ReadAsync<Wanted>(http);
        var outcome = await desk.ConfirmAccountAsync(name, wanted.Account, http.Visitor().Request(wanted.Reason, wanted.Ticket), http.RequestAborted);
        return outcome.Waiting is { } waiting
            ? Answer.Waiting(new Changed<ConfirmedFacts> { Waiting = ChangeFacts.Of(waiting) }, waiting.Id)
            : Answer.Of(new Changed<ConfirmedFacts> { Done = ConfirmedFacts.Of(outcome.Done!) });
    }

    /// <summary>What <c>POST accounts/NAME/confirm</c> takes.</summary>
    /// <param name="Account">Docker Hub's id of the account.</param>
    internal sealed record Wanted(string Account, string Reason)
    {
        public string? Ticket { get; init; }
    }
}

/// <summary>What is told of a user name.</summary>
/// <param name="Disputed">More than one account was seen with it, and nobody has said which one it stands for.</param>
/// <param name="Organizations">Whose lists name it.</param>
/// <param name="Others">Accounts that were seen with it, and are granted nothing by it.</param>
internal sealed record AccountFacts(string Name, bool Disputed, IReadOnlyList<string> Organizations, IReadOnlyList<string> Others)
{
    /// <summary>The account that it stands for; null where none is known.</summary>
    public string? Account { get; init; }

    public ConfirmedFacts? Confirmed { get; init; }

    /// <summary>By name; names of the policy alone.</summary>
    /// <param name="organization">Of this one alone; null for all.</param>
    public static IEnumerable<AccountFacts> Find(
        Policy policy, IReadOnlyDictionary<string, NameHolder> holders, IReadOnlyCollection<ConfirmedAccountRow> confirmed, string? organization)
    {
        var rows = confirmed.ToDictionary(row => row.Name);
        return holders.Where(holder => holder.Value.Others.Length > 0).Select(holder => holder.Key).Union(rows.Keys)
            .Where(name => policy.NamesPerson(name) && (organization is null || policy.OrganizationsNaming(name).Contains(organization)))
            .Order(StringComparer.Ordinal)
            .Select(name => Of(name, policy, holders.GetValueOrDefault(name), rows.GetValueOrDefault(name), organization));
    }

    private static AccountFacts Of(string name, Policy policy, NameHolder? holder, ConfirmedAccountRow? row, string? organization)
    {
        var counts = row is not null && (row.Organization is null || row.Organization == policy.OnlyOrganizationNaming(name));
        var said = policy.AccountOf(name) ?? (counts ? row!.Account : null);
        return new AccountFacts(
            name,
            said is null && holder?.Others.Length > 0,
            [.. policy.OrganizationsNaming(name).Where(one => organization is null || one == organization)],
            [.. (holder?.Others ?? []).Append(holder?.Account).OfType<string>().Where(other => other != (said ?? holder!.Account))])
        {
            Account = said ?? holder?.Account,
            Confirmed = counts ? ConfirmedFacts.Of(row!) : null,
        };
    }
}

/// <summary>That somebody has confirmed an account.</summary>
internal sealed record ConfirmedFacts(string Name, string Account, string By, DateTime At, string Reason)
{
    /// <summary>Null for every one.</summary>
    public string? Organization { get; init; }

    public string? Ticket { get; init; }

    public static ConfirmedFacts Of(ConfirmedAccountRow row) => new(row.Name, row.Account, row.By, row.At.UtcDateTime, row.Reason) { Organization = row.Organization, Ticket = row.Ticket };
}
