using ImageAccess.Core.Classification;
using ImageAccess.Core.Oci;
using ImageAccess.Proxy.Policies.Catalog;
using ImageAccess.Proxy.Policies.Decisions;

namespace ImageAccess.Proxy.Tools.Verbs;

/// <summary>The pulls of Docker Hub's own usage report: all of them happened, so each was allowed.</summary>
/// <param name="organization">Whose members its users are; null where the policy's document alone tells.</param>
internal sealed class DockerUsagePulls(RecordsOnDisk catalog, string? organization, DateTimeOffset? since, int maximum = DockerUsagePulls.MaximumKinds) : IPulls
{
    /// <summary>How many pairs of a user and a repository are kept in memory.</summary>
    public const int MaximumKinds = 500_000;

    private readonly Dictionary<Pull, long> _requests = [];
    private DockerUsageReport? _report;

    public string? Organization => organization;

    public IReadOnlyDictionary<Pull, long> Requests => _requests;

    public PullSource Source => PullSource.UsageReport;

    public string? NotInDatabase => null;

    public long Malformed => _report?.Malformed ?? 0;

    public IReadOnlyList<string> Flawed => _report?.Flawed ?? [];

    public long Unnamed => 0;

    public long Beyond { get; private set; }

    public DateTimeOffset? First { get; private set; }

    public DateTimeOffset? Last { get; private set; }

    /// <exception cref="MisuseException">The file cannot be read, or has no such columns.</exception>
    public async Task ReadAsync(string path, ProgressLine progress, CancellationToken cancellationToken) =>
        _report = await DockerUsageReport.ReadAsync(path, needsAddresses: false, Take, progress, cancellationToken);

    public PublisherFacts PublisherOf(RepositoryName repository) => catalog.Find(repository);

    private void Take(DockerUsageRow row)
    {
        if (row.Requests == 0 || row.Time < since)
            return;
        var isSignedIn = row.User is not ("" or "anonymous");
        var pull = new Pull(isSignedIn ? row.User : "anonymous", isSignedIn && organization is not null ? $"member of {organization}" : "", row.Repository.Value, "allow");
        if (_requests.TryGetValue(pull, out var requests))
        {
            _requests[pull] = requests + row.Requests;
        }
        else if (_requests.Count < maximum)
        {
            _requests.Add(pull, row.Requests);
        }
        else
        {
            Beyond += row.Requests;
            return;
        }

        First = First is { } first && first < row.Time ? first : row.Time;
        Last = Last is { } last && last > row.Time ? last : row.Time;
    }
}
