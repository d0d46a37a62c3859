using Microsoft.AspNetCore.DataProtection.KeyManagement;

namespace ImageAccess.Proxy.Foundation.Database.Keys;

/// <summary>Data protection's own, whose key ring is also made anew when another process has made a key.</summary>
internal sealed class SharedKeyManager(XmlKeyManager own, KeyStore store) : IKeyManager
{
    public IKey CreateNewKey(DateTimeOffset activationDate, DateTimeOffset expirationDate) => own.CreateNewKey(activationDate, expirationDate);

    public IReadOnlyCollection<IKey> GetAllKeys() => own.GetAllKeys();

    public CancellationToken GetCacheExpirationToken() => CancellationTokenSource.CreateLinkedTokenSource(own.GetCacheExpirationToken(), store.Changed).Token;

    public void RevokeKey(Guid keyId, string? reason = null) => own.RevokeKey(keyId, reason);

    public void RevokeAllKeys(DateTimeOffset revocationDate, string? reason = null) => own.RevokeAllKeys(revocationDate, reason);
}
