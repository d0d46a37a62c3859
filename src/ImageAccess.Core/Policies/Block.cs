namespace ImageAccess.Core.Policies;

/// <summary>That nobody may have what a pattern names: no owner either, and nothing that is kept.</summary>
/// <param name="Id">A number that no other block of this installation has or had.</param>
/// <param name="Pattern">What is blocked.</param>
/// <param name="Reason">Why; it is told to whoever is denied.</param>
/// <param name="By">Who blocked it.</param>
/// <param name="At">When.</param>
public sealed record Block(long Id, ImagePattern Pattern, string Reason, string By, DateTimeOffset At)
{
    /// <summary>The ticket that it was asked for by.</summary>
    public string? Ticket { get; init; }

    /// <summary>Whether what is kept of it is to be forgotten, wherever something is.</summary>
    public bool Forgets { get; init; }
}
