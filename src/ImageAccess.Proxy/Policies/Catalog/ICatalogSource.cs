using ImageAccess.Core.Classification;
using ImageAccess.Proxy.Foundation.Limits;

namespace ImageAccess.Proxy.Policies.Catalog;

/// <summary>A source of records about namespaces.</summary>
public interface ICatalogSource
{
    /// <summary>A record that needs no question. It is looked up first each time, and counts before what is remembered. Null where there is none.</summary>
    NamespaceRecord? Find(string @namespace);

    /// <summary>Asks; the catalog remembers the answer. Null where this source never knows.</summary>
    /// <param name="namespace">The namespace.</param>
    /// <param name="caller">On whose behalf: callers wait in turns.</param>
    /// <exception cref="CatalogException">The source could not answer.</exception>
    Task<CatalogAnswer?> AskAsync(string @namespace, ClientShare caller, CancellationToken cancellationToken);
}

/// <summary>A record, and its time to live.</summary>
public sealed record CatalogAnswer(NamespaceRecord Record, DateTimeOffset FreshUntil)
{
    /// <summary>False where the source has said that there is no such namespace.</summary>
    public bool Exists { get; init; } = true;
}

/// <summary>A source could not answer; the message says why, in words fit for a log.</summary>
public sealed class CatalogException(string message, Exception? cause = null) : Exception(message, cause)
{
    /// <summary>A retry may succeed.</summary>
    public bool IsTransient { get; init; }
}
