using ImageAccess.Core.Oci;
using ImageAccess.Proxy.Foundation.DockerHub;

namespace ImageAccess.Proxy.Content.Upstream;

/// <summary>Upstream answered what must not be passed on. The message names no credential and no query.</summary>
/// <param name="message">What the client and the log are told.</param>
/// <param name="where">What the log alone is told besides: the host, and the key to look at.</param>
internal sealed class UpstreamException(string message, string where = "") : Exception(message)
{
    public string Where => where;
}

/// <summary>Upstream has no answer that may be passed on.</summary>
internal sealed class UpstreamFailedException : Exception
{
    /// <param name="error">What to tell the client.</param>
    /// <param name="cause">What went wrong.</param>
    public UpstreamFailedException(RegistryError error, Exception cause)
        : this(error, cause, cause.GetBaseException().Message)
    {
    }

    /// <param name="cause">What went wrong.</param>
    /// <param name="where">Who failed, where the cause does not name it: what follows it in a sentence.</param>
    public UpstreamFailedException(Exception cause, string where)
        : this(ErrorOf(cause), cause, CauseOf(cause, where))
    {
    }

    private UpstreamFailedException(RegistryError error, Exception inner, string cause)
        : base(error.Message, inner)
    {
        (Error, Cause) = (error, cause);
    }

    /// <summary>What to tell the client.</summary>
    public RegistryError Error { get; }

    /// <summary>What went wrong, for the log.</summary>
    public string Cause { get; }

    private static string CauseOf(Exception cause, string where) => cause switch
    {
        UnreachedException { Failure: var failure } => failure.Cause,
        UpstreamException { Where.Length: > 0 } told => told.Message + told.Where,
        _ => cause.GetBaseException().Message + where,
    };

    private static RegistryError ErrorOf(Exception cause) => cause switch
    {
        UnreachedException { Failure: { IsTimeout: true } failure } => new RegistryError(504, "UNAVAILABLE", failure.Explain("Docker Hub did not answer in time")),
        UnreachedException { Failure: var failure } => new RegistryError(502, "UNAVAILABLE", failure.Explain("Docker Hub could not be reached")),
        OperationCanceledException or StalledException => new RegistryError(504, "UNAVAILABLE", "Docker Hub did not answer in time"),
        UpstreamException or UnreadableAnswerException => new RegistryError(502, "UNAVAILABLE", cause.Message),
        _ => new RegistryError(502, "UNAVAILABLE", "Docker Hub could not be reached"),
    };
}
