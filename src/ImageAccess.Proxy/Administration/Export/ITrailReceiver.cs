namespace ImageAccess.Proxy.Administration.Export;

/// <summary>Somebody outside who gets every event of the trail.</summary>
internal interface ITrailReceiver
{
    /// <summary>In metrics, and in the name of its position's file: <c>syslog</c>.</summary>
    string Name { get; }

    /// <summary>Its section of the configuration.</summary>
    string Section { get; }

    /// <summary>How long events gather.</summary>
    TimeSpan Pause { get; }

    /// <summary>Sends them once.</summary>
    /// <returns>Whether it is sure that it has them; where it is not, they come again.</returns>
    Task<ExportAnswer> SendAsync(IReadOnlyList<ExportedEvent> events, CancellationToken cancellationToken);
}

/// <summary>What became of a batch.</summary>
/// <param name="Cause">Why the receiver does not have it for sure, as what follows its name in a sentence and without a secret; null where it has it.</param>
/// <param name="After">How long it asks us to wait.</param>
internal sealed record ExportAnswer(string? Cause, TimeSpan? After = null)
{
    public static readonly ExportAnswer Taken = new(Cause: null);

    /// <summary>A smaller batch may be taken.</summary>
    public bool IsTooLarge { get; init; }

    /// <summary>Events that it has refused for good.</summary>
    public long Rejected { get; init; }
}
