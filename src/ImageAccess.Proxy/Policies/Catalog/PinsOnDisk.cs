using ImageAccess.Core.Classification;
using ImageAccess.Proxy.Foundation.Files;

namespace ImageAccess.Proxy.Policies.Catalog;

/// <summary>The pins that a start would find, without starting and without writing anything.</summary>
internal sealed class PinsOnDisk
{
    private readonly CatalogPins _pins = CatalogPins.None;
    private readonly DateTimeOffset _since;

    public PinsOnDisk(CatalogOptions options)
    {
        foreach (var path in new[] { options.PinsPath, options.PinsCopyPath })
        {
            if (CatalogPins.Parse(new WholeFile(path, CatalogPins.MaximumSize).Read()).Value is { } pins)
            {
                (_pins, _since) = (pins, new DateTimeOffset(File.GetLastWriteTimeUtc(path)));
                return;
            }
        }
    }

    public NamespaceRecord? Find(string @namespace) =>
        _pins.Find(@namespace) is { } pin ? new NamespaceRecord(@namespace, pin.Badge, "file", _since) : null;
}
