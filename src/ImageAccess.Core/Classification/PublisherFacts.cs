namespace ImageAccess.Core.Classification;

/// <summary>What is known about a publisher when a decision is made: not asked, no source could answer, or a record.</summary>
public sealed class PublisherFacts
{
    private PublisherFacts(NamespaceRecord? record) => Record = record;

    /// <summary>No source was asked yet, because a rule may decide without it.</summary>
    public static PublisherFacts NotAsked { get; } = new(null);

    /// <summary>No source could answer.</summary>
    public static PublisherFacts Unavailable { get; } = new(null);

    public NamespaceRecord? Record { get; }

    public static PublisherFacts Known(NamespaceRecord record) => new(record);
}
