using System.Collections.Frozen;
using ImageAccess.Core.Oci;

namespace ImageAccess.Core.Policies;

/// <summary>The exceptions that were granted and not ended: an immutable snapshot, which is looked up by organization and repository.</summary>
public sealed class Exceptions
{
    /// <summary>How many there may be.</summary>
    public const int Maximum = 10_000;

    private readonly FrozenDictionary<(string Organization, string Name), GrantedException[]> _wholes;
    private readonly FrozenDictionary<(string Organization, string Repository), GrantedException[]> _parts;

    /// <param name="exceptions">Those that count, by whichever instant they end.</param>
    /// <param name="version">The sequence of the last change; 0 where there was none.</param>
    /// <exception cref="ArgumentException">There are too many, two have the same number, or one says not what it opens.</exception>
    public Exceptions(IReadOnlyCollection<GrantedException> exceptions, long version)
    {
        if (exceptions.Count > Maximum || exceptions.DistinctBy(exception => exception.Id).Count() < exceptions.Count)
            throw new ArgumentException("There are too many exceptions, or two with the same number.", nameof(exceptions));
        if (exceptions.FirstOrDefault(exception => !IsSound(exception)) is { } unsound)
            throw new ArgumentException($"The exception {unsound.Id} for {unsound.Pattern} does not say what it opens.", nameof(exceptions));
        All = [.. exceptions.OrderBy(exception => exception.Id)];
        Version = version;
        _wholes = Group(All.Where(exception => !exception.IsPart), exception => exception.Pattern.Asked?.Repository.Value ?? $"{exception.Pattern.Namespace}/*");
        _parts = Group(All.Where(exception => exception.IsPart), exception => exception.Pattern.Asked!.Value.Repository.Value);
    }

    public static Exceptions None { get; } = new([], 0);

    public int Count => All.Count;

    /// <summary>By their numbers.</summary>
    public IReadOnlyList<GrantedException> All { get; }

    /// <summary>The sequence of the last change.</summary>
    public long Version { get; }

    /// <summary>One that opens the whole repository, or its namespace, to an organization; null where none does.</summary>
    internal GrantedException? FindWhole(string organization, RepositoryName repository, ExceptionsDocument document, DateTimeOffset now)
    {
        if (_wholes.Count == 0)
            return null;
        return Find(repository.Value) ?? Find($"{repository.Namespace}/*");

        GrantedException? Find(string name) =>
            _wholes.TryGetValue((organization, name), out var found) ? Array.Find(found, exception => exception.Holds(document, now)) : null;
    }

    /// <summary>Those that open an image of the repository to an organization. By a tag only those for that tag.</summary>
    internal IReadOnlyList<GrantedException> FindParts(string organization, Asked asked, ExceptionsDocument document, DateTimeOffset now) =>
        _parts.TryGetValue((organization, asked.Repository.Value), out var found)
            ? Array.FindAll(found, exception => exception.Holds(document, now) && (asked.Tag is not { } tag || exception.Tag?.Value == tag.Value))
            : [];

    /// <summary>A bare digest names no repository; only a tag has a digest beside it, or is followed; and it has the one or the other.</summary>
    private static bool IsSound(GrantedException exception) => exception.Tag is not null
        ? exception.Follow || exception.Approved is not null
        : !exception.Follow && (exception.Approved is null || exception.Approved.Equals(exception.Pattern.Asked?.Digest))
            && (exception.Pattern.Asked is not null || exception.Pattern.Namespace is not null);

    private static FrozenDictionary<(string, string), GrantedException[]> Group(IEnumerable<GrantedException> exceptions, Func<GrantedException, string> name) =>
        exceptions.GroupBy(exception => (exception.Organization, name(exception))).ToFrozenDictionary(group => group.Key, group => group.ToArray());
}
