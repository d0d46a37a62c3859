using Microsoft.Extensions.Internal;

namespace ImageAccess.Proxy.Foundation.Limits;

/// <summary>The house's clock for a <see cref="Microsoft.Extensions.Caching.Memory.MemoryCache"/>, which takes no <see cref="TimeProvider"/>.</summary>
internal sealed class CacheClock(TimeProvider time) : ISystemClock
{
    public DateTimeOffset UtcNow => time.GetUtcNow();
}
