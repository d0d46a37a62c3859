using System.Net;
using System.Text.Json;
using ImageAccess.Core.Classification;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Catalog;

/// <summary>Docker Hub's own word: the badge in <c>GET /v2/orgs/NAMESPACE/</c>, asked without credentials.</summary>
public sealed class HubCatalogSource(IHttpClientFactory clients, IOptions<CatalogOptions> options, TimeProvider time) : ICatalogSource
{
    public const string ClientName = "hub-api";

    /// <summary>What an answer may measure, in bytes.</summary>
    private const int MaximumAnswer = 64 * 1024;

    public async Task<NamespaceRecord> FindAsync(string @namespace, CancellationToken cancellationToken)
    {
        try
        {
            using var client = clients.CreateClient(ClientName);
            using var response = await client.GetAsync(
                new Uri(options.Value.Hub, $"/v2/orgs/{@namespace}/"), HttpCompletionOption.ResponseHeadersRead, cancellationToken);
            switch (response.StatusCode)
            {
                case HttpStatusCode.PermanentRedirect or HttpStatusCode.MovedPermanently: // a personal account
                case HttpStatusCode.NotFound:
                    return Record(@namespace, NamespaceBadge.None);
                case HttpStatusCode.OK:
                    await response.Content.LoadIntoBufferAsync(MaximumAnswer, cancellationToken);
                    return Record(@namespace, ReadBadge(await response.Content.ReadAsByteArrayAsync(cancellationToken), @namespace));
                default:
                    throw new CatalogException($"the Hub API answered {(int)response.StatusCode} for {@namespace}");
            }
        }
        catch (Exception exception) when (exception is HttpRequestException or JsonException or InvalidOperationException) // the last: half of a surrogate pair
        {
            throw new CatalogException($"the Hub API could not be read for {@namespace}: {exception.Message}", exception);
        }
    }

    private NamespaceRecord Record(string @namespace, NamespaceBadge badge) => new(@namespace, badge, "hub", time.GetUtcNow());

    /// <summary>A badge that nobody knows is no badge; an answer about somebody else is none at all.</summary>
    private static NamespaceBadge ReadBadge(ReadOnlyMemory<byte> body, string @namespace)
    {
        using var json = JsonDocument.Parse(body);
        if (json.RootElement.ValueKind != JsonValueKind.Object
            || !json.RootElement.TryGetProperty("orgname", out var name)
            || name.ValueKind != JsonValueKind.String
            || name.GetString() != @namespace)
            throw new CatalogException($"the Hub API's answer is not about {@namespace}");

        var badge = json.RootElement.TryGetProperty("badge", out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;
        return badge switch
        {
            "verified_publisher" => NamespaceBadge.VerifiedPublisher,
            "open_source" => NamespaceBadge.OpenSource,
            _ => NamespaceBadge.None,
        };
    }
}
