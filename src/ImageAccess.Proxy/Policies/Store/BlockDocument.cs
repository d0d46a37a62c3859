using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Foundation.Files;

namespace ImageAccess.Proxy.Policies.Store;

/// <summary>
/// What the file of the blocks says: those in force, and the last ones that were lifted. The running program reads in it what was changed
/// since it last looked, however often that was, and whoever changed it. A block is the same in two files when it says the same; its number is
/// each file's own. Two processes may have blocked one image: it is free when both blocks are lifted.
/// </summary>
internal sealed record BlockDocument(IReadOnlyList<Block> Blocks, IReadOnlyList<LiftedBlock> Lifted)
{
    /// <summary>How many lifted blocks are kept.</summary>
    public const int MaximumLifted = 1000;

    /// <summary>The characters of a reason.</summary>
    public const int MaximumReason = 200;

    /// <summary>The characters of the name of who did it.</summary>
    public const int MaximumName = 64;

    private static readonly JsonSerializerOptions Json = new(ReadableJson.Web)
    {
        WriteIndented = true,
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
        ReadCommentHandling = JsonCommentHandling.Skip,
        AllowTrailingCommas = true,
        AllowDuplicateProperties = false,
        UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
        RespectNullableAnnotations = true,
        RespectRequiredConstructorParameters = true,
    };

    public static BlockDocument Empty { get; } = new([], []);

    public static ParsedFile<BlockDocument> Parse(FileReading reading) => new(reading, Read);

    /// <summary>What tells a block apart from all others, on every process: a hash of what it says.</summary>
    public static string KeyOf(Block block) => Convert.ToHexStringLower(
        SHA256.HashData(Encoding.UTF8.GetBytes($"{block.Pattern}\n{block.At.UtcTicks}\n{block.By}\n{block.Reason}")).AsSpan(0, 16));

    public BlockDocument Add(ImagePattern pattern, string reason, string by, DateTimeOffset at, string? ticket = null, bool forgets = false)
    {
        var block = new Block(LastId + 1, pattern, reason, by, at) { Ticket = ticket, Forgets = forgets };
        var known = Keys();
        while (known.Contains(KeyOf(block)))
            block = block with { At = block.At.AddTicks(1) }; // the same again within one tick of the clock
        return this with { Blocks = [.. Blocks, block] };
    }

    /// <summary>Lifts the block, and what others have made of the same image; the block is the last one lifted.</summary>
    public BlockDocument Lift(Block block, string reason, string by, DateTimeOffset at, string? ticket = null)
    {
        var lifted = Blocks.Where(other => other.Pattern.ToString() == block.Pattern.ToString()).OrderBy(other => other == block).ToList();
        return new(
            [.. Blocks.Except(lifted)],
            [.. Lifted.Concat(lifted.Select(each => new LiftedBlock(each, reason, by, at) { Ticket = ticket })).TakeLast(MaximumLifted)]);
    }

    /// <summary>
    /// With what other processes have blocked and lifted: in whichever order they are joined, the same is in force. What was lifted once
    /// stays so, and what the others do not know stays as it is.
    /// </summary>
    /// <returns>This very document where there is nothing new.</returns>
    public BlockDocument Join(IEnumerable<Block> blocks, IReadOnlyDictionary<string, LiftedBlock> lifted)
    {
        var over = Blocks.Where(block => lifted.ContainsKey(KeyOf(block))).ToList();
        var (known, next) = (Keys(), LastId + 1);
        var added = blocks.Where(block => !known.Contains(KeyOf(block)))
            .OrderBy(block => block.At).ThenBy(KeyOf, StringComparer.Ordinal)
            .Take(Core.Policies.Blocks.Maximum - Blocks.Count + over.Count)
            .Select((block, index) => block with { Id = next + index })
            .ToList();
        return over.Count + added.Count == 0 ? this : new(
            [.. Blocks.Except(over), .. added],
            [.. Lifted.Concat(over.Select(block => lifted[KeyOf(block)] with { Block = block })).TakeLast(MaximumLifted)]);
    }

    /// <summary>Those in force; of several for one image the first.</summary>
    public Blocks ToBlocks() => Blocks.Count == 0
        ? Core.Policies.Blocks.None
        : new Blocks([.. Blocks.GroupBy(block => block.Pattern.ToString()).Select(same => same.MinBy(block => block.At)!)]);

    /// <summary>The keys of all that it names, lifted or not.</summary>
    private HashSet<string> Keys() => [.. Blocks.Concat(Lifted.Select(lifted => lifted.Block)).Select(KeyOf)];

    public byte[] ToBytes() => JsonSerializer.SerializeToUtf8Bytes(
        new Written([.. Blocks.Select(EntryOf)], [.. Lifted.Select(lifted => EntryOf(lifted.Block) with { Lifted = new Lifting(lifted.Reason, lifted.By, lifted.At) { Ticket = lifted.Ticket } })]), Json);

    /// <summary>It is never lower than before: what was lifted last stays.</summary>
    private long LastId => Blocks.Select(block => block.Id).Concat(Lifted.Select(lifted => lifted.Block.Id)).DefaultIfEmpty().Max();

    private static BlockDocument? Read(ReadOnlyMemory<byte> content, out IReadOnlyList<string> problems)
    {
        var found = new List<string>();
        problems = found;
        Written written;
        try
        {
            written = JsonSerializer.Deserialize<Written>(content.Span, Json) ?? throw new JsonException("null", "$", null, null);
        }
        catch (JsonException exception)
        {
            found.Add(exception.InnerException is JsonException || exception.Path is null
                ? JsonMistake.Describe(content.Span, exception)
                : $"{exception.Path}: a block has an id, an image, a reason, by and at; one that was lifted also lifted, with a reason, by and at");
            return null;
        }

        if (written.Blocks.Count > Core.Policies.Blocks.Maximum)
            found.Add(string.Create(CultureInfo.InvariantCulture, $"blocks: there can be {Core.Policies.Blocks.Maximum:N0} blocks"));
        if (written.Blocks.Concat(written.Lifted).Contains(null))
            found.Add("a block that is null says nothing");
        if (found.Count > 0)
            return null;

        var ids = new HashSet<long>();
        var blocks = written.Blocks.Select((entry, index) => BlockOf(entry!, $"blocks[{index}]")).ToList();
        var lifted = written.Lifted.Select((entry, index) => LiftedOf(entry!, $"lifted[{index}]")).ToList();
        return found.Count == 0 ? new BlockDocument(blocks, lifted) : null;

        Block BlockOf(Entry entry, string path)
        {
            var block = Common(entry, path);
            if (entry.Lifted is not null)
                found.Add($"{path}.lifted: a block in force was not lifted");
            return block;
        }

        LiftedBlock LiftedOf(Entry entry, string path)
        {
            var lifting = entry.Lifted ?? new Lifting("", "", default);
            if (entry.Lifted is null)
                found.Add($"{path}: lifted is missing");
            else
                Check(lifting.Reason, lifting.By, $"{path}.lifted");
            return new LiftedBlock(Common(entry, path), lifting.Reason, lifting.By, lifting.At) { Ticket = lifting.Ticket };
        }

        Block Common(Entry entry, string path)
        {
            if (entry.Id <= 0 || !ids.Add(entry.Id))
                found.Add($"{path}.id: must be a number above 0 that no other block has");
            if (!ImagePattern.TryParse(entry.Image, out var pattern, out var problem))
                found.Add($"{path}.image: '{entry.Image}' {problem}");
            Check(entry.Reason, entry.By, path);
            return new Block(entry.Id, pattern!, entry.Reason, entry.By, entry.At) { Ticket = entry.Ticket, Forgets = entry.Forget };
        }

        void Check(string reason, string by, string path)
        {
            if (PrintableText.FaultOf(reason, MaximumReason) is { } reasonFault)
                found.Add($"{path}.reason: {reasonFault}");
            if (PrintableText.FaultOf(by, MaximumName) is { } nameFault)
                found.Add($"{path}.by: {nameFault}");
        }
    }

    private static Entry EntryOf(Block block) => new(block.Id, block.Pattern.ToString(), block.Reason, block.By, block.At) { Ticket = block.Ticket, Forget = block.Forgets };

    private sealed record Written(IReadOnlyList<Entry?> Blocks, IReadOnlyList<Entry?> Lifted);

    private sealed record Entry(long Id, string Image, string Reason, string By, DateTimeOffset At)
    {
        public string? Ticket { get; init; }

        [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
        public bool Forget { get; init; }

        public Lifting? Lifted { get; init; }
    }

    private sealed record Lifting(string Reason, string By, DateTimeOffset At)
    {
        public string? Ticket { get; init; }
    }
}

/// <summary>A block that is in force no longer.</summary>
/// <param name="Block">The block.</param>
/// <param name="Reason">Why it was lifted.</param>
/// <param name="By">Who lifted it.</param>
/// <param name="At">When.</param>
internal sealed record LiftedBlock(Block Block, string Reason, string By, DateTimeOffset At)
{
    /// <summary>The ticket that it was asked for by.</summary>
    public string? Ticket { get; init; }
}
