using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Administration.Api;
using ImageAccess.Proxy.Administration.Roles;
using ImageAccess.Proxy.Policies.Store;

namespace ImageAccess.Proxy.Administration.DockerApi;

/// <summary><c>orgs/ORG/settings</c>: Docker's Image Access Management, and its Registry Access Management beside it.</summary>
internal sealed class SettingsOperations(SettingsDesk desk) : IOperations
{
    private const string Registries = "/orgs/{organization}/settings/registry-access-management";

    public string Root => ApiRoutes.DockersRoot;

    public void Map(IEndpointRouteBuilder api)
    {
        var described = api.MapGroup("").ExcludeFromDescription();
        described.Get("/orgs/{organization}/settings", Operation.ReadPolicy, Read);
        described.Put<OrganizationSettings>("/orgs/{organization}/settings", Operation.ChangePolicy, ChangeAsync);
        described.Get(Registries, Operation.ReadPolicy, ReadRegistries);
        described.Put<RegistrySettings>(Registries, Operation.ChangePolicy, ChangeRegistriesAsync);
    }

    private Answer<OrganizationSettings> Read(HttpContext http, string organization) => Answer.Of(OrganizationSettings.Of(desk.Find(http, organization)));

    private async Task<Answer<OrganizationSettings>> ChangeAsync(HttpContext http, string organization, string? reason, string? ticket)
    {
        var images = (await JsonBody.ReadAsync<OrganizationSettings>(http)).RestrictedImages;
        if (desk.FindToChange(http, organization) is { FollowsDockerHub: true } followed)
            PolicyPlan.DemandFollowed(followed, images.In(followed)); // those that hold: the document's own are not what is read here
        else
            await desk.ChangeAsync(http, organization, images.WriteTo, reason, ticket);
        return Read(http, organization);
    }

    private Answer<RegistrySettings> ReadRegistries(HttpContext http, string organization) => Answer.Of(RegistrySettings.Of(desk.Find(http, organization).Registries));

    private async Task<Answer<RegistrySettings>> ChangeRegistriesAsync(HttpContext http, string organization, string? reason, string? ticket)
    {
        var settings = await JsonBody.ReadAsync<RegistrySettings>(http);
        settings.Demand();
        if (desk.FindToChange(http, organization) is { FollowsDockerHub: true } followed)
            PolicyPlan.DemandFollowed(followed, followed with { Registries = settings.ToDocument() });
        else
            await desk.ChangeAsync(http, organization, section => section["registries"] = settings.ToSection(), reason, ticket);
        return ReadRegistries(http, organization);
    }
}

/// <summary>As Docker's API writes it.</summary>
internal sealed record OrganizationSettings([property: JsonPropertyName("restricted_images")] RestrictedImages RestrictedImages)
{
    public static OrganizationSettings Of(OrganizationDocument organization) =>
        new(new RestrictedImages(organization.Enabled, organization.AllowOfficial, organization.AllowVerifiedPublisher));
}

/// <summary>Which image types members may use; of community images Docker's API says nothing.</summary>
internal sealed record RestrictedImages(
    bool Enabled,
    [property: JsonPropertyName("allow_official_images")] bool AllowOfficialImages,
    [property: JsonPropertyName("allow_verified_publishers")] bool AllowVerifiedPublishers)
{
    public OrganizationDocument In(OrganizationDocument organization) =>
        organization with { Enabled = Enabled, AllowOfficial = AllowOfficialImages, AllowVerifiedPublisher = AllowVerifiedPublishers };

    public void WriteTo(JsonObject section)
    {
        section["enabled"] = Enabled;
        if (section["allow"] is not JsonObject allow)
            section["allow"] = allow = [];
        allow["official"] = AllowOfficialImages;
        allow["verifiedPublisher"] = AllowVerifiedPublishers;
    }
}
