using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Administration.Requests;

namespace ImageAccess.Proxy.Portal.Pages;

/// <summary>A request for access as a page shows it.</summary>
/// <param name="State"><c>open</c>, <c>approved</c>, <c>declined</c>, <c>withdrawn</c> or <c>ended</c>.</param>
/// <param name="Asking">How many ask for it.</param>
/// <param name="Voices">Who asks; to a member their own alone.</param>
/// <param name="Answers">One of each organization that denies it.</param>
public sealed record SeenRequest(
    long Id, string Image, string State, DateTimeOffset At, DateTimeOffset Until, int Asking, IReadOnlyList<SeenRequest.Voice> Voices, IReadOnlyList<SeenRequest.Reply> Answers)
{
    /// <summary>The organizations for which the visitor may answer it.</summary>
    public IReadOnlyList<string> MayAnswer { get; init; } = [];

    public bool MayWithdraw { get; init; }

    /// <summary>It names a tag, which may come to another digest.</summary>
    public bool IsTag { get; init; }

    /// <summary>For the longest of those who ask.</summary>
    public int Days => Voices.Count == 0 ? 1 : Voices.Max(voice => voice.Days);

    public sealed record Voice(string Person, string Reason, int Days, DateTimeOffset At, bool HasWithdrawn);

    /// <param name="State"><c>open</c>, <c>waiting</c> (for a second person), <c>approved</c> or <c>declined</c>.</param>
    public sealed record Reply(string Organization, string State, string? By, string? Comment, DateTimeOffset? Until);

    /// <param name="only">Whose voice alone is shown; null for everybody's.</param>
    internal static SeenRequest Of(AccessRequest request, DateTimeOffset now, string? only) => new(
        request.Id,
        request.Row.Image,
        request.StateAt(now),
        request.Row.At,
        request.Row.Until,
        request.Asking.Count(),
        [.. request.Voices.Where(voice => only is null || voice.Person == only).Select(voice => new Voice(voice.Person, voice.Reason, voice.Days, voice.At, voice.Withdrawn is not null))],
        [.. request.Answers.Select(answer => new Reply(answer.Organization, answer.State, answer.By, answer.Comment, answer.Until))])
    {
        IsTag = GrantedException.TryParsePattern(request.Row.Image, out var pattern, out _) && pattern.Asked?.Tag is not null,
    };
}
