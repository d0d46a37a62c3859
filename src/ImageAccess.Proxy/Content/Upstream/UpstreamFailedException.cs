using ImageAccess.Core.Oci;

namespace ImageAccess.Proxy.Content.Upstream;

/// <summary>Upstream answered what must not be passed on. The message names no credential and no query.</summary>
internal sealed class UpstreamException(string message) : Exception(message);

/// <summary>Upstream has no answer that may be passed on.</summary>
internal sealed class UpstreamFailedException(RegistryError error, Exception cause) : Exception(error.Message, cause)
{
    public UpstreamFailedException(Exception cause)
        : this(Describe(cause), cause)
    {
    }

    /// <summary>What to tell the client.</summary>
    public RegistryError Error => error;

    /// <summary>What went wrong, for the log.</summary>
    public string Cause => InnerException!.GetBaseException().Message;

    private static RegistryError Describe(Exception cause) => cause switch
    {
        OperationCanceledException or StalledException => new RegistryError(504, "UNAVAILABLE", "Docker Hub did not answer in time"),
        UpstreamException => new RegistryError(502, "UNAVAILABLE", cause.Message),
        _ => new RegistryError(502, "UNAVAILABLE", "Docker Hub could not be reached"),
    };
}
