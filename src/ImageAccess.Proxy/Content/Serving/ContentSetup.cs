using ImageAccess.Proxy.Content.Upstream;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Content.Serving;

public static class ContentSetup
{
    /// <summary>What is served from where. It needs <see cref="Cache.IContentStore"/> and <see cref="Cache.ILinkStore"/>.</summary>
    public static IServiceCollection AddContent(this IServiceCollection services, IConfiguration configuration)
    {
        services.AddOptions<ContentOptions>().Bind(configuration.GetSection("Cache")).ValidateOnStart();
        services.AddSingleton<IValidateOptions<ContentOptions>, ContentOptionsValidator>();
        services.AddSingleton<ContentMetrics>();
        services.AddSingleton<Fills>();
        services.AddHostedService(provider => provider.GetRequiredService<Fills>());
        services.AddSingleton<FillReader>();
        services.AddSingleton<PartialReads>();
        services.AddSingleton<BlobFetch>();
        services.AddSingleton<ContentRelay>();
        services.AddSingleton<ContentLinks>();
        services.AddSingleton<ManifestLinks>();
        services.AddSingleton<KeptImages>();
        services.AddSingleton<Forgetting>();
        services.AddSingleton<BlockedContent>();
        services.AddHostedService(provider => provider.GetRequiredService<BlockedContent>());
        services.AddSingleton<ManifestDownload>();
        services.AddSingleton<ImageParts>();
        services.AddSingleton<FollowedTags>();
        services.AddSingleton<ApprovedImages>();
        services.AddSingleton<ManifestFetch>();
        services.AddSingleton<Revalidation>();
        services.AddSingleton<ManifestServer>();
        services.AddSingleton<BlobServer>();
        services.AddSingleton(provider => new ContentServer(
            provider.GetRequiredService<ManifestServer>(),
            provider.GetRequiredService<BlobServer>(),
            provider.GetRequiredService<ApprovedImages>(),
            provider.GetRequiredService<UpstreamRelay>(),
            provider.GetRequiredService<UpstreamWrites>()));
        return services;
    }
}
