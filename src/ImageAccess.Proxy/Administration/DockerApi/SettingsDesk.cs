using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Administration.Api;
using ImageAccess.Proxy.Administration.Changes;
using ImageAccess.Proxy.Administration.Roles;
using ImageAccess.Proxy.Foundation.Files;
using ImageAccess.Proxy.Policies.Store;

namespace ImageAccess.Proxy.Administration.DockerApi;

/// <summary>
/// Reads and changes members of an organization's section as Docker's API does: each by itself, over whatever else is there. Whatever the desk of
/// changes refuses comes through as its own refusal.
/// </summary>
internal sealed class SettingsDesk(ChangeDesk desk, PolicyStore store, PolicyReader reader)
{
    /// <summary>How often a change is tried while others change the same section.</summary>
    private const int Tries = 5;

    /// <summary>The section as it is compiled.</summary>
    /// <exception cref="ProblemException">404 where the visitor may not read it: as if it were not there.</exception>
    public OrganizationDocument Find(HttpContext http, string organization) =>
        store.Current.Document.Organizations.FirstOrDefault(one => one.Name == organization) is { } found && http.Visitor().May(Operation.ReadPolicy, organization)
            ? found
            : throw ProblemException.NotFound(Named(organization));

    /// <summary>The same for who may change it.</summary>
    /// <exception cref="ProblemException">403 where the visitor may not.</exception>
    public OrganizationDocument FindToChange(HttpContext http, string organization)
    {
        var found = Find(http, organization);
        http.Visitor().Demand(Operation.ChangePolicy, organization, Named(organization));
        return found;
    }

    /// <summary>Changes it; a change that is none is done.</summary>
    /// <exception cref="ProblemException">403 where the visitor may not, or where it waits for a second person.</exception>
    public async Task ChangeAsync(HttpContext http, string organization, Action<JsonObject> edit, string? reason, string? ticket)
    {
        FindToChange(http, organization);
        var request = http.Visitor().Request(reason ?? $"set by Docker's own API: {http.Request.Path.Value!.TrimEnd('/')}", ticket);
        for (var tried = 1; ; tried++)
        {
            try
            {
                await TryAsync(organization, edit, request, http.RequestAborted);
                return;
            }
            catch (SamePolicyException)
            {
                return;
            }
            catch (OutdatedChangeException) when (tried < Tries)
            {
                await reader.CatchUpAsync(http.RequestAborted);
            }
        }
    }

    private async Task TryAsync(string organization, Action<JsonObject> edit, ChangeRequest request, CancellationToken gone)
    {
        var document = store.Document;
        var section = PolicySections.Find(document, organization) is { } found ? JsonNode.Parse(found)!.AsObject() : throw ProblemException.NotFound(Named(organization));
        edit(section);
        var change = new PolicyEdit
        {
            Content = Encoding.UTF8.GetBytes(section.ToJsonString(ReadableJson.Web)),
            Organization = organization,
            IfUnchanged = PolicySections.TagOf(document, organization),
        };
        var outcome = await desk.ChangePolicyAsync(change, request, gone);
        if (outcome.Waiting is { } waiting)
        {
            throw new ProblemException(new Problem(403, string.Create(
                CultureInfo.InvariantCulture, $"not done yet: it opens something ({PrintableText.ListOf(waiting.Opens, 3)}), and the change {waiting.Id} waits for a second person to approve it")));
        }

        await reader.CatchUpAsync(gone); // in force here when it is answered: a program reads what it has written
    }

    private static string Named(string organization) => $"organization {PrintableText.Of(organization)}";
}
