using ImageAccess.Proxy.Administration.Roles;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Foundation.Files;
using ImageAccess.Proxy.Policies.Exceptions;

namespace ImageAccess.Proxy.Administration.Changes;

/// <summary>Who changes something, why, and under which ticket.</summary>
/// <param name="Actor">Who.</param>
/// <param name="Reason">Why; of what ends an exception it may be empty.</param>
internal sealed record ChangeRequest(Actor Actor, string Reason)
{
    /// <summary>The characters of a ticket.</summary>
    public const int MaximumTicket = 64;

    /// <summary>Its name in whatever keeps track of work: printable ASCII.</summary>
    public string? Ticket { get; init; }

    /// <summary>What is wrong with it.</summary>
    /// <param name="longest">The characters that a reason may have.</param>
    /// <param name="needsReason">A reason must be given.</param>
    /// <param name="needsTicket">A ticket must be named.</param>
    public IEnumerable<ChangeFault> Faults(int longest, bool needsReason, bool needsTicket)
    {
        if ((needsReason || Reason.Length > 0) && PrintableText.FaultOf(Reason, longest) is { } reasonFault)
            yield return new("reason", reasonFault);
        if (PrintableText.FaultOf(Actor.Name, ExceptionGrant.MaximumName) is { } nameFault)
            yield return new("by", nameFault);
        else if (Actor.Name != Actor.Name.Trim())
            yield return new("by", "must not begin or end with a space: it would be another name that looks the same");
        foreach (var fault in TicketFaults(needsTicket))
            yield return fault;
    }

    public IEnumerable<ChangeFault> TicketFaults(bool isNeeded)
    {
        if (Ticket is not null && (Ticket.Length is 0 or > MaximumTicket || Ticket.Any(c => c is <= ' ' or >= '\x7f')))
            yield return new("ticket", $"must have 1 to {MaximumTicket} printable ASCII characters without spaces, as OPS-1234");
        else if (Ticket is null && isNeeded)
            yield return new("ticket", "is missing: the policy demands one for whatever opens (changes.ticket)");
    }
}

/// <summary>What became of a change: done, or it waits for a second person.</summary>
internal sealed record ChangeOutcome<T>(T? Done, PendingChangeRow? Waiting)
    where T : class
{
    /// <summary>What a change of the policy that waits would take back, in words.</summary>
    public IReadOnlyList<string> TakesBack { get; init; } = [];
}
