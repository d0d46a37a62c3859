using ImageAccess.Core.Classification;

namespace ImageAccess.Proxy.Catalog;

/// <summary>Somebody who knows what a namespace is.</summary>
public interface ICatalogSource
{
    /// <exception cref="CatalogException">The source could not answer.</exception>
    Task<NamespaceRecord> FindAsync(string @namespace, CancellationToken cancellationToken);
}

/// <summary>A source could not answer; the message says why, in words fit for a log.</summary>
public sealed class CatalogException(string message, Exception? cause = null) : Exception(message, cause);
