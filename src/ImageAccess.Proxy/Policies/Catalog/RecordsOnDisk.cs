using ImageAccess.Core.Classification;
using ImageAccess.Core.Oci;
using ImageAccess.Proxy.Foundation.Files;

namespace ImageAccess.Proxy.Policies.Catalog;

/// <summary>What an installation knows of publishers: its pins, and what it keeps of Docker Hub's answers, however old. Nothing is asked or written.</summary>
internal sealed class RecordsOnDisk
{
    private readonly PinsOnDisk _pins;
    private readonly Dictionary<string, NamespaceRecord> _records = new(StringComparer.Ordinal);

    public RecordsOnDisk(CatalogOptions options)
    {
        _pins = new PinsOnDisk(options);
        if (new WholeFile(options.RecordsPath, NamespaceFile.MaximumSize).Read().Bytes is not { } bytes)
            return;
        foreach (var line in bytes.Span.Split((byte)'\n'))
        {
            if (RecordLine.TryRead(bytes.Span[line], out var answer))
                _records[answer.Record.Namespace] = answer.Record;
        }
    }

    public PublisherFacts Find(RepositoryName repository) =>
        (_pins.Find(repository.Namespace) ?? _records.GetValueOrDefault(repository.Namespace)) is { } record ? PublisherFacts.Known(record) : PublisherFacts.NotAsked;
}
