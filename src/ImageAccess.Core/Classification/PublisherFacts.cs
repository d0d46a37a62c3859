namespace ImageAccess.Core.Classification;

/// <summary>What is known of a publisher at the moment of a decision: not asked, asked in vain, or a record.</summary>
public sealed class PublisherFacts
{
    private PublisherFacts(NamespaceRecord? record) => Record = record;

    /// <summary>Nobody was asked yet: the cheap rules may do without.</summary>
    public static PublisherFacts NotAsked { get; } = new(null);

    /// <summary>No source could answer.</summary>
    public static PublisherFacts Unavailable { get; } = new(null);

    public NamespaceRecord? Record { get; }

    public static PublisherFacts Known(NamespaceRecord record) => new(record);
}
