using System.IO.Compression;
using System.IO.Pipelines;
using ImageAccess.Proxy.Foundation.DockerHub;

namespace ImageAccess.Proxy.Tests.Foundation.DockerHub;

/// <summary>An encoded answer that stalls is given up as any other: whoever reads it can end its wait.</summary>
public sealed class PlainAnswersTests
{
    [Theory]
    [InlineData("gzip")]
    [InlineData("deflate")]
    [InlineData("br")]
    [InlineData("gzip, deflate")]
    public async Task Loading_ends_with_its_token(string coding)
    {
        using var answer = await AskAsync(coding, new Pipe());
        using var leaving = new CancellationTokenSource();
        var loading = answer.Content.LoadIntoBufferAsync(1000, leaving.Token);
        Assert.False(loading.IsCompleted);
        await leaving.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => loading.WaitAsync(TimeSpan.FromSeconds(60)));
    }

    /// <summary>The caller's idle limit begins with its first read.</summary>
    [Theory]
    [InlineData("gzip")]
    [InlineData("deflate")]
    [InlineData("deflate, br")]
    public async Task Nothing_is_waited_for_before_somebody_reads(string coding)
    {
        using var answer = await AskAsync(coding, new Pipe());
        await using var body = await answer.Content.ReadAsStreamAsync().WaitAsync(TimeSpan.FromSeconds(60));
        using var leaving = new CancellationTokenSource();
        var reading = body.ReadAsync(new byte[1], leaving.Token).AsTask();
        await leaving.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => reading.WaitAsync(TimeSpan.FromSeconds(60)));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Deflate_comes_with_the_frame_of_zlib_and_without(bool isFramed)
    {
        var pipe = new Pipe();
        await using (Stream encoder = isFramed ? new ZLibStream(pipe.Writer.AsStream(), CompressionMode.Compress) : new DeflateStream(pipe.Writer.AsStream(), CompressionMode.Compress))
            await encoder.WriteAsync("plain"u8.ToArray());
        using var answer = await AskAsync("deflate", pipe);
        Assert.Equal("plain", await answer.Content.ReadAsStringAsync());
    }

    private static async Task<HttpResponseMessage> AskAsync(string coding, Pipe body)
    {
        using var invoker = new HttpMessageInvoker(new PlainAnswers(new Answering(coding, body.Reader.AsStream())));
        using var request = new HttpRequestMessage(HttpMethod.Get, "https://hub.test/");
        return await invoker.SendAsync(request, CancellationToken.None);
    }

    private sealed class Answering(string coding, Stream body) : HttpMessageHandler
    {
        protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            var answer = new HttpResponseMessage { Content = new StreamContent(body) };
            answer.Content.Headers.TryAddWithoutValidation("Content-Encoding", coding);
            return Task.FromResult(answer);
        }
    }
}
