using System.Text.Json.Serialization;
using ImageAccess.Core.Policies;

namespace ImageAccess.Proxy.Callers.Members;

/// <summary>A source of member lists.</summary>
internal interface IMemberSource
{
    /// <exception cref="DirectoryException">The source could not answer, or not with all members.</exception>
    Task<MemberList> ReadAsync(string organization, CancellationToken cancellationToken);
}

/// <summary>An organization's members, all of them.</summary>
/// <param name="Organization">In lower case.</param>
/// <param name="ReadAt">When reading it began: what happened later it does not know.</param>
/// <param name="Members">Each user name once, and each id.</param>
internal sealed record MemberList(string Organization, DateTimeOffset ReadAt, IReadOnlyList<MemberRecord> Members)
{
    /// <summary>
    /// The mail addresses of those who have one, by their user names; null where Docker Hub has not been asked since the start. They are kept in memory
    /// alone: no disk, log or page has them.
    /// </summary>
    [JsonIgnore]
    public IReadOnlyDictionary<string, string>? Addresses { get; init; }
}

/// <param name="Id">Docker Hub's id of the account, in lower case, without dashes.</param>
/// <param name="Username">In lower case.</param>
/// <param name="Role">Never none.</param>
internal sealed record MemberRecord(string Id, string Username, OrganizationRole Role)
{
    /// <summary>The organization's teams that the member is in, in lower case; none of a list that an earlier version kept.</summary>
    public IReadOnlyList<string> Teams { get; init; } = [];
}

/// <summary>A source could not answer; the message says why, in words fit for a log: no secret, nothing of the answer.</summary>
internal sealed class DirectoryException(string message) : Exception(message)
{
    /// <summary>The source asks us to back off until then.</summary>
    public DateTimeOffset? RetryAt { get; init; }

    /// <summary>The source refuses our credentials: an early retry cannot succeed, and may lock the account.</summary>
    public bool IsRefusal { get; init; }
}
