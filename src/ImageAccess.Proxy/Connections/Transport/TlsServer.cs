using System.IO.Pipelines;
using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Http.Features;

namespace ImageAccess.Proxy.Connections.Transport;

/// <summary>The server's side of TLS, on the socket itself: Kestrel's own writes through another pipe and in smaller pieces.</summary>
internal sealed class TlsServer(Func<SslServerAuthenticationOptions> options, TimeSpan timeout, TimeProvider time)
{
    /// <summary>Four of the largest records.</summary>
    private const int BufferSize = 64 * 1024;

    public async Task HandleAsync(ConnectionContext connection, ConnectionDelegate next)
    {
        await using var tls = new SslStream(((SocketConnection)connection.Features.Get<IConnectionSocketFeature>()!).Stream, leaveInnerStreamOpen: true);
        if (!await AgreeAsync(tls, connection.ConnectionClosed))
            return;

        var below = connection.Transport;
        var inside = new DuplexPipe(
            PipeReader.Create(tls, new StreamPipeReaderOptions(leaveOpen: true)),
            PipeWriter.Create(tls, new StreamPipeWriterOptions(minimumBufferSize: BufferSize, leaveOpen: true)));
        connection.Features.Set<ITlsConnectionFeature>(WithoutClientCertificate.Instance);
        connection.Transport = inside;
        try
        {
            await next(connection);
        }
        finally
        {
            await inside.Input.CompleteAsync();
            await inside.Output.CompleteAsync();
            connection.Transport = below;
        }
    }

    /// <summary>False when the handshake failed.</summary>
    private async Task<bool> AgreeAsync(SslStream tls, CancellationToken cancellationToken)
    {
        using var limit = new CancellationTokenSource(timeout, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        try
        {
            await tls.AuthenticateAsServerAsync(options(), either.Token);
            return true;
        }
        catch (Exception exception) when (exception is AuthenticationException or IOException or OperationCanceledException)
        {
            return false;
        }
    }

    /// <summary>By this feature Kestrel knows that a connection is https.</summary>
    private sealed class WithoutClientCertificate : ITlsConnectionFeature
    {
        public static readonly WithoutClientCertificate Instance = new();

        public X509Certificate2? ClientCertificate { get => null; set => throw new NotSupportedException(); }

        public Task<X509Certificate2?> GetClientCertificateAsync(CancellationToken cancellationToken) => Task.FromResult<X509Certificate2?>(null);
    }
}
