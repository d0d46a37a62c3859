using System.Text.Json;
using ImageAccess.Proxy.Administration.Api;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Foundation.Files;
using ImageAccess.Proxy.Policies.Store;

namespace ImageAccess.Proxy.Tools.Verbs;

/// <summary>The policy document of a proxy elsewhere, or one organization's section of it.</summary>
internal sealed class ServerPolicy(ServerApi api, string? organization)
{
    private readonly string _path = organization is null ? "policy" : $"organizations/{ServerApi.Segment(organization)}/policy";

    /// <summary>What is in force, or an earlier version.</summary>
    /// <inheritdoc cref="ServerApi.GetAsync"/>
    public Task<ServedDocument> FindAsync(string? version, CancellationToken cancellationToken) =>
        api.GetDocumentAsync(version is null ? _path : PathOf(version), cancellationToken);

    /// <summary>The organizations of the document, or the one of the section, that follow Docker Hub's own switches, with these as they hold there.</summary>
    /// <inheritdoc cref="ServerApi.GetAsync"/>
    public async Task<IReadOnlyList<(string Organization, FollowedFacts Facts)>> FollowedAsync(ReadOnlyMemory<byte> document, CancellationToken cancellationToken)
    {
        var following = organization is null
            ? PolicyOnDisk.Parse(FileReading.Found(document)).Value?.Document.Organizations.Where(one => one.FollowsDockerHub).Select(one => one.Name) ?? []
            : Follows(document) ? [organization] : [];
        var found = new List<(string, FollowedFacts)>();
        foreach (var name in following)
        {
            if ((await api.GetAsync<ImageAccessFacts>($"organizations/{ServerApi.Segment(name)}/image-access", cancellationToken)).Followed is { } facts)
                found.Add((name, facts));
        }

        return found;
    }

    /// <summary>The newest versions, the newest of all first; without their documents.</summary>
    /// <inheritdoc cref="ServerApi.GetAsync"/>
    public async Task<IReadOnlyList<PolicyVersionRow>> ListAsync(int count, CancellationToken cancellationToken) =>
        [.. (await api.ListAsync<VersionFacts>($"{_path}/versions", count, cancellationToken)).Select(version => version.ToRow())];

    /// <summary>Changes it: what is there now, unless it is said what was there.</summary>
    /// <inheritdoc cref="ServerApi.GetAsync"/>
    public async Task<ChangedPolicy> ApplyAsync(ReadOnlyMemory<byte> document, string? unchanged, Because because, CancellationToken cancellationToken) => await api.PutAsync<ChangedPolicy>(
        _path + RunningProxy.Query(("reason", because.Reason), ("ticket", because.Ticket)),
        document,
        unchanged ?? (await FindAsync(version: null, cancellationToken)).Tag,
        cancellationToken);

    /// <summary>Goes back to an earlier version.</summary>
    /// <inheritdoc cref="ServerApi.GetAsync"/>
    public Task<ChangedPolicy> RevertAsync(string version, string? unchanged, Because because, CancellationToken cancellationToken) =>
        api.PostAsync<ChangedPolicy>($"{PathOf(version)}/revert", because, cancellationToken, unchanged);

    private static bool Follows(ReadOnlyMemory<byte> section)
    {
        try
        {
            using var json = JsonDocument.Parse(section);
            return json.RootElement.ValueKind == JsonValueKind.Object && json.RootElement.TryGetProperty("follow", out _);
        }
        catch (JsonException)
        {
            return false;
        }
    }

    private string PathOf(string version) => $"{_path}/versions/{ServerApi.Segment(version)}";
}
