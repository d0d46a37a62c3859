using System.Globalization;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Foundation.Files;
using ImageAccess.Proxy.Policies.Store;

namespace ImageAccess.Proxy.Tests.Policies.Store;

/// <summary>Documents of several processes are joined to the same, in whichever order and however often.</summary>
public sealed class BlockDocumentTests
{
    private static readonly DateTimeOffset At = new(2026, 6, 1, 10, 0, 0, TimeSpan.Zero);

    [Fact]
    public void However_they_are_joined_the_same_is_in_force()
    {
        for (var seed = 0; seed < 200; seed++)
        {
            var random = new Random(seed);
            var documents = new BlockDocument[] { BlockDocument.Empty, BlockDocument.Empty, BlockDocument.Empty };
            for (var step = 0; step < 20; step++)
            {
                var (here, there) = (random.Next(3), random.Next(3));
                documents[here] = random.Next(4) switch
                {
                    0 => Join(documents[here], documents[there]),
                    1 when documents[here].Blocks.Count > 0 => Lift(documents[here], random),
                    _ => documents[here].Add(BlockProcess.Pattern($"acme/app{random.Next(4)}"), "r", $"by{here}", At.AddTicks(step)),
                };
            }

            int[][] orders = [[0, 1, 2], [2, 1, 0], [1, 0, 2, 0, 1]];
            var joined = orders.Select(order => order.Select(i => documents[i]).Aggregate(Join)).Select(document => InForce(document, documents)).ToList();
            Assert.All(joined, inForce => Assert.Equal(joined[0], inForce));
        }
    }

    [Fact]
    public void What_is_known_already_changes_nothing()
    {
        var document = BlockDocument.Empty.Add(BlockProcess.Pattern("nginx"), "r", "b", At).Add(BlockProcess.Pattern("redis"), "r", "b", At);
        document = document.Lift(document.Blocks[0], "fixed", "b", At);
        Assert.Same(document, Join(document, document));
        Assert.Same(document, Join(document, BlockDocument.Empty));
    }

    [Fact]
    public void The_key_survives_the_file_and_is_that_of_what_is_said()
    {
        var document = BlockDocument.Empty.Add(BlockProcess.Pattern("docker.io/library/nginx"), "問 'r'", "b", At.AddTicks(7).ToOffset(TimeSpan.FromHours(3)));
        var read = BlockDocument.Parse(FileReading.Found(document.ToBytes())).Value!;
        Assert.Equal(BlockDocument.KeyOf(document.Blocks[0]), BlockDocument.KeyOf(read.Blocks[0]));
        Assert.NotEqual(BlockDocument.KeyOf(read.Blocks[0]), BlockDocument.KeyOf(read.Blocks[0] with { Reason = "r" }));
        Assert.Equal("13a4", BlockDocument.KeyOf(new Block(7, BlockProcess.Pattern("nginx"), "r", "b", At))[..4]); // never another one in a later version
    }

    [Fact]
    public void The_same_again_within_one_tick_is_another()
    {
        var document = BlockDocument.Empty;
        for (var i = 0; i < 3; i++)
        {
            document = document.Add(BlockProcess.Pattern("nginx"), "r", "b", At);
            document = document.Lift(document.Blocks[0], "fixed", "b", At);
        }

        Assert.Equal(3, document.Lifted.Select(lifted => BlockDocument.KeyOf(lifted.Block)).Distinct().Count());
    }

    [Fact]
    public void There_are_never_more_than_can_be_in_force_here_or_in_the_table()
    {
        var full = BlockDocument.Empty with { Blocks = [.. Enumerable.Range(1, Blocks.Maximum - 1).Select(i => Numbered(i))] };
        var other = BlockDocument.Empty with { Blocks = [Numbered(Blocks.Maximum + 1), Numbered(Blocks.Maximum)] };
        var joined = Join(full, other);
        Assert.Equal((Blocks.Maximum, $"acme/app{Blocks.Maximum}"), (joined.Blocks.Count, joined.Blocks[^1].Pattern.ToString()));
        Assert.Same(joined, Join(joined, other));
        Assert.NotNull(BlockDocument.Parse(FileReading.Found(joined.ToBytes())).Value);

        Assert.Single(Reading(full).Missing(other));
        Assert.Empty(Reading(joined).Missing(other));
    }

    private static Block Numbered(int number) =>
        new(number, BlockProcess.Pattern(string.Create(CultureInfo.InvariantCulture, $"acme/app{number}")), "r", "b", At.AddTicks(number));

    private static BlockReading Reading(BlockDocument document) => new(SequencePoint.None, [.. document.Blocks.Select(block => BlockTable.RowOf(block, 1))], []);

    private static BlockDocument Lift(BlockDocument document, Random random) =>
        document.Lift(document.Blocks[random.Next(document.Blocks.Count)], "fixed", "b", At);

    private static BlockDocument Join(BlockDocument here, BlockDocument there) =>
        here.Join(there.Blocks, there.Lifted.DistinctBy(lifted => BlockDocument.KeyOf(lifted.Block)).ToDictionary(lifted => BlockDocument.KeyOf(lifted.Block)));

    /// <summary>Where one was lifted that the first never had, the exchange says so when it comes: those count as well.</summary>
    private static string InForce(BlockDocument joined, BlockDocument[] documents) => string.Join(
        ' ',
        documents.Aggregate(joined, Join).ToBlocks().All.Select(block => string.Create(CultureInfo.InvariantCulture, $"{block.Pattern} {block.By} {block.At.Ticks}")).Order(StringComparer.Ordinal));
}
