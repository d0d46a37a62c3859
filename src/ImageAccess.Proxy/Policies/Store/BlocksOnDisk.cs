using ImageAccess.Proxy.Foundation.Files;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Policies.Store;

/// <summary>The blocks of the data directory, for what is no running proxy: found as a start would find them, and changed by one at a time.</summary>
internal sealed class BlocksOnDisk(PolicyStoreOptions options)
{
    /// <exception cref="OptionsValidationException">There are some, and they cannot be read.</exception>
    public BlockDocument Find()
    {
        var document = Read(options.BlocksPath);
        if (document.Value is { } blocks)
            return blocks;
        var kept = Read(options.BlocksCopyPath);
        if (kept.Value is { } earlier)
            return earlier;
        return document.IsMissing && kept.IsMissing ? BlockDocument.Empty : throw Unusable(options, document.Flaw!);
    }

    /// <summary>Changes what the file says; in force where it runs within a second. A file that is gone is made again; one that cannot be used is left alone.</summary>
    /// <exception cref="OptionsValidationException">There is a file, and it cannot be used.</exception>
    /// <exception cref="IOException">It cannot be written, or somebody else does not end changing it.</exception>
    public async Task<BlockDocument> ChangeAsync(Func<BlockDocument, BlockDocument> change, CancellationToken cancellationToken)
    {
        await using var held = await LockFile.HoldAsync(options.BlocksPath + ".lock", cancellationToken);
        var document = Read(options.BlocksPath);
        if (document is { Value: null, IsMissing: false })
            throw Unusable(options, document.Flaw!);
        var before = document.Value ?? Find();
        var after = change(before);
        if (ReferenceEquals(after, before))
            return after;
        var bytes = after.ToBytes();
        if (BlockDocument.Parse(FileReading.Found(bytes)).Flaw is { } flaw)
            throw Unusable(options, flaw);
        AtomicFile.Write(options.BlocksPath, bytes);
        return after;
    }

    public static OptionsValidationException Unusable(PolicyStoreOptions options, string flaw) => new(
        nameof(PolicyStoreOptions), typeof(PolicyStoreOptions), [$"{options.BlocksPath} {flaw}; correct it, or restore it: what is blocked is not known without it"]);

    private static ParsedFile<BlockDocument> Read(string path) => BlockDocument.Parse(new WholeFile(path, PolicyStoreOptions.MaximumBlocksSize).Read());
}
