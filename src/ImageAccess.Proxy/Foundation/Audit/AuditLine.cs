using System.Buffers;
using System.Globalization;
using System.Net;
using System.Text.Json;
using ImageAccess.Core.Classification;
using ImageAccess.Core.Hosts;
using ImageAccess.Core.Policies;

namespace ImageAccess.Proxy.Foundation.Audit;

/// <summary>
/// An event as one line of JSON. The names and their order are a contract. Text is cut, and everything that is not
/// printable ASCII is escaped: no line breaks, no control or bidirectional characters reach a terminal.
/// </summary>
internal sealed class AuditLine(IBufferWriter<byte> output) : IDisposable
{
    /// <summary>The length, in characters, at which text is cut.</summary>
    public const int MaximumText = 256;

    /// <summary>What a policy opened is listed up to here, and the rest counted.</summary>
    public const int MaximumOpens = 200;

    /// <summary>Memberships of a caller that are listed.</summary>
    public const int MaximumMemberships = 32;

    private readonly Utf8JsonWriter _json = new(output, new JsonWriterOptions { SkipValidation = true });

    public static string Cut(string text)
    {
        if (text.Length <= MaximumText)
            return text;
        return char.IsHighSurrogate(text[MaximumText - 1]) ? text[..(MaximumText - 1)] : text[..MaximumText];
    }

    public void Write(AuditEvent audit)
    {
        _json.Reset();
        _json.WriteStartObject();
        _json.WriteString("id"u8, audit.Id);
        WriteTime(audit.Time);
        switch (audit)
        {
            case AccessEvent access:
                WriteAccess(access);
                break;
            case PolicyEvent policy:
                WritePolicy(policy);
                break;
            case AccountEvent account:
                WriteAccount(account);
                break;
            case TagEvent tag:
                WriteTag(tag);
                break;
            case ConnectionEvent connection:
                WriteConnection(connection);
                break;
        }

        _json.WriteEndObject();
        _json.Flush();
        output.Write("\n"u8);
    }

    public void Dispose() => _json.Dispose();

    private void WriteAccess(AccessEvent access)
    {
        var decision = access.Decision;
        var classification = decision.Classification;
        WriteText("caller"u8, access.Caller?.DisplayName);
        _json.WriteStartArray("organizations"u8);
        foreach (var organization in decision.Organizations)
            _json.WriteStringValue(Cut(organization));
        _json.WriteEndArray();
        WriteMemberships(access.Caller?.Memberships ?? []);
        WriteAddress("client"u8, access.Client);
        WriteText("userAgent"u8, access.UserAgent);
        WriteText("method"u8, access.Method);
        WriteText("repository"u8, access.Repository?.Value);
        WriteText("reference"u8, access.Request?.Subject);
        WriteText("category"u8, classification.Category.ToWireName());
        WriteText("categorySource"u8, classification.Source);
        if (classification.ReadAt is { } readAt)
            _json.WriteNumber("categoryAgeSeconds"u8, (long)Math.Max(0, (access.Time - readAt).TotalSeconds));
        else
            _json.WriteNull("categoryAgeSeconds"u8);
        WriteText("rule"u8, decision.Rule);
        WriteText("outcome"u8, decision.Outcome.ToWireName());
        WriteText("policyVersion"u8, access.PolicyVersion);
        if (access.UpstreamStatus is { } status)
            _json.WriteNumber("upstreamStatus"u8, status);
        else
            _json.WriteNull("upstreamStatus"u8);
        _json.WriteNumber("durationMs"u8, Math.Round(access.Duration.TotalMilliseconds, 1));
        if (access.Source is not null)
            WriteText("source"u8, access.Source);
    }

    /// <summary>What a token or a directory says of the caller, beside the policy's own lists; left out where they say nothing.</summary>
    private void WriteMemberships(IReadOnlyList<Membership> memberships)
    {
        if (memberships.Count == 0)
            return;
        _json.WriteStartArray("memberships"u8);
        foreach (var membership in memberships.Take(MaximumMemberships))
            _json.WriteStringValue(Cut($"{(membership.Role == OrganizationRole.Owner ? "owner" : "member")} of {membership.Organization}"));
        _json.WriteEndArray();
    }

    private void WritePolicy(PolicyEvent policy)
    {
        _json.WriteString("event"u8, "policy"u8);
        WriteText("policyVersion"u8, policy.Version);
        WriteText("previousVersion"u8, policy.PreviousVersion);
        _json.WriteStartArray("opens"u8);
        foreach (var opened in policy.Opens.Take(MaximumOpens))
            _json.WriteStringValue(Cut(opened));
        if (policy.Opens.Count > MaximumOpens)
            _json.WriteStringValue(string.Create(CultureInfo.InvariantCulture, $"and {policy.Opens.Count - MaximumOpens} more"));
        _json.WriteEndArray();
    }

    private void WriteAccount(AccountEvent account)
    {
        _json.WriteString("event"u8, "account"u8);
        WriteText("caller"u8, account.Caller);
        WriteText("account"u8, account.Account);
        WriteText("formerAccount"u8, account.FormerAccount);
    }

    private void WriteTag(TagEvent tag)
    {
        _json.WriteString("event"u8, "tag"u8);
        WriteText("repository"u8, tag.Repository);
        WriteText("tag"u8, tag.Tag);
        WriteText("formerDigest"u8, tag.FormerDigest);
        WriteText("digest"u8, tag.Digest);
    }

    private void WriteConnection(ConnectionEvent connection)
    {
        _json.WriteString("event"u8, "connection"u8);
        WriteText("face"u8, connection.WayIn);
        WriteAddress("client"u8, connection.Client);
        WriteText("user"u8, connection.User);
        WriteText("host"u8, connection.Host);
        if (connection.Port is { } port)
            _json.WriteNumber("port"u8, port);
        else
            _json.WriteNull("port"u8);
        WriteText("reason"u8, connection.Reason);
        _json.WriteString("outcome"u8, "deny"u8);
    }

    private void WriteTime(DateTimeOffset time)
    {
        Span<byte> text = stackalloc byte[24];
        time.UtcDateTime.TryFormat(text, out var length, "yyyy-MM-dd'T'HH:mm:ss.fff'Z'", CultureInfo.InvariantCulture);
        _json.WriteString("time"u8, text[..length]);
    }

    private void WriteAddress(ReadOnlySpan<byte> name, IPAddress? address) =>
        WriteText(name, address is null ? null : PublicAddress.Plain(address).ToString());

    private void WriteText(ReadOnlySpan<byte> name, string? text)
    {
        if (text is null)
            _json.WriteNull(name);
        else
            _json.WriteString(name, Cut(text));
    }
}
