using System.Threading.Channels;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Content.Cache;
using ImageAccess.Proxy.Foundation.Audit;
using ImageAccess.Proxy.Policies.Store;

namespace ImageAccess.Proxy.Content.Serving;

/// <summary>
/// Forgets what is kept of whatever a block says to forget: at the start, and as soon as there is such a block, from whichever replica it came. Nobody is
/// served it before that either.
/// </summary>
internal sealed class BlockedContent : BackgroundService
{
    private static readonly TimeSpan Retry = TimeSpan.FromSeconds(10);

    private readonly Channel<bool> _changes = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });
    private readonly SemaphoreSlim _one = new(1);
    private readonly Dictionary<string, Purged> _done = [];
    private readonly PolicyStore _store;
    private readonly Forgetting _forgetting;
    private readonly IContentStore _contents;
    private readonly ILinkStore _links;
    private readonly AuditTrail _trail;
    private readonly TimeProvider _time;
    private readonly ILogger<BlockedContent> _logger;

    public BlockedContent(
        PolicyStore store, Forgetting forgetting, IContentStore contents, ILinkStore links, AuditTrail trail, TimeProvider time, ILogger<BlockedContent> logger)
    {
        (_store, _forgetting, _contents, _links, _trail, _time, _logger) = (store, forgetting, contents, links, trail, time, logger);
        store.WhenBlocksChanged(() => _changes.Writer.TryWrite(true));
    }

    /// <summary>Forgets what is to be forgotten and is not yet.</summary>
    /// <returns>What this process has forgotten for each of the blocks in force that say so, by its key.</returns>
    /// <exception cref="IOException">Something cannot be removed.</exception>
    public async Task<IReadOnlyDictionary<string, Purged>> LookAsync(CancellationToken cancellationToken)
    {
        await _one.WaitAsync(cancellationToken);
        try
        {
            var wanted = _store.Blocks.Blocks.Where(block => block.Forgets).ToDictionary(BlockDocument.KeyOf);
            foreach (var gone in _done.Keys.Except(wanted.Keys).ToList())
                _done.Remove(gone);
            var further = wanted.Where(block => !_done.ContainsKey(block.Key)).ToList();
            if (further.Count == 0)
                return new Dictionary<string, Purged>(_done);
            var linked = new LinkedNames(await _links.ListAsync((_, _) => true));
            foreach (var (key, block) in further)
            {
                var purged = linked.May(block.Pattern) ? await ForgetAsync(block) : Purged.Nothing;
                if (_contents.IsOpen)
                    _done[key] = purged;
            }

            return new Dictionary<string, Purged>(_done);
        }
        finally
        {
            _one.Release();
        }
    }

    public override void Dispose()
    {
        _one.Dispose();
        base.Dispose();
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        string? told = null;
        while (true)
        {
            var isDone = false;
            try
            {
                await LookAsync(stoppingToken);
                (isDone, told) = (_contents.IsOpen, null);
            }
            catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
            {
                if (told != exception.Message)
                    _logger.BlockedContentStays(exception.Message);
                told = exception.Message;
            }

            if (isDone)
                await _changes.Reader.ReadAsync(stoppingToken);
            else
                await Task.Delay(Retry, _time, stoppingToken);
        }
    }

    private async Task<Purged> ForgetAsync(Block block)
    {
        var purged = await _forgetting.PurgeAsync(block.Pattern);
        if (purged.IsNothing)
            return purged;
        var (repository, reference) = block.Pattern.Asked is { } asked
            ? (asked.Repository.Value, asked.Tag?.Value ?? asked.Digest?.Value)
            : block.Pattern.Namespace is { } name ? ($"{name}/*", null) : ("*", block.Pattern.ToString());
        await _trail.RecordForgottenAsync(repository, reference, purged.Links, purged.Tags, block.By, client: null, block.Reason, CancellationToken.None);
        _logger.BlockedContentForgotten(block.Pattern.ToString(), purged.Contents, purged.Bytes);
        if (purged.Unread > 0)
            _logger.Unread(block.Pattern.ToString(), purged.Unread, repository);
        return purged;
    }

    /// <summary>What there are links of: most blocks are about nothing that is kept here.</summary>
    private sealed class LinkedNames(IReadOnlyList<SeenLink> links)
    {
        private readonly HashSet<string> _repositories = [.. links.Select(link => link.Repository.Value)];
        private readonly HashSet<string> _namespaces = [.. links.Select(link => link.Repository.Namespace)];

        public bool May(ImagePattern image) =>
            image.Namespace is { } name ? _namespaces.Contains(name)
            : image.Asked is not { } asked || _repositories.Contains(asked.Repository.Value);
    }
}
