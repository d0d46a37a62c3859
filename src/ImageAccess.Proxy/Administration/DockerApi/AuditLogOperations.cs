using System.Text.Json;
using System.Text.Json.Serialization;
using ImageAccess.Proxy.Administration.Activity;
using ImageAccess.Proxy.Administration.Api;
using ImageAccess.Proxy.Administration.Roles;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Foundation.Files;
using Microsoft.AspNetCore.Mvc;

namespace ImageAccess.Proxy.Administration.DockerApi;

/// <summary><c>auditlogs/ORG</c>: what administrators did, as what collects Docker Hub's audit logs reads it.</summary>
internal sealed class AuditLogOperations(SettingsDesk desk, ActivityLog log) : IOperations
{
    private const int DefaultPageSize = 25;
    private const int MaximumPageSize = 100;
    private const int MaximumPage = 10_000;

    /// <summary>By their groups.</summary>
    private static readonly Dictionary<string, AuditLogActions> Known = new()
    {
        ["policy"] = new("Policy", [new("policy.change", "Policy changed", "changed the organization's section of the policy")]),
        ["exception"] = new("Exceptions", [
            new("exception.grant", "Exception granted", "granted an exception"),
            new("exception.end", "Exception ended", "ended an exception")]),
        ["block"] = new("Blocks", [
            new("block.add", "Image blocked", "blocked an image for everybody"),
            new("block.lift", "Block lifted", "lifted a block")]),
        ["break-glass"] = new("Emergencies", [
            new("break-glass.begun", "Emergency begun", "opened something in an emergency"),
            new("break-glass.ended", "Emergency ended", "an emergency has ended"),
            new("break-glass.reviewed", "Emergency reviewed", "reviewed an emergency of another person")]),
        ["change"] = new("Changes that take two persons", [
            new("change.ask", "Change asked for", "asked for a change that waits for a second person"),
            new("change.done", "Change approved", "approved a change"),
            new("change.declined", "Change declined", "declined a change"),
            new("change.ended", "Change ended", "a change waits no longer")]),
        ["request"] = new("Access requests", [
            new("request.asked", "Access asked for", "asked for access"),
            new("request.approved", "Request approved", "approved a request"),
            new("request.waiting", "Approval waits", "approved a request, which waits for a second person"),
            new("request.reopened", "Request open again", "a request is open again"),
            new("request.declined", "Request declined", "declined a request"),
            new("request.withdrawn", "Request withdrawn", "withdrew a request"),
            new("request.ended", "Request ended", "a request has ended")]),
        ["token"] = new("Tokens of the API", [
            new("token.create", "Token made", "made a token of the API"),
            new("token.revoke", "Token revoked", "revoked a token of the API")]),
        ["decisions"] = new("Pulls", [new(LookRecorder.Action, "Pulls looked at", "looked at named pulls of others")]),
        ["caller"] = new("Callers", [new(CallerForgetting.Action, "Caller forgotten", "took a caller's name out of the decisions")]),
        ["account"] = new("Accounts", [new("account.confirm", "Account confirmed", "confirmed the account of a user name")]),
    };

    private static readonly Dictionary<string, string> Descriptions = Known.Values.SelectMany(group => group.Actions).ToDictionary(action => action.Name, action => action.Description);

    public string Root => ApiRoutes.DockersRoot;

    public void Map(IEndpointRouteBuilder api)
    {
        var described = api.MapGroup("").ExcludeFromDescription();
        described.Get("/auditlogs/{organization}", Operation.ReadActivity, ListAsync);
        described.Get("/auditlogs/{organization}/actions", Operation.ReadActivity, Actions);
    }

    private async Task<Answer<AuditLogs>> ListAsync(
        HttpContext http, string organization, string? action, string? name, string? actor, string? from, string? to, int? page, [FromQuery(Name = "page_size")] int? pageSize)
    {
        Demand(http, organization);
        if (page is < 1 or > MaximumPage)
            throw ProblemException.Bad([new Mistake("page", $"must be 1 to {MaximumPage}")]);
        if (pageSize is < 1 or > MaximumPageSize)
            throw ProblemException.Bad([new Mistake("page_size", $"must be 1 to {MaximumPageSize}")]);
        var query = new ActivityQuery(organization, page ?? 1, pageSize ?? DefaultPageSize)
        {
            Action = action,
            Name = name,
            Actor = actor,
            From = Timestamp.Read(from, "from"),
            Before = Timestamp.Read(to, "to"),
        };
        var rows = await log.ReadAsync(query, http.RequestAborted);
        return Answer.Of(new AuditLogs(rows.ConvertAll(row => AuditLog.Of(row, organization, Descriptions.GetValueOrDefault(row.Action, row.Action)))));
    }

    private Answer<AuditActions> Actions(HttpContext http, string organization)
    {
        Demand(http, organization);
        return Answer.Of(new AuditActions(Known));
    }

    private void Demand(HttpContext http, string organization)
    {
        desk.Find(http, organization);
        http.Visitor().Demand(Operation.ReadActivity, organization, $"organization {PrintableText.Of(organization)}");
    }

    private sealed record AuditLogs(IReadOnlyList<AuditLog> Logs);

    private sealed record AuditLog(
        string Account, string Action, [property: JsonPropertyName("action_description")] string ActionDescription, string Actor, JsonElement Data, string Name, DateTime Timestamp)
    {
        public static AuditLog Of(ActivityRow row, string organization, string description) => new(
            organization, row.Action, description, row.Actor, JsonSerializer.Deserialize<JsonElement>(row.Facts), row.Name, DateTimeOffset.FromUnixTimeMilliseconds(row.TimeMilliseconds).UtcDateTime);
    }

    private sealed record AuditActions(IReadOnlyDictionary<string, AuditLogActions> Actions);

    private sealed record AuditLogActions(string Label, IReadOnlyList<AuditLogAction> Actions);

    private sealed record AuditLogAction(string Name, string Label, string Description);
}
