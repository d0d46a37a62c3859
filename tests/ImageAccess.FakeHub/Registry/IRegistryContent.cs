namespace ImageAccess.FakeHubs;

/// <summary>Where the registry face's content is: in memory, or in a real registry process.</summary>
internal interface IRegistryContent
{
    ValueTask<bool> HasRepositoryAsync(string repository, CancellationToken cancel);

    ValueTask<IReadOnlyList<string>> RepositoriesAsync(CancellationToken cancel);

    /// <summary>Answers a request that the caller's token covers.</summary>
    Task ServeAsync(HttpContext http, RegistryTarget target, TokenGrant grant);

    /// <summary>Answers a CDN request whose signature was right.</summary>
    Task ServeBlobAsync(HttpContext http, string digest);

    Task PushAsync(string repository, string tag, BuiltImage image, CancellationToken cancel);
}
