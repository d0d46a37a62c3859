using ImageAccess.Core.Oci;
using ImageAccess.Proxy.Content.Cache;

namespace ImageAccess.Proxy.Tests.Content.Cache;

/// <summary>Everything in memory, up to a size; nothing is left after a restart: the second store that keeps the conformance suite honest.</summary>
internal sealed class MemoryStore : IContentStore
{
    private readonly long _maximumSize;
    private readonly TimeProvider _time;
    private readonly Lock _changing = new();
    private readonly Dictionary<KeptContent, GrowingBytes> _bytes = [];
    private long _coming;

    public MemoryStore(long maximumSize, TimeProvider time)
    {
        (_maximumSize, _time) = (maximumSize, time);
        Links = new LinkIndex(digest => Contents.TryFind(digest, out _));
    }

    public ContentIndex Contents { get; } = new();

    public LinkIndex Links { get; }

    public ValueTask<CachedContent?> OpenAsync(ContentLink? link, CancellationToken cancellationToken)
    {
        if (link is null || !Contents.TryFind(link.Digest, out var content) || !content.TryHold(_time.GetUtcNow()))
            return default;
        lock (_changing)
            return new(new Content(this, content, link.MediaType, _bytes[content]));
    }

    public ValueTask<bool> HoldsAsync(Digest digest, CancellationToken cancellationToken) => new(Contents.TryFind(digest, out _));

    public bool IsOpen => true;

    public ValueTask<long?> RemoveAsync(Digest digest)
    {
        lock (_changing)
        {
            if (!Contents.TryFind(digest, out var content) || !Contents.Remove(content))
                return default;
            if (content.TryRetire())
                _bytes.Remove(content); // else whoever holds it does
            return new(content.Length);
        }
    }

    public ValueTask<long?> MeasureAsync(Digest digest, CancellationToken cancellationToken) => new(Contents.TryFind(digest, out var content) ? content.Length : null);

    public ValueTask<CacheWriter?> BeginAsync(Digest digest, long? length, CancellationToken cancellationToken) =>
        new(TryReserve(length ?? 0) ? new Writer(this, digest, length ?? 0) : null);

    /// <summary>Evicts what is in the way; false where that is not enough.</summary>
    private bool TryReserve(long length)
    {
        var evicted = new HashSet<Digest>();
        lock (_changing)
        {
            if (_coming + length > _maximumSize)
                return false;
            foreach (var content in Contents.Size + _coming + length > _maximumSize ? Contents.LeastRecentlyUsedFirst() : [])
            {
                if (Contents.Size + _coming + length <= _maximumSize)
                    break;
                if (!content.TryRetire())
                    continue;
                Contents.Remove(content);
                _bytes.Remove(content);
                evicted.Add(content.Digest);
            }

            if (Contents.Size + _coming + length > _maximumSize)
                length = -1;
            else
                _coming += length;
        }

        Links.Forget(evicted);
        return length >= 0;
    }

    private void Ended(long reserved)
    {
        lock (_changing)
            _coming -= reserved;
    }

    private KeptContent Publish(Digest digest, GrowingBytes bytes)
    {
        var content = new KeptContent(digest, bytes.Length, _time.GetUtcNow());
        content.TryHold(content.LastUse);
        bytes.End();
        lock (_changing)
        {
            if (Contents.TryFind(digest, out var former) && Contents.Remove(former) && former.TryRetire())
                _bytes.Remove(former);
            _bytes[content] = bytes;
            Contents.TryAdd(content);
        }

        return content;
    }

    private void Release(KeptContent content)
    {
        content.Release();
        lock (_changing)
        {
            // It was replaced while it was held.
            if (!(Contents.TryFind(content.Digest, out var present) && present == content) && content.TryRetire())
                _bytes.Remove(content);
        }
    }

    /// <summary>Pieces, so that what has come can be read while more comes, and nothing is moved.</summary>
    private sealed class GrowingBytes
    {
        private const int PieceSize = SmallContents.Largest;

        private readonly List<byte[]> _pieces = [];
        private long _length;

        public long Length => Interlocked.Read(ref _length);

        public ReadOnlyMemory<byte>? AsSmall() => Length > PieceSize ? default(ReadOnlyMemory<byte>?) : Length == 0 ? Array.Empty<byte>() : PieceAt(0).AsMemory(0, (int)Length);

        public void Append(ReadOnlySpan<byte> bytes)
        {
            while (bytes.Length > 0)
            {
                var place = (int)(_length % PieceSize);
                if (place == 0)
                {
                    lock (_pieces)
                        _pieces.Add(new byte[PieceSize]);
                }

                var now = Math.Min(bytes.Length, PieceSize - place);
                bytes[..now].CopyTo(PieceAt(_length).AsSpan(place));
                bytes = bytes[now..];
                Interlocked.Add(ref _length, now);
            }
        }

        public int Read(Span<byte> buffer, long offset)
        {
            var there = (int)Math.Min(buffer.Length, Math.Max(0, Length - offset));
            var read = 0;
            while (read < there)
            {
                var place = (int)((offset + read) % PieceSize);
                var piece = PieceAt(offset + read).AsSpan(place, Math.Min(there - read, PieceSize - place));
                piece.CopyTo(buffer[read..]);
                read += piece.Length;
            }

            return read;
        }

        /// <summary>Nothing more comes.</summary>
        public void End()
        {
            lock (_pieces)
            {
                if (_pieces.Count > 0 && _length % PieceSize != 0)
                    _pieces[^1] = _pieces[^1][..(int)(_length % PieceSize)];
            }
        }

        private byte[] PieceAt(long offset)
        {
            lock (_pieces)
                return _pieces[(int)(offset / PieceSize)];
        }
    }

    private sealed class Content(MemoryStore store, KeptContent content, string? mediaType, GrowingBytes bytes) : CachedContent
    {
        private int _isDisposed;

        public override Digest Digest => content.Digest;

        public override long Length => content.Length;

        public override string? MediaType => mediaType;

        public override ReadOnlyMemory<byte>? Bytes => bytes.AsSmall();

        public override ValueTask<int> ReadAsync(Memory<byte> buffer, long offset, CancellationToken cancellationToken)
        {
            ObjectDisposedException.ThrowIf(_isDisposed != 0, this);
            return ValueTask.FromResult(bytes.Read(buffer.Span, offset));
        }

        public override void Dispose()
        {
            if (Interlocked.Exchange(ref _isDisposed, 1) == 0)
                store.Release(content);
        }
    }

    private sealed class Writer(MemoryStore store, Digest digest, long reserved) : CacheWriter
    {
        private readonly GrowingBytes _bytes = new();
        private readonly DigestCheck _check = new(digest);
        private long _reserved = reserved;
        private KeptContent? _published;
        private int _isDisposed;

        public override long Length => _bytes.Length;

        public override ValueTask WriteAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
        {
            ObjectDisposedException.ThrowIf(_isDisposed != 0, this);
            if (_published is not null)
                throw new InvalidOperationException("Nothing can be written after the end.");
            var more = Length + bytes.Length - _reserved;
            if (more > 0 && !store.TryReserve(more))
                throw new IOException("The cache has no room left.");
            _reserved += Math.Max(0, more);
            _check.Append(bytes.Span);
            _bytes.Append(bytes.Span);
            return ValueTask.CompletedTask;
        }

        public override ValueTask<int> ReadAsync(Memory<byte> buffer, long offset, CancellationToken cancellationToken)
        {
            ObjectDisposedException.ThrowIf(_isDisposed != 0, this);
            return ValueTask.FromResult(_bytes.Read(buffer.Span, offset));
        }

        public override bool Verifies() => _published is not null || _check.Verifies();

        public override ValueTask PublishAsync(CancellationToken cancellationToken)
        {
            ObjectDisposedException.ThrowIf(_isDisposed != 0, this);
            if (_published is not null)
                return ValueTask.CompletedTask;
            if (!Verifies())
                throw new InvalidOperationException($"What was written is not {digest}.");
            _published = store.Publish(digest, _bytes);
            store.Ended(_reserved);
            return ValueTask.CompletedTask;
        }

        public override ValueTask DisposeAsync()
        {
            if (Interlocked.Exchange(ref _isDisposed, 1) != 0)
                return ValueTask.CompletedTask;
            _check.Dispose();
            if (_published is { } published)
                store.Release(published);
            else
                store.Ended(_reserved);
            return ValueTask.CompletedTask;
        }
    }
}
