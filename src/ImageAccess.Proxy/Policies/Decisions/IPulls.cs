using ImageAccess.Core.Classification;
using ImageAccess.Core.Oci;

namespace ImageAccess.Proxy.Policies.Decisions;

/// <summary>Pulls that happened, each kind once with its count: those of an audit trail, or of a report of Docker Hub.</summary>
internal interface IPulls
{
    IReadOnlyDictionary<Pull, long> Requests { get; }

    PullSource Source { get; }

    /// <summary>Why they were not read in the database, where that was tried; else null.</summary>
    string? NotInDatabase { get; }

    /// <summary>Lines that could not be read.</summary>
    long Malformed { get; }

    /// <summary>Denials without a repository.</summary>
    long Unnamed { get; }

    /// <summary>Requests of further kinds than are kept in memory.</summary>
    long Beyond { get; }

    DateTimeOffset? First { get; }

    DateTimeOffset? Last { get; }

    /// <summary>What is known about the publisher.</summary>
    PublisherFacts PublisherOf(RepositoryName repository);
}
