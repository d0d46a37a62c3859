namespace ImageAccess.FakeHubs;

/// <summary>Hands the body of an answer on, and lets a step look at or change each piece.</summary>
internal sealed class ResponseStream(Stream next, Func<ReadOnlyMemory<byte>, Stream, CancellationToken, ValueTask> step) : Stream
{
    public override bool CanRead => false;

    public override bool CanSeek => false;

    public override bool CanWrite => true;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default) =>
        step(buffer, next, cancellationToken);

    public override Task WriteAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        step(buffer.AsMemory(offset, count), next, cancellationToken).AsTask();

    public override Task FlushAsync(CancellationToken cancellationToken) => next.FlushAsync(cancellationToken);

    public override void Flush() => next.Flush();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();
}
