using System.IO.Compression;
using System.IO.Pipelines;
using System.Net;

namespace ImageAccess.Proxy.Foundation.DockerHub;

/// <summary>
/// Decodes upstream's answers (RFC 9110, section 8.4). The proxy asks for no coding, but an upstream, or something on the way to it, may use
/// one all the same. Digests and limits are of the decoded bytes, and whoever reads an answer finds it plain, without <c>Content-Encoding</c>.
/// </summary>
internal sealed class PlainAnswers(HttpMessageHandler inner) : DelegatingHandler(inner)
{
    /// <summary>How many codings may lie one above another.</summary>
    private const int MaximumCodings = 3;

    private const string Header = "Content-Encoding";

    protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        var answer = await base.SendAsync(request, cancellationToken);
        if (answer.StatusCode == HttpStatusCode.SwitchingProtocols)
        {
            answer.Dispose();
            throw new UnreadableAnswerException("upstream answered 101, as to a request for another protocol, which was none");
        }

        if (!answer.Content.Headers.NonValidated.TryGetValues(Header, out var values))
            return answer;

        string[] codings = [.. string.Join(',', values).Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries)
            .Select(coding => coding.ToLowerInvariant()).Where(coding => coding != "identity")];
        var headers = answer.Content.Headers;
        if (codings.Length == 0 || headers.ContentLength == 0 || answer.StatusCode is HttpStatusCode.NoContent or HttpStatusCode.NotModified)
        {
            headers.Remove(Header);
        }
        else if (request.Method == HttpMethod.Head)
        {
            headers.Remove(Header);
            headers.Remove("Content-Length"); // of what is encoded
        }
        else if (answer.IsSuccessStatusCode && ProblemOf(answer, codings) is { } problem)
        {
            answer.Dispose();
            throw new UnreadableAnswerException(problem);
        }
        else
        {
            Decode(answer, codings);
        }

        return answer;
    }

    private static string? ProblemOf(HttpResponseMessage answer, string[] codings) =>
        UnknownOf(codings) is { } unknown ? $"upstream's answer has a Content-Encoding that is not known: {unknown}"
        : answer.StatusCode == HttpStatusCode.PartialContent ? "upstream sent a part of an encoded answer, which cannot be decoded"
        : null;

    private static string? UnknownOf(string[] codings) =>
        codings.Length > MaximumCodings ? $"{codings.Length} one above another" : codings.FirstOrDefault(coding => coding is not ("gzip" or "x-gzip" or "deflate" or "br"));

    private static void Decode(HttpResponseMessage answer, string[] codings)
    {
        if (answer.Content.Headers.ContentLength is not null)
            answer.Headers.TransferEncodingChunked = true; // its end can be told, although its length is not known any more
        answer.Content = new DecodedContent(answer.Content, codings);
    }

    private sealed class DecodedContent : HttpContent
    {
        private readonly HttpContent _encoded;
        private readonly string[] _codings;

        public DecodedContent(HttpContent encoded, string[] codings)
        {
            (_encoded, _codings) = (encoded, codings);
            foreach (var (name, values) in encoded.Headers.NonValidated)
            {
                if (!name.Equals(Header, StringComparison.OrdinalIgnoreCase) && !name.Equals("Content-Length", StringComparison.OrdinalIgnoreCase))
                    Headers.TryAddWithoutValidation(name, values);
            }
        }

        protected override Task<Stream> CreateContentReadStreamAsync() => CreateContentReadStreamAsync(CancellationToken.None);

        protected override async Task<Stream> CreateContentReadStreamAsync(CancellationToken cancellationToken)
        {
            if (UnknownOf(_codings) is { } unknown)
                throw new UnreadableAnswerException($"upstream's answer has a Content-Encoding that is not known: {unknown}");
            var stream = await _encoded.ReadAsStreamAsync(cancellationToken);
            foreach (var coding in _codings.Reverse())
                stream = new DecodingStream(stream, coding);
            return stream;
        }

        protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context) => SerializeToStreamAsync(stream, context, CancellationToken.None);

        protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context, CancellationToken cancellationToken)
        {
            await using var decoded = await CreateContentReadStreamAsync(cancellationToken);
            await decoded.CopyToAsync(stream, cancellationToken);
        }

        protected override bool TryComputeLength(out long length)
        {
            length = 0;
            return false;
        }

        protected override void Dispose(bool disposing)
        {
            if (disposing)
                _encoded.Dispose();
            base.Dispose(disposing);
        }
    }

    /// <summary>Nothing is read before somebody reads. What cannot be decoded fails as what breaks off does.</summary>
    private sealed class DecodingStream(Stream encoded, string coding) : LayeredStream(encoded)
    {
        private Stream? _decoder;

        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            try
            {
                _decoder ??= await BeginAsync(cancellationToken);
                return await _decoder.ReadAsync(buffer, cancellationToken);
            }
            catch (Exception exception) when (exception is InvalidDataException or InvalidOperationException)
            {
                throw new IOException("upstream's answer is not what its Content-Encoding says", exception);
            }
        }

        public override async ValueTask DisposeAsync()
        {
            if (_decoder is not null)
                await _decoder.DisposeAsync();
            await base.DisposeAsync();
        }

        protected override void Dispose(bool disposing)
        {
            if (disposing)
                _decoder?.Dispose();
            base.Dispose(disposing);
        }

        private async ValueTask<Stream> BeginAsync(CancellationToken cancellationToken)
        {
            if (coding == "br")
                return new BrotliStream(Inner, CompressionMode.Decompress);
            if (coding != "deflate")
                return new GZipStream(Inner, CompressionMode.Decompress);

            // Some servers send deflate without the frame of zlib (RFC 9110, section 8.4.1.2).
            var reader = PipeReader.Create(Inner);
            var start = await reader.ReadAsync(cancellationToken);
            var isFramed = start.Buffer.IsEmpty || (start.Buffer.FirstSpan[0] & 0x0F) == 8;
            reader.AdvanceTo(start.Buffer.Start);
            return isFramed ? new ZLibStream(reader.AsStream(), CompressionMode.Decompress) : new DeflateStream(reader.AsStream(), CompressionMode.Decompress);
        }
    }
}

/// <summary>Upstream's answer is encoded in a way that cannot be decoded, or is no answer to what was asked.</summary>
internal sealed class UnreadableAnswerException(string message) : HttpRequestException(HttpRequestError.InvalidResponse, message);
