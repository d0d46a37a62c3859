using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Foundation.Database.Keys;
using ImageAccess.Proxy.Foundation.Files;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Administration.Usage;

/// <summary>
/// Who was forgotten, and up to when: by a hash under the key outside the database, so that audit files that are read again do not bring a name back, and
/// nobody who has the database alone can try names.
/// </summary>
internal sealed class ForgottenCallers
{
    /// <summary>What stands in the place of a name. No name has parentheses.</summary>
    public const string Replacement = "(forgotten)";

    private readonly KeyFile _key;
    private readonly Dictionary<string, long> _until;
    private readonly Dictionary<string, long> _known = new(StringComparer.Ordinal);

    /// <param name="until">For each hash the last moment, in milliseconds since 1970.</param>
    /// <exception cref="DatabaseException">Somebody was forgotten under another key: their names would come back.</exception>
    public ForgottenCallers(KeyFile key, Dictionary<string, long> until)
    {
        (_key, _until) = (key, until);
        if (until.Count == 0)
            return;
        var prefix = Open(key) + ":";
        if (until.Keys.Any(hash => !hash.StartsWith(prefix, StringComparison.Ordinal)))
            throw new DatabaseException($"has callers that were forgotten under another key than {key.Path}: put that key back, or name it with {KeyFile.Setting}");
    }

    /// <summary>The name as a decision has it.</summary>
    public static string Name(string caller) => PrintableText.Seen(PrintableText.Cut(caller, UsageEvent.MaximumCaller));

    /// <exception cref="DatabaseException">The key cannot be read.</exception>
    public static string Hash(KeyFile key, string caller)
    {
        var fingerprint = Open(key);
        return $"{fingerprint}:{Convert.ToHexStringLower(HMACSHA256.HashData(key.Derive("forgotten callers"), Encoding.UTF8.GetBytes(caller)))}";
    }

    /// <summary>The decision without name and address, where the caller was forgotten after it.</summary>
    public UsageEvent Of(UsageEvent decision) =>
        _until.Count > 0 && decision.Time <= UntilOf(decision.Caller) ? decision with { Caller = Replacement, Client = null } : decision;

    private static string Open(KeyFile key)
    {
        try
        {
            if (!key.IsOpen && key.Open() is { } cause)
                throw new DatabaseException(string.Create(CultureInfo.InvariantCulture, $"has callers that are forgotten, and {key.Path}, which tells them, cannot be made: {cause}"));
            return key.Fingerprint;
        }
        catch (OptionsValidationException exception)
        {
            throw new DatabaseException($"has callers that are forgotten, and the key that tells them cannot be used: {exception.Message}");
        }
    }

    private long UntilOf(string caller)
    {
        if (!_known.TryGetValue(caller, out var until))
            _known[caller] = until = _until.GetValueOrDefault(Hash(_key, caller), long.MinValue);
        return until;
    }
}

/// <summary>What was forgotten of somebody.</summary>
/// <param name="Decisions">Single ones that had the name.</param>
/// <param name="Days">Days whose counts had it.</param>
internal sealed record UsageForgotten(long Decisions, int Days);
