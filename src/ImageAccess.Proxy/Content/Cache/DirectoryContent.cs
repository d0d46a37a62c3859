using ImageAccess.Core.Oci;
using Microsoft.Win32.SafeHandles;

namespace ImageAccess.Proxy.Content.Cache;

/// <summary>A file, or the bytes of a small one.</summary>
internal sealed class DirectoryContent : CachedContent
{
    private readonly DirectoryStore? _store;
    private readonly KeptContent _content;
    private readonly SafeFileHandle? _handle;
    private readonly byte[]? _bytes;
    private int _isDisposed;

    public DirectoryContent(KeptContent content, string? mediaType, byte[] bytes) => (_content, MediaType, _bytes) = (content, mediaType, bytes);

    public DirectoryContent(DirectoryStore store, KeptContent content, string? mediaType, SafeFileHandle handle) =>
        (_store, _content, MediaType, _handle) = (store, content, mediaType, handle);

    public override Digest Digest => _content.Digest;

    public override long Length => _content.Length;

    public override string? MediaType { get; }

    public override ReadOnlyMemory<byte>? Bytes => _bytes is null ? default(ReadOnlyMemory<byte>?) : _bytes;

    public override ValueTask<int> ReadAsync(Memory<byte> buffer, long offset, CancellationToken cancellationToken)
    {
        ObjectDisposedException.ThrowIf(_isDisposed != 0, this);
        if (offset >= Length || buffer.Length == 0)
            return ValueTask.FromResult(0);
        if (_handle is not null)
            return ReadFileAsync(_handle, buffer, offset, cancellationToken);

        var bytes = _bytes.AsSpan((int)offset);
        bytes = bytes[..Math.Min(bytes.Length, buffer.Length)];
        bytes.CopyTo(buffer.Span);
        return ValueTask.FromResult(bytes.Length);
    }

    public override void Dispose()
    {
        if (Interlocked.Exchange(ref _isDisposed, 1) != 0)
            return;
        _handle?.Dispose();
        _content.Release();
    }

    private async ValueTask<int> ReadFileAsync(SafeFileHandle handle, Memory<byte> buffer, long offset, CancellationToken cancellationToken)
    {
        try
        {
            var read = await RandomAccess.ReadAsync(handle, buffer, offset, cancellationToken);
            return read > 0 ? read : throw new IOException($"The file of {Digest} has become shorter.");
        }
        catch (IOException exception)
        {
            _store!.Drop(_content, exception.Message);
            throw;
        }
    }
}
