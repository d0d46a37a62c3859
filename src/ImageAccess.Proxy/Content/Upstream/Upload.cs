using System.Globalization;
using System.Net;
using ImageAccess.Proxy.Foundation.DockerHub;

namespace ImageAccess.Proxy.Content.Upstream;

/// <summary>
/// One request whose body is streamed to upstream, on a connection of its own. The web client sends all of a body before it looks for an
/// answer; an upload watches for the answer meanwhile. When upstream refuses, nothing more is read of the client or sent to upstream
/// (RFC 9112, section 9.5), and the answer is there at once.
/// </summary>
internal sealed class Upload : IDisposable
{
    private readonly CancellationTokenSource _refused = new();

    /// <summary>Upstream has refused the request before all of it was read of the client.</summary>
    public bool IsCut { get; private set; }

    /// <summary>Watches a connection on which the request is about to be sent.</summary>
    public Stream Watch(Stream connection) => new WatchedConnection(connection, _refused);

    /// <summary>Sends the request by <paramref name="inner"/>, which sends on a connection that is watched.</summary>
    public HttpMessageHandler SendBy(HttpMessageHandler inner) => new Sending(inner, this);

    public void Dispose() => _refused.Dispose();

    private sealed class Sending(HttpMessageHandler inner, Upload upload) : DelegatingHandler(inner)
    {
        protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            if (request.Content is { } body)
                request.Content = new RefusableContent(body, upload);
            return base.SendAsync(request, cancellationToken);
        }
    }

    /// <summary>A body that ends when it is refused.</summary>
    private sealed class RefusableContent : HttpContent
    {
        /// <summary>What stands for bytes that nobody takes any more: so many at a time that the largest upload ends in milliseconds.</summary>
        private static readonly byte[] Nothing = new byte[16 * 1024 * 1024];

        private readonly HttpContent _body;
        private readonly Upload _upload;
        private readonly CancellationToken _refused;

        public RefusableContent(HttpContent body, Upload upload)
        {
            (_body, _upload, _refused) = (body, upload, upload._refused.Token);
            foreach (var (name, values) in body.Headers.NonValidated)
                Headers.TryAddWithoutValidation(name, values);
        }

        protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context) => SerializeToStreamAsync(stream, context, CancellationToken.None);

        protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context, CancellationToken cancellationToken)
        {
            var sent = new PromptStream(stream);
            using var either = CancellationTokenSource.CreateLinkedTokenSource(_refused, cancellationToken);
            try
            {
                await stream.FlushAsync(either.Token); // upstream may refuse by the head alone
                await _body.CopyToAsync(sent, context, either.Token);
            }
            catch (Exception) when (_refused.IsCancellationRequested)
            {
                _upload.IsCut = true;
                await EndAsync(stream, (Headers.ContentLength ?? 0) - sent.Written, cancellationToken);
            }
        }

        protected override bool TryComputeLength(out long length)
        {
            length = 0;
            return false;
        }

        protected override void Dispose(bool disposing)
        {
            if (disposing)
                _body.Dispose();
            base.Dispose(disposing);
        }

        /// <summary>The web client wants as many bytes as the head has promised. The connection drops them.</summary>
        private static async Task EndAsync(Stream stream, long missing, CancellationToken cancellationToken)
        {
            for (; missing > 0; missing -= Nothing.Length)
                await stream.WriteAsync(Nothing.AsMemory(0, (int)Math.Min(missing, Nothing.Length)), cancellationToken);
        }
    }

    /// <summary>Sends each piece at once, however small: the client may wait for an answer to it.</summary>
    private sealed class PromptStream(Stream inner) : LayeredStream(inner)
    {
        public long Written { get; private set; }

        public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
        {
            await Inner.WriteAsync(buffer, cancellationToken);
            Written += buffer.Length;
            await Inner.FlushAsync(cancellationToken);
        }
    }

    /// <summary>Reads while it is written to. Once upstream has refused, what is written is dropped: the connection serves to read the answer.</summary>
    private sealed class WatchedConnection(Stream inner, CancellationTokenSource refused) : LayeredStream(inner)
    {
        /// <summary><c>HTTP/1.1 413</c></summary>
        private const int StatusLength = 12;

        private readonly byte[] _buffer = new byte[4096];
        private int _read;
        private int _given;
        private Task? _watching;

        public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
        {
            _watching ??= WatchAsync();
            using var either = CancellationTokenSource.CreateLinkedTokenSource(refused.Token, cancellationToken);
            try
            {
                if (!refused.IsCancellationRequested)
                    await Inner.WriteAsync(buffer, either.Token);
            }
            catch (OperationCanceledException) when (refused.IsCancellationRequested)
            {
                // Upstream reads no further.
            }
            catch (IOException)
            {
                await _watching.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing); // it has closed: perhaps after an answer
                if (!refused.IsCancellationRequested)
                    throw;
            }
        }

        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            if (_watching is not null)
            {
                await _watching.WaitAsync(cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                cancellationToken.ThrowIfCancellationRequested();
                if (_given < _read)
                {
                    var count = Math.Min(_read - _given, buffer.Length);
                    _buffer.AsMemory(_given, count).CopyTo(buffer);
                    _given += count;
                    return count;
                }

                await _watching;
            }

            return await Inner.ReadAsync(buffer, cancellationToken);
        }

        /// <summary>Reads until it is known whether upstream refuses: interim answers (1xx) say nothing.</summary>
        private async Task WatchAsync()
        {
            for (var start = 0; _read < _buffer.Length; start = await EndOfHeadAsync(start))
            {
                while (_read < start + StatusLength)
                {
                    if (start + StatusLength > _buffer.Length || !await FillAsync())
                        return;
                }

                var status = _buffer.AsSpan(start, StatusLength);
                if (!status.StartsWith("HTTP/1."u8) || !int.TryParse(status[9..], NumberStyles.None, CultureInfo.InvariantCulture, out var code) || code is >= 200 and < 300)
                    return;
                if (code < 200)
                    continue;
                await refused.CancelAsync();
                return;
            }
        }

        /// <summary>Where the head that begins at <paramref name="start"/> ends; the buffer's end where it does not.</summary>
        private async ValueTask<int> EndOfHeadAsync(int start)
        {
            while (true)
            {
                var end = _buffer.AsSpan(start, _read - start).IndexOf("\r\n\r\n"u8);
                if (end >= 0)
                    return start + end + 4;
                if (_read == _buffer.Length || !await FillAsync())
                    return _buffer.Length;
            }
        }

        private async ValueTask<bool> FillAsync()
        {
            var count = await Inner.ReadAsync(_buffer.AsMemory(_read));
            _read += count;
            return count > 0;
        }
    }
}
