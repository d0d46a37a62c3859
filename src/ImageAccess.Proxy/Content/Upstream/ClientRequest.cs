using ImageAccess.Core.Policies;
using Microsoft.Net.Http.Headers;

namespace ImageAccess.Proxy.Content.Upstream;

/// <summary>A client's request as it reaches the content: the exchange itself, the proof that it is allowed, and how the client reaches this proxy.</summary>
/// <param name="Http">The exchange with the client.</param>
/// <param name="Permit">The proof that the policy allows it.</param>
/// <param name="Origin">Scheme and authority under which the client reaches this proxy.</param>
/// <param name="Realm">The address of the token endpoint that replaces the realm in a challenge of upstream.</param>
internal sealed record ClientRequest(HttpContext Http, Permit Permit, string Origin, string Realm)
{
    public bool IsHead => HttpMethods.IsHead(Http.Request.Method);

    public IHeaderDictionary Headers => Http.Request.Headers;

    /// <summary>The client's headers for a question that the client did not ask: with these media types.</summary>
    public IHeaderDictionary HeadersAccepting(string mediaTypes) =>
        new HeaderDictionary(Headers.ToDictionary(StringComparer.OrdinalIgnoreCase)) { [HeaderNames.Accept] = mediaTypes };

    /// <summary>The client has left.</summary>
    public CancellationToken Aborted { get; } = Http.RequestAborted;
}
