using System.Globalization;
using System.Net;
using System.Text.Json;
using ImageAccess.Core.Hosts;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Foundation.DockerHub;
using ImageAccess.Proxy.Foundation.Files;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Policies.Following;

/// <summary>
/// What Docker's Admin Console says of an organization: <c>GET /v2/orgs/ORGANIZATION/settings</c> of the Hub API, and <c>registry-access-management</c>
/// below it, signed in as an owner. A token is used
/// for some minutes, and a new one is asked for once when it is refused. A secret that is refused is tried again after five minutes, or once it is another.
/// It is asked by one at a time.
/// </summary>
internal sealed class HubSettingsSource(HubApi hub, IOptions<FollowOptions> options, TimeProvider time)
{
    /// <summary>How soon a secret that was refused is sent again: sooner may lock the account.</summary>
    public static readonly TimeSpan AfterRefusal = TimeSpan.FromMinutes(5);

    private static readonly AnswerLimits Limits = new(64 * 1024, TimeSpan.FromSeconds(15));

    private static readonly JsonDocumentOptions Json = new() { AllowDuplicateProperties = false, MaxDepth = 16 };

    /// <summary>How an answer may name the organization that it is about.</summary>
    private static readonly string[] Names = ["orgname", "organization", "name"];

    private Session? _session;
    private Refusal? _refusal;

    private string Username => options.Value.Username ?? "";

    /// <returns>The switches, without the registries.</returns>
    /// <exception cref="FollowException">They could not be read; the message says why.</exception>
    public Task<HubSwitches> ReadAsync(string organization, CancellationToken cancellationToken) =>
        ReadAsync("", organization, $"the settings of {organization}", SwitchesOf, cancellationToken);

    /// <summary>Docker's Registry Access Management.</summary>
    /// <exception cref="FollowException">They could not be read; the message says why.</exception>
    public Task<RegistriesDocument> ReadRegistriesAsync(string organization, CancellationToken cancellationToken) =>
        ReadAsync("/registry-access-management", organization, $"the registries of {organization}", RegistriesOf, cancellationToken);

    private async Task<T> ReadAsync<T>(string below, string organization, string what, Func<JsonElement, string, T> read, CancellationToken cancellationToken)
    {
        try
        {
            using var settings = await ReadAsync(new Uri(hub.Address, $"/v2/orgs/{organization}/settings{below}"), organization, what, cancellationToken);
            DemandAbout(settings.RootElement, organization, what);
            return read(settings.RootElement, what);
        }
        catch (JsonException)
        {
            throw new FollowException($"the Hub API's answer is not JSON (200 for {what})");
        }
        catch (InvalidOperationException)
        {
            throw new FollowException($"the Hub API's answer holds text that is none (200 for {what})"); // half of a surrogate pair
        }
        catch (HubBackoffException exception)
        {
            throw new FollowException($"the Hub API asks us to back off until {exception.RetryAt:u}: {what} are read after that") { RetryAt = exception.RetryAt };
        }
        catch (UnansweredException exception)
        {
            throw new FollowException($"{exception.Cause} for {what}");
        }
    }

    private async Task<JsonDocument> ReadAsync(Uri address, string organization, string what, CancellationToken cancellationToken)
    {
        var isOld = _session is not null;
        var answer = await GetAsync(address, cancellationToken);
        if (answer.Status == HttpStatusCode.Unauthorized && isOld)
        {
            _session = null;
            answer = await GetAsync(address, cancellationToken);
        }

        if (answer.Status == HttpStatusCode.OK)
            return JsonDocument.Parse(answer.Body, Json);
        throw new FollowException(answer.Status switch
        {
            HttpStatusCode.Forbidden =>
                $"Docker Hub refuses {what} to {Username} (403): only an owner of {organization} may read them, and for some accounts not with an access token; "
                + "name an owner in Follow:Username, and put the password of that account into Follow:SecretFile",
            HttpStatusCode.Unauthorized => Refuse(_session!.Secret, $"Docker Hub refuses {what} to {Username} (401), who has just signed in; look at Follow:Username and the secret in Follow:SecretFile"),
            HttpStatusCode.NotFound => $"Docker Hub does not know {what} (404); if {organization} has another name now, write that name into the policy",
            >= HttpStatusCode.MultipleChoices and < HttpStatusCode.BadRequest =>
                $"the Hub API answered {(int)answer.Status} for {what}: a redirect is not followed; if {organization} has another name now, write that name into the policy",
            var status => $"the Hub API answered {(int)status} for {what}",
        });
    }

    private async Task<HubAnswer> GetAsync(Uri address, CancellationToken cancellationToken)
    {
        using var request = HubSignIn.Get(address, await TokenAsync(cancellationToken));
        return await hub.AskAsync(request, Limits, cancellationToken);
    }

    private async Task<string> TokenAsync(CancellationToken cancellationToken)
    {
        if (Username.Length == 0)
            throw new FollowException("nobody is named to read it with: Follow:Username and Follow:SecretFile, an owner of the organization");
        var secret = SecretFile.Read(options.Value.SecretFile!, "secret", out var problem) ?? throw new FollowException($"there is no secret to sign in with: {problem}");
        var now = time.GetUtcNow();
        if (_session is { } session && session.Secret == secret && now - session.Since < HubSignIn.TokenUse && now >= session.Since)
            return session.Token;
        if (_refusal is { } refusal && refusal.Secret == secret && now - refusal.At < AfterRefusal && now >= refusal.At)
            throw new FollowException(refusal.Cause);

        (_session, _refusal) = (null, null);
        using var request = HubSignIn.Request(hub.Address, Username, secret);
        var answer = await hub.AskAsync(request, Limits, cancellationToken);
        if (answer.Status is HttpStatusCode.Unauthorized or HttpStatusCode.Forbidden)
            throw new FollowException(Refuse(secret, $"Docker Hub refuses the sign-in of {Username} ({(int)answer.Status}); look at Follow:Username and the secret in Follow:SecretFile"));
        if (answer.Status != HttpStatusCode.OK)
            throw new FollowException($"the Hub API answered {(int)answer.Status} for the sign-in of {Username}");
        using var json = JsonDocument.Parse(answer.Body, Json);
        var token = HubSignIn.TokenOf(json.RootElement) ?? throw new FollowException($"the Hub API's answer to the sign-in of {Username} holds no token");
        _session = new Session(secret, now, token);
        return token;
    }

    private string Refuse(string secret, string cause)
    {
        (_session, _refusal) = (null, new Refusal(secret, time.GetUtcNow(), cause));
        return cause;
    }

    private static void DemandAbout(JsonElement settings, string organization, string what)
    {
        if (settings.ValueKind == JsonValueKind.Object
            && Names.Any(name => settings.TryGetProperty(name, out var named) && named.ValueKind == JsonValueKind.String && !organization.Equals(named.GetString(), StringComparison.OrdinalIgnoreCase)))
            throw new FollowException($"the Hub API's answer for {what} is about another organization");
    }

    private static HubSwitches SwitchesOf(JsonElement settings, string what)
    {
        if (settings.ValueKind != JsonValueKind.Object || !settings.TryGetProperty("restricted_images", out var images) || images.ValueKind != JsonValueKind.Object)
            throw new FollowException($"the Hub API's answer for {what} has no restricted_images");
        return new HubSwitches(Flag("enabled"), Flag("allow_official_images"), Flag("allow_verified_publishers"));

        bool Flag(string name) => FlagOf(images, name, $"restricted_images.{name}", what);
    }

    /// <exception cref="FollowException">Docker Hub itself is refused, which restricted_images is for, or something is no registry: what it would open or close nobody knows.</exception>
    private static RegistriesDocument RegistriesOf(JsonElement settings, string what)
    {
        if (settings.ValueKind != JsonValueKind.Object)
            throw new FollowException($"the Hub API's answer for {what} is not an object");
        var isEnabled = FlagOf(settings, "enabled", "enabled", what);
        var standard = ListOf(settings, "standard_registries", what);
        if (isEnabled && standard.Any(one => one.TryGetProperty("id", out var id) && id.ValueEquals("DockerHub") && !FlagOf(one, "allowed", "allowed of DockerHub", what)))
            throw new FollowException($"the Hub API's answer for {what} refuses Docker Hub itself, which cannot be followed: switch its images off in restricted_images");
        return new RegistriesDocument { Enabled = isEnabled, Custom = [.. ListOf(settings, "custom_registries", what).Select(one => RegistryOf(one, what))] };
    }

    private static RegistryDocument RegistryOf(JsonElement registry, string what)
    {
        var address = registry.TryGetProperty("address", out var written) && written.ValueKind == JsonValueKind.String ? written.GetString()! : "";
        if (!RegistryPattern.TryParse(address, out _))
            throw new FollowException($"the Hub API's answer for {what} names '{PrintableText.Of(address)}', which is not a registry, as ghcr.io, *.example.com or registry.example.com:5000");
        var name = registry.TryGetProperty("friendly_name", out var friendly) && friendly.ValueKind == JsonValueKind.String ? friendly.GetString() : null;
        return new RegistryDocument(
            address, name is not null && PrintableText.FaultOf(name, RegistryDocument.MaximumName) is null ? name : null, FlagOf(registry, "allowed", $"allowed of {address}", what));
    }

    private static List<JsonElement> ListOf(JsonElement settings, string name, string what)
    {
        if (!settings.TryGetProperty(name, out var list) || list.ValueKind != JsonValueKind.Array || list.EnumerateArray().Any(one => one.ValueKind != JsonValueKind.Object))
            throw new FollowException($"the Hub API's answer for {what} has no {name}, a list of objects");
        if (list.GetArrayLength() > RegistriesDocument.Maximum)
            throw new FollowException(string.Create(CultureInfo.InvariantCulture, $"the Hub API's answer for {what} has {list.GetArrayLength()} {name}, and may have {RegistriesDocument.Maximum}"));
        return [.. list.EnumerateArray()];
    }

    private static bool FlagOf(JsonElement element, string member, string name, string what) =>
        element.TryGetProperty(member, out var flag) && flag.ValueKind is JsonValueKind.True or JsonValueKind.False
            ? flag.ValueKind == JsonValueKind.True
            : throw new FollowException($"the Hub API's answer for {what} does not say {name} as true or false");

    private sealed record Session(string Secret, DateTimeOffset Since, string Token);

    private sealed record Refusal(string Secret, DateTimeOffset At, string Cause);
}

/// <summary>Docker Hub's own switches could not be read; the message says why, in words fit for a log: no secret, nothing of the answer.</summary>
internal sealed class FollowException(string message) : Exception(message)
{
    /// <summary>The Hub API asks us to back off until then.</summary>
    public DateTimeOffset? RetryAt { get; init; }
}
