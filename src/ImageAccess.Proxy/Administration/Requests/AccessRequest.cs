using ImageAccess.Proxy.Administration.Roles;
using ImageAccess.Proxy.Foundation.Database;

namespace ImageAccess.Proxy.Administration.Requests;

/// <summary>A request with everything that belongs to it.</summary>
/// <param name="Row">What is asked for.</param>
/// <param name="Voices">Who asks, in their order; also those who have withdrawn.</param>
/// <param name="Answers">One of each organization that denies it.</param>
internal sealed record AccessRequest(AccessRequestRow Row, List<RequestVoiceRow> Voices, List<RequestAnswerRow> Answers)
{
    public long Id => Row.Id;

    /// <summary>Those who still ask.</summary>
    public IEnumerable<RequestVoiceRow> Asking => Voices.Where(voice => voice.Withdrawn is null);

    /// <summary>What has run out is over, also before that is written.</summary>
    public string StateAt(DateTimeOffset now) => Row.State == AccessRequestRow.Open && Row.Until <= now ? AccessRequestRow.Ended : Row.State;

    public RequestVoiceRow? VoiceOf(string person) => Asking.FirstOrDefault(voice => voice.Person == person);

    /// <summary>Whether the actor has ever asked for it: who withdraws is no stranger to it by that.</summary>
    public bool IsOf(Actor actor) => Voices.Any(voice => actor.IsSamePerson(voice.Person));

    public RequestAnswerRow? AnswerOf(string organization) => Answers.Find(answer => answer.Organization == organization);
}

/// <summary>What somebody asks for.</summary>
internal sealed record AccessAsk
{
    /// <summary>A repository, a tag or a digest; null where a denial says it.</summary>
    public string? Image { get; init; }

    /// <summary>The id of a denial; null where the image is named.</summary>
    public string? Denial { get; init; }

    /// <summary>How long it is needed.</summary>
    public int Days { get; init; }
}

/// <summary>How far an approval goes. What is not said is as it was asked for.</summary>
internal sealed record RequestApproval
{
    /// <summary>For which organization; it need not be said where the actor may answer for one alone.</summary>
    public string? Organization { get; init; }

    /// <summary>What is granted: a tag or a digest of the repository that was asked for.</summary>
    public string? Image { get; init; }

    /// <summary>Of a tag: the digest that it has now.</summary>
    public string? Digest { get; init; }

    /// <summary>Of a tag: whatever it comes to.</summary>
    public bool Follow { get; init; }

    /// <summary>How long; not beside a moment.</summary>
    public int? Days { get; init; }

    /// <summary>The moment at which it ends.</summary>
    public DateTimeOffset? Until { get; init; }
}

/// <summary>What became of a request.</summary>
/// <param name="Request">The request as it is now.</param>
/// <param name="Waiting">The change that a second person has to approve; null where none waits.</param>
/// <param name="IsNew">It was not there before.</param>
internal sealed record RequestOutcome(AccessRequest Request, PendingChangeRow? Waiting = null, bool IsNew = false);
