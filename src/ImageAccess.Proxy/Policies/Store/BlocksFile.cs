using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Foundation.Audit;
using ImageAccess.Proxy.Foundation.Files;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Policies.Store;

/// <summary>
/// The blocks of a file, which the verbs write and this program watches. A file that cannot be used is refused, and the blocks that were read
/// last stay, also over a restart: no block is lifted by a fault or by a file that is gone.
/// </summary>
internal sealed class BlocksFile(PolicyStoreOptions options, AuditTrail trail, ILogger logger)
{
    private readonly WatchedFile<ParsedFile<BlockDocument>> _file =
        new(new WholeFile(options.BlocksPath, PolicyStoreOptions.MaximumBlocksSize), BlockDocument.Parse) { IsOptional = true };

    private readonly KeptCopy _copy = new(options.BlocksCopyPath, logger.BlocksNotKept);

    private volatile BlockDocument _document = BlockDocument.Empty;

    /// <summary>The blocks in force.</summary>
    public Blocks Current { get; private set; } = Blocks.None;

    /// <summary>The same, with those that were lifted last.</summary>
    public BlockDocument Document => _document;

    /// <summary>Does something each time that another file has come into force.</summary>
    public Action? WhenChanged { get; set; }

    /// <summary>Why they are not what was written last, or may not outlive a restart; null when all is well.</summary>
    public string? Concern => (Refused, NotKept) switch
    {
        ({ } file, { } copy) => $"{file}; {copy}",
        _ => Refused ?? NotKept,
    };

    private string? NotKept => _copy.Failure is { } cause ? $"the blocks could not be kept for a restart: {cause}" : null;

    private string? Refused => _file.Refusal is { } refusal ? $"{options.BlocksPath} {refusal.Flaw}; {Stay}" : null;

    private string Stay => Current.Count == 0 ? "nothing is blocked" : $"the blocks that were read earlier stay in force ({Current.Count})";

    /// <summary>Puts the first blocks into force.</summary>
    /// <exception cref="OptionsValidationException">There are some, and they cannot be read.</exception>
    public void Open()
    {
        var kept = _file.Restore(new WholeFile(options.BlocksCopyPath, PolicyStoreOptions.MaximumBlocksSize).Read());
        if (kept.Value is { } earlier)
            Enforce(earlier);
        else if (!kept.IsMissing)
            logger.CopyOfBlocksUnusable(options.BlocksCopyPath, kept.Flaw!);

        Take(_file.Look());
        if (_file.Current is null && (_file.Refusal is not null || !kept.IsMissing))
            throw BlocksOnDisk.Unusable(options, _file.Refusal?.Flaw ?? FileReading.Missing.Failure);
    }

    /// <summary>Reads the file again.</summary>
    public void Look()
    {
        Take(_file.Look());
        if (_copy.Failure is not null)
            Keep();
    }

    private void Take(FileChange change)
    {
        switch (change)
        {
            case FileChange.Accepted:
                Accept(_file.Current!.Value!);
                break;
            case FileChange.Refused:
                logger.BlocksRefused(options.BlocksPath, _file.Refusal!.Flaw!, Stay);
                break;
            case FileChange.Recovered:
                logger.BlocksRecovered(options.BlocksPath, Current.Count);
                break;
        }
    }

    private void Accept(BlockDocument after)
    {
        var before = _document;
        Enforce(after);
        Tell(before, after);
        Keep(); // after it was told: a program that ends between the two tells it again, and never not at all
        WhenChanged?.Invoke();
    }

    /// <summary>Each block and each lifting since the file was last read: also one that came and went meanwhile, and one of a person who edits the file.</summary>
    private void Tell(BlockDocument before, BlockDocument after)
    {
        var known = before.Blocks.Concat(before.Lifted.Select(lifted => lifted.Block)).ToDictionary(block => block.Id);
        var liftings = after.Lifted.ToDictionary(lifted => lifted.Block.Id);
        foreach (var block in after.Blocks.Concat(after.Lifted.Select(lifted => lifted.Block)).Where(block => !IsKnown(block)).OrderBy(block => block.Id))
        {
            trail.RecordBlock(block);
            logger.Blocked(block.Pattern.ToString(), block.Id, block.By, block.Reason);
        }

        var inForce = after.Blocks.ToDictionary(block => block.Id);
        foreach (var block in before.Blocks.Where(block => !Is(block, inForce)).Concat(after.Lifted.Select(lifted => lifted.Block).Where(block => !IsKnown(block))))
        {
            var lifting = liftings.GetValueOrDefault(block.Id);
            trail.RecordUnblock(block, lifting?.By, lifting?.Reason, lifting?.At, lifting?.Ticket);
            logger.Unblocked(block.Pattern.ToString(), block.Id, lifting?.By ?? "somebody who edited the file", lifting?.Reason ?? "no reason given");
        }

        bool IsKnown(Block block) => Is(block, known);
    }

    /// <summary>Whether it is among them, with the same pattern: a person may write another beside the id.</summary>
    private static bool Is(Block block, Dictionary<long, Block> blocks) =>
        blocks.TryGetValue(block.Id, out var other) && other.Pattern.ToString() == block.Pattern.ToString();

    private void Enforce(BlockDocument document)
    {
        _document = document;
        Current = document.ToBlocks();
    }

    private void Keep() => _copy.Keep(_file.Current!.Bytes!);
}
