using System.Buffers;
using System.Globalization;
using System.Net;
using System.Text.Json;
using ImageAccess.Core.Classification;
using ImageAccess.Core.Hosts;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Foundation.Files;
using ImageAccess.Proxy.Foundation.Limits;

namespace ImageAccess.Proxy.Foundation.Audit;

/// <summary>
/// An event as one line of JSON. The names and their order are a contract. Text is cut, and everything that is not
/// printable ASCII is escaped: no line breaks, no control or bidirectional characters reach a terminal.
/// </summary>
internal sealed class AuditLine(IBufferWriter<byte> output, CallerNames names) : IDisposable
{
    /// <summary>The length, in characters, at which text is cut.</summary>
    public const int MaximumText = 256;

    /// <summary>What a policy opened is listed up to here, and the rest counted.</summary>
    public const int MaximumOpens = 200;

    /// <summary>Memberships of a caller that are listed.</summary>
    public const int MaximumMemberships = 32;

    private readonly Utf8JsonWriter _json = new(output, new JsonWriterOptions { SkipValidation = true });

    public static string Cut(string text) => PrintableText.Cut(text, MaximumText);

    /// <summary>The line of an event that is about no pull, without its end.</summary>
    public static ReadOnlyMemory<byte> Of(AuditEvent audit)
    {
        var bytes = new ArrayBufferWriter<byte>();
        using (var line = new AuditLine(bytes, CallerNames.Plain))
            line.Write(audit);
        return bytes.WrittenMemory[..^1];
    }

    public void Write(AuditEvent audit)
    {
        if (audit is WrittenEvent written)
        {
            output.Write(written.Line.Span);
            return;
        }

        _json.Reset();
        _json.WriteStartObject();
        _json.WriteString("id"u8, audit.Id);
        WriteTime("time"u8, audit.Time);
        WriteFacts(audit);
        _json.WriteEndObject();
        _json.Flush();
        output.Write("\n"u8);
    }

    public void Dispose() => _json.Dispose();

    private void WriteFacts(AuditEvent audit)
    {
        switch (audit)
        {
            case AccessEvent access:
                WriteAccess(access);
                break;
            case PolicyEvent policy:
                WritePolicy(policy);
                break;
            case FollowEvent { Change: var change }:
                WriteFollow(change);
                break;
            case BlockEvent block:
                WriteBlock(block);
                break;
            case BreakGlassEvent { What: var step }:
                WriteBreakGlass(step);
                break;
            case ExceptionEvent exception:
                WriteException(exception);
                break;
            case ChangeEvent { Step: var step }:
                WriteChange(step);
                break;
            case RequestEvent { Step: var step }:
                WriteRequest(step);
                break;
            case ForbiddenChangeEvent forbidden:
                WriteForbiddenChange(forbidden);
                break;
            case LookEvent { Look: var look }:
                WriteLook(look);
                break;
            case TokenEvent token:
                WriteToken(token);
                break;
            case TokenRefusalEvent refusal:
                WriteTokenRefusal(refusal);
                break;
            case AccountEvent account:
                WriteAccount(account);
                break;
            case ConfirmationEvent confirmation:
                WriteConfirmation(confirmation);
                break;
            case TagEvent tag:
                WriteTag(tag);
                break;
            case ForgottenEvent forgotten:
                WriteForgotten(forgotten);
                break;
            case ConnectionEvent connection:
                WriteConnection(connection);
                break;
            case SignInEvent signIn:
                WriteSignIn(signIn);
                break;
            case MergedEvent { Merged: var merged }:
                WriteMerged(merged);
                break;
        }
    }

    private void WriteAccess(AccessEvent access)
    {
        var decision = access.Decision;
        var classification = decision.Classification;
        WriteText("caller"u8, access.Caller is { IsAnonymous: false } caller ? names.Of(caller.DisplayName) : access.Caller?.DisplayName);
        _json.WriteStartArray("organizations"u8);
        foreach (var organization in decision.Organizations)
            _json.WriteStringValue(Cut(organization));
        _json.WriteEndArray();
        WriteMemberships(access.Caller?.Memberships ?? []);
        WriteAddress("client"u8, access.Client);
        WriteText("wayIn"u8, access.WayIn);
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
        if (decision.ApprovalEnded is { } day)
            WriteText("approvalEnded"u8, day.ToString("yyyy-MM-dd", CultureInfo.InvariantCulture));
        WriteText("policyVersion"u8, access.PolicyVersion);
        if (decision.Block is { } block)
            _json.WriteNumber("block"u8, block.Id);
        WriteUpstreamStatus(access.UpstreamStatus);
        _json.WriteNumber("durationMs"u8, Math.Round(access.Duration.TotalMilliseconds, 1));
        if (access.Source is not null)
            WriteText("source"u8, access.Source);
        if (access.Pull is not null)
            _json.WriteString("pull"u8, access.Pull);
        if (access.Digest is not null)
            _json.WriteString("digest"u8, access.Digest.Value);
        if (access.Index is not null)
            _json.WriteString("index"u8, access.Index.Value);
    }

    /// <summary>What a token or a directory says of the caller, beside the policy's own lists; left out where they say nothing.</summary>
    private void WriteMemberships(IReadOnlyList<Membership> memberships)
    {
        if (memberships.Count == 0)
            return;
        _json.WriteStartArray("memberships"u8);
        foreach (var membership in memberships.Take(MaximumMemberships))
            _json.WriteStringValue(Cut($"{Words(membership.Role)} {membership.Organization}"));
        _json.WriteEndArray();
    }

    private static string Words(OrganizationRole role) => role switch
    {
        OrganizationRole.Owner => "owner of",
        OrganizationRole.Member => "member of",
        _ => "absent from",
    };

    private void WritePolicy(PolicyEvent policy)
    {
        _json.WriteString("event"u8, "policy"u8);
        WriteText("policyVersion"u8, policy.Version);
        WriteText("previousVersion"u8, policy.PreviousVersion);
        WriteOpens(policy.Opens);
        if (policy.By is not null)
        {
            WriteText("user"u8, policy.By);
            WriteText("reason"u8, policy.Reason);
        }

        WriteTicket(policy.Ticket);
    }

    private void WriteFollow(FollowedChange change)
    {
        _json.WriteString("event"u8, "follow"u8);
        WriteText("organization"u8, change.Organization);
        WriteText("policyVersion"u8, change.Version);
        WriteText("previousVersion"u8, change.PreviousVersion);
        WriteText("switches"u8, change.Switches.ToString());
        WriteOpens(change.Opens);
        _json.WriteStartArray("closes"u8);
        foreach (var closed in change.Closes.Take(MaximumOpens))
            _json.WriteStringValue(Cut(closed));
        _json.WriteEndArray();
        if (change.Count is not { } count)
            return;
        _json.WriteNumber("count"u8, count);
        WriteTime("last"u8, change.Last);
    }

    private void WriteBlock(BlockEvent audit)
    {
        _json.WriteString("event"u8, audit.IsLifted ? "unblock"u8 : "block"u8);
        _json.WriteNumber("block"u8, audit.Block.Id);
        WriteText("user"u8, audit.By);
        _json.WriteStartArray(audit.IsLifted ? "opens"u8 : "closes"u8);
        _json.WriteStringValue(audit.Block.Pattern.ToString());
        _json.WriteEndArray();
        WriteText("reason"u8, audit.Reason);
        WriteTime("at"u8, audit.At);
        WriteTicket(audit.Ticket);
    }

    private void WriteBreakGlass(BreakGlassEvent.Step step)
    {
        WriteText("event"u8, step.What == "begun" ? "break-glass" : $"break-glass-{step.What}");
        _json.WriteNumber("breakGlass"u8, step.Id);
        WriteText("organization"u8, step.Organization);
        WriteText("user"u8, step.By);
        _json.WriteStartArray(step.What == "ended" ? "closes"u8 : "opens"u8);
        _json.WriteStringValue(Cut(step.Words));
        _json.WriteEndArray();
        WriteText("reason"u8, step.Reason);
        WriteTime("until"u8, step.Until);
        WriteTime("at"u8, step.At);
        WriteTicket(step.Ticket);
    }

    private void WriteException(ExceptionEvent audit)
    {
        var exception = audit.Exception;
        _json.WriteString("event"u8, audit.IsEnded ? "exception-ended"u8 : "exception"u8);
        _json.WriteNumber("exception"u8, exception.Id);
        WriteText("organization"u8, exception.Organization);
        WriteText("user"u8, audit.By);
        WriteText("askedBy"u8, exception.AskedBy);
        _json.WriteStartArray(audit.IsEnded ? "closes"u8 : "opens"u8);
        _json.WriteStringValue(Cut(exception.Pattern.ToString()));
        _json.WriteEndArray();
        if (exception.Approved is { } digest)
            WriteText("digest"u8, digest.Value);
        if (exception.Follow)
            _json.WriteBoolean("follow"u8, true);
        WriteText("reason"u8, audit.Reason);
        WriteTime("until"u8, exception.Until);
        WriteTime("at"u8, audit.At);
        WriteTicket(audit.Ticket);
    }

    private void WriteChange(ChangeStep step)
    {
        _json.WriteString("event"u8, "change"u8);
        _json.WriteNumber("change"u8, step.Id);
        WriteText("kind"u8, step.Kind);
        WriteText("state"u8, step.State);
        WriteText("organization"u8, step.Organization);
        WriteText("user"u8, step.By);
        WriteText("askedBy"u8, step.AskedBy);
        WriteOpens(step.Opens);
        WriteText("reason"u8, step.Reason);
        WriteTime("at"u8, step.At);
        WriteTicket(step.Ticket);
    }

    private void WriteRequest(RequestStep step)
    {
        _json.WriteString("event"u8, "request"u8);
        _json.WriteNumber("request"u8, step.Request);
        WriteText("step"u8, step.Step);
        WriteText("state"u8, step.State);
        WriteText("image"u8, step.Image);
        _json.WriteStartArray("organizations"u8);
        foreach (var organization in step.Organizations.Take(MaximumMemberships))
            _json.WriteStringValue(Cut(organization));
        _json.WriteEndArray();
        WriteText("organization"u8, step.Organization);
        WriteText("user"u8, step.By);
        WriteText("askedBy"u8, string.Join(", ", step.AskedBy));
        WriteText("reason"u8, step.Reason);
        if (step.Denial is { } denial)
            WriteText("denial"u8, denial);
        if (step.Exception is { } exception)
            _json.WriteNumber("exception"u8, exception);
        if (step.Granted is { } granted)
            WriteText("granted"u8, granted);
        if (step.Digest is { } digest)
            WriteText("digest"u8, digest);
        if (step.Until is { } until)
            WriteTime("until"u8, until);
        if (step.Change is { } change)
            _json.WriteNumber("change"u8, change);
        WriteTime("at"u8, step.At);
        WriteTicket(step.Ticket);
    }

    private void WriteForbiddenChange(ForbiddenChangeEvent forbidden)
    {
        _json.WriteString("event"u8, "change-forbidden"u8);
        WriteText("user"u8, forbidden.User);
        WriteText("operation"u8, forbidden.Operation);
        WriteText("organization"u8, forbidden.Organization);
        _json.WriteString("outcome"u8, "deny"u8);
    }

    /// <summary>Left out where there is none.</summary>
    private void WriteLook(Look look)
    {
        _json.WriteString("event"u8, "decisions-read"u8);
        WriteText("user"u8, look.By);
        WriteText("organization"u8, look.Organization);
        WriteText("operation"u8, look.What);
        WriteText("question"u8, look.Question);
    }

    private void WriteTicket(string? ticket)
    {
        if (ticket is not null)
            WriteText("ticket"u8, ticket);
    }

    private void WriteOpens(IReadOnlyList<string> opens)
    {
        _json.WriteStartArray("opens"u8);
        foreach (var opened in opens.Take(MaximumOpens))
            _json.WriteStringValue(Cut(opened));
        if (opens.Count > MaximumOpens)
            _json.WriteStringValue(string.Create(CultureInfo.InvariantCulture, $"and {opens.Count - MaximumOpens} more"));
        _json.WriteEndArray();
    }

    private void WriteToken(TokenEvent token)
    {
        _json.WriteString("event"u8, token.IsRevoked ? "token-revoked"u8 : "token"u8);
        _json.WriteNumber("token"u8, token.Token);
        WriteText("organization"u8, token.Organization);
        WriteText("user"u8, token.By);
        WriteText("caller"u8, token.Person);
        _json.WriteStartArray(token.IsRevoked ? "closes"u8 : "opens"u8);
        _json.WriteStringValue(Cut($"{token.Role} of {token.Organization ?? "every organization"}"));
        _json.WriteEndArray();
        WriteText("reason"u8, token.Label);
        WriteTime("until"u8, token.Expires);
        WriteTime("at"u8, token.At);
    }

    private void WriteTokenRefusal(TokenRefusalEvent refusal)
    {
        _json.WriteString("event"u8, "token-refused"u8);
        if (refusal.Token is { } token)
            _json.WriteNumber("token"u8, token);
        else
            _json.WriteNull("token"u8);
        WriteAddress("client"u8, refusal.Client);
        WriteText("reason"u8, refusal.Reason);
        _json.WriteString("outcome"u8, "deny"u8);
    }

    private void WriteAccount(AccountEvent account)
    {
        _json.WriteString("event"u8, "account"u8);
        WriteText("caller"u8, account.Caller);
        WriteText("account"u8, account.Account);
        WriteText("formerAccount"u8, account.FormerAccount);
    }

    private void WriteConfirmation(ConfirmationEvent confirmation)
    {
        _json.WriteString("event"u8, "account-confirmed"u8);
        WriteText("organization"u8, confirmation.Organization);
        WriteText("user"u8, confirmation.By);
        WriteText("caller"u8, confirmation.Caller);
        WriteText("account"u8, confirmation.Account);
        WriteText("reason"u8, confirmation.Reason);
        WriteTime("at"u8, confirmation.At);
        WriteTicket(confirmation.Ticket);
    }

    private void WriteTag(TagEvent tag)
    {
        _json.WriteString("event"u8, "tag"u8);
        WriteText("repository"u8, tag.Repository);
        WriteText("tag"u8, tag.Tag);
        WriteText("formerDigest"u8, tag.FormerDigest);
        WriteText("digest"u8, tag.Digest);
    }

    private void WriteForgotten(ForgottenEvent forgotten)
    {
        _json.WriteString("event"u8, "forgotten"u8);
        WriteText("user"u8, forgotten.User);
        WriteAddress("client"u8, forgotten.Client);
        WriteText("repository"u8, forgotten.Repository);
        WriteText("reference"u8, forgotten.Reference);
        _json.WriteNumber("links"u8, forgotten.Links);
        _json.WriteNumber("tags"u8, forgotten.Tags);
        WriteText("reason"u8, forgotten.Reason);
    }

    private void WriteConnection(ConnectionEvent connection)
    {
        _json.WriteString("event"u8, "connection"u8);
        WriteText("wayIn"u8, connection.WayIn);
        WriteText("face"u8, connection.WayIn); // its former name
        WriteAddress("client"u8, connection.Client);
        WriteClaimed("user"u8, connection.User, ClientShare.Of(connection.Client));
        WriteText("host"u8, connection.Host);
        if (connection.Port is { } port)
            _json.WriteNumber("port"u8, port);
        else
            _json.WriteNull("port"u8);
        WriteText("reason"u8, connection.Reason);
        _json.WriteString("outcome"u8, "deny"u8);
    }

    private void WriteSignIn(SignInEvent signIn)
    {
        _json.WriteString("event"u8, "sign-in"u8);
        WriteText("wayIn"u8, signIn.WayIn);
        WriteAddress("client"u8, signIn.Client);
        WriteClaimed("user"u8, signIn.User, ClientShare.Of(signIn.Client));
        WriteText("reason"u8, signIn.Reason);
        WriteUpstreamStatus(signIn.UpstreamStatus);
        _json.WriteString("outcome"u8, "deny"u8);
    }

    private void WriteUpstreamStatus(int? status)
    {
        if (status is { } answered)
            _json.WriteNumber("upstreamStatus"u8, answered);
        else
            _json.WriteNull("upstreamStatus"u8);
    }

    /// <summary>The first denial again, and what came after it; beyond a client's share nothing but how many there were.</summary>
    private void WriteMerged(MergedDenial merged)
    {
        if (merged.First is { } first)
        {
            WriteFacts(first);
        }
        else
        {
            _json.WriteString("event"u8, "denials"u8);
            WriteText("caller"u8, merged.Share.Client == merged.Key.Share ? NameOf(merged.Key) : null);
            WriteText("client"u8, merged.Share.Client == merged.Key.Network ? merged.Key.Network.ToString() : null);
            _json.WriteString("outcome"u8, "deny"u8);
        }

        _json.WriteNumber("count"u8, merged.Count);
        if (merged.Pulls != merged.Count)
            _json.WriteNumber("pulls"u8, merged.Pulls);
        WriteTime("first"u8, merged.FirstTime ?? merged.LastTime);
        WriteTime("last"u8, merged.LastTime);
        if (merged.References.Count == 0)
            return;
        _json.WriteStartArray("references"u8);
        foreach (var reference in merged.References)
            _json.WriteStringValue(Cut(reference));
        _json.WriteEndArray();
    }

    private void WriteTime(ReadOnlySpan<byte> name, DateTimeOffset? known)
    {
        if (known is not { } time)
        {
            _json.WriteNull(name);
            return;
        }

        Span<byte> text = stackalloc byte[24];
        time.UtcDateTime.TryFormat(text, out var length, "yyyy-MM-dd'T'HH:mm:ss.fff'Z'", CultureInfo.InvariantCulture);
        _json.WriteString(name, text[..length]);
    }

    private void WriteAddress(ReadOnlySpan<byte> name, IPAddress? address) =>
        WriteText(name, address is null ? null : PublicAddress.Plain(address).ToString());

    private void WriteClaimed(ReadOnlySpan<byte> name, string? user, ClientShare client) => WriteText(name, user is { Length: > 0 } ? names.OfClaimed(user, client) : user);

    private string? NameOf(DenialKey key) => key.Account is not { } account ? null : key.Kind switch
    {
        nameof(AccessEvent) => names.Of(account),
        nameof(ForbiddenChangeEvent) => account,
        _ => names.OfClaimed(account, key.Network),
    };

    private void WriteText(ReadOnlySpan<byte> name, string? text)
    {
        if (text is null)
            _json.WriteNull(name);
        else
            _json.WriteString(name, Cut(text));
    }
}
