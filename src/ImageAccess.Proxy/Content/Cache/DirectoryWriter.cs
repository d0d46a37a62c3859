using ImageAccess.Core.Oci;
using ImageAccess.Proxy.Foundation.Files;
using Microsoft.Win32.SafeHandles;

namespace ImageAccess.Proxy.Content.Cache;

/// <summary>A file under a name of its own, until it is published.</summary>
internal sealed class DirectoryWriter : CacheWriter
{
    /// <summary>When more comes than was announced, room is reserved in pieces of this size.</summary>
    private const long Piece = 4 * 1024 * 1024;

    private readonly DirectoryStore _store;
    private readonly CacheDirectory _directory;
    private readonly Digest _digest;
    private readonly DigestCheck _check;
    private readonly string _path;
    private readonly FileStream _file;
    private readonly SafeFileHandle _handle;
    private KeptContent? _published;
    private long _reserved;
    private long _length;
    private bool _isBroken;
    private int _isDisposed;

    public DirectoryWriter(DirectoryStore store, CacheDirectory directory, Digest digest, long reserved)
    {
        (_store, _directory, _digest, _reserved) = (store, directory, digest, reserved);
        _path = directory.NewComingPath();
        _file = Create();
        _handle = _file.SafeFileHandle;
        _check = new DigestCheck(digest);
    }

    public override long Length => Interlocked.Read(ref _length);

    public override async ValueTask WriteAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        ObjectDisposedException.ThrowIf(_isDisposed != 0, this);
        if (_isBroken || _published is not null)
            throw new InvalidOperationException("Nothing can be written after a failure, or after the end.");
        if (bytes.Length == 0)
            return;

        _isBroken = true;
        if (_length + bytes.Length > _reserved)
            Reserve(bytes.Length);
        try
        {
            var writing = RandomAccess.WriteAsync(_handle, bytes, _length, cancellationToken);
            _check.Append(bytes.Span);
            await writing;
        }
        catch (IOException exception)
        {
            if (!await TryAgainAsync(exception, bytes, cancellationToken))
            {
                _store.Budget.WriteFailed(exception);
                throw;
            }
        }

        _store.Budget.Written(bytes.Length);
        Interlocked.Add(ref _length, bytes.Length);
        _isBroken = false;
    }

    public override ValueTask<int> ReadAsync(Memory<byte> buffer, long offset, CancellationToken cancellationToken)
    {
        ObjectDisposedException.ThrowIf(_isDisposed != 0, this);
        var there = Math.Min(buffer.Length, Length - offset);
        return there <= 0 ? ValueTask.FromResult(0) : RandomAccess.ReadAsync(_handle, buffer[..(int)there], offset, cancellationToken);
    }

    public override bool Verifies() => _published is not null || (!_isBroken && _check.Verifies());

    public override async ValueTask PublishAsync(CancellationToken cancellationToken)
    {
        ObjectDisposedException.ThrowIf(_isDisposed != 0, this);
        if (_published is not null)
            return;
        if (!Verifies())
            throw new InvalidOperationException($"What was written is not {_digest}.");

        try
        {
            await Task.Run(() => RandomAccess.FlushToDisk(_handle), cancellationToken);
            await PublishOnceOrTwiceAsync();
            _store.Budget.Ended(_reserved, _reserved - _length);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            _store.Budget.WriteFailed(exception);
            throw exception as IOException ?? new IOException(exception.Message, exception);
        }
    }

    public override ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _isDisposed, 1) != 0)
            return ValueTask.CompletedTask;

        _check.Dispose();
        _file.Dispose();
        if (_published is { } published)
        {
            published.Release();
            return ValueTask.CompletedTask;
        }

        Delete();
        _store.Budget.Ended(_reserved, _reserved - _length);
        return ValueTask.CompletedTask;
    }

    /// <summary>A disk that is used up gets room, and the same write once more.</summary>
    private async ValueTask<bool> TryAgainAsync(IOException failure, ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        if (!FullDisk.IsCauseOf(failure) || !await _store.MakeRoomAsync(bytes.Length))
            return false;
        try
        {
            await RandomAccess.WriteAsync(_handle, bytes, _length, cancellationToken);
            return true;
        }
        catch (IOException)
        {
            return false;
        }
    }

    /// <summary>Its folder may need room as well.</summary>
    private async Task PublishOnceOrTwiceAsync()
    {
        try
        {
            _published = _store.Publish(_directory, _path, _digest, _length);
        }
        catch (IOException exception) when (FullDisk.IsCauseOf(exception))
        {
            if (!await _store.MakeRoomAsync(DiskSpace.Block))
                throw;
            _published = _store.Publish(_directory, _path, _digest, _length);
        }
    }

    private FileStream Create()
    {
        try
        {
            return Open();
        }
        catch (DirectoryNotFoundException)
        {
            _directory.Create(); // somebody has emptied the cache by hand
            return Open();
        }
    }

    /// <summary>A stream, because only a stream can be created with a file mode. It is read and written through its handle.</summary>
    private FileStream Open()
    {
        var options = OwnerFile.Options(FileMode.CreateNew, FileAccess.ReadWrite, FileShare.ReadWrite | FileShare.Delete);
        options.Options = FileOptions.Asynchronous;
        return new FileStream(_path, options);
    }

    private void Reserve(int length)
    {
        var more = Math.Max(Piece, length);
        _store.Budget.Reserve(_directory, more, _length + length);
        _reserved += more;
    }

    private void Delete()
    {
        try
        {
            File.Delete(_path);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            // The next start removes it.
        }
    }
}
