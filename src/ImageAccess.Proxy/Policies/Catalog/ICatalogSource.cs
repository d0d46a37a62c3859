using ImageAccess.Core.Classification;

namespace ImageAccess.Proxy.Policies.Catalog;

/// <summary>Somebody who knows what a namespace is.</summary>
public interface ICatalogSource
{
    /// <summary>What is at hand without asking anybody, on every lookup and before what is remembered; null where nothing is.</summary>
    NamespaceRecord? Find(string @namespace);

    /// <summary>Asks; the answer is remembered. Null where this source has nothing to say.</summary>
    /// <param name="namespace">The namespace.</param>
    /// <param name="caller">On whose behalf: callers wait in turns.</param>
    /// <exception cref="CatalogException">The source could not answer.</exception>
    Task<CatalogAnswer?> AskAsync(string @namespace, string caller, CancellationToken cancellationToken);
}

/// <summary>A record, and until when nobody needs to ask again.</summary>
public sealed record CatalogAnswer(NamespaceRecord Record, DateTimeOffset FreshUntil);

/// <summary>A source could not answer; the message says why, in words fit for a log.</summary>
public sealed class CatalogException(string message, Exception? cause = null) : Exception(message, cause)
{
    /// <summary>The source itself fails, and may not at the next try.</summary>
    public bool IsTransient { get; init; }
}
