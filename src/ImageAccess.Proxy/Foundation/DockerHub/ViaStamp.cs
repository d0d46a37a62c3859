using System.Security.Cryptography;
using Microsoft.Extensions.Primitives;

namespace ImageAccess.Proxy.Foundation.DockerHub;

/// <summary>
/// This process's entry in <c>Via</c> (RFC 9110, section 7.6.3), on everything that it sends: by it the proxy knows a request that
/// came back to it, because the names that it asks lead to itself.
/// </summary>
public sealed class ViaStamp
{
    public const string Header = "Via";

    private readonly string _pseudonym = $"imageaccess-{RandomNumberGenerator.GetHexString(16, lowercase: true)}";

    private int _told;

    public ViaStamp() => Entry = $"1.1 {_pseudonym}";

    /// <summary><c>1.1 imageaccess-…</c></summary>
    public string Entry { get; }

    /// <summary>Whether these headers have passed this process.</summary>
    public bool IsIn(StringValues via)
    {
        foreach (var value in via)
        {
            if (value?.Contains(_pseudonym, StringComparison.Ordinal) == true)
                return true;
        }

        return false;
    }

    /// <summary>Whether it is the first time that this is asked: every request of a loop comes back, and one line tells of all.</summary>
    public bool TellOnce() => Interlocked.Exchange(ref _told, 1) == 0;

    internal HttpMessageHandler On(HttpMessageHandler handler) => new Stamping(this) { InnerHandler = handler };

    private sealed class Stamping(ViaStamp stamp) : DelegatingHandler
    {
        protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            request.Headers.TryAddWithoutValidation(Header, stamp.Entry);
            return base.SendAsync(request, cancellationToken);
        }
    }
}
