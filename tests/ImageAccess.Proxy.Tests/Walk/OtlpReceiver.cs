using System.Collections.Concurrent;
using System.Net;
using System.Text;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;

namespace ImageAccess.Proxy.Tests.Walk;

/// <summary>Takes what OTLP sends, over HTTP and over gRPC, each at an address of its own.</summary>
internal sealed class OtlpReceiver : IAsyncDisposable
{
    /// <summary>Whether it is compressed, and its length (gRPC over HTTP/2, "Length-Prefixed-Message").</summary>
    private const int GrpcPrefix = 5;

    private readonly ConcurrentQueue<(string Path, byte[] Message)> _received = new();
    private readonly WebApplication _app;

    private OtlpReceiver(WebApplication app) => _app = app;

    public string Address => Addresses.First();

    public string GrpcAddress => Addresses.Last();

    private ICollection<string> Addresses => _app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses;

    public static async Task<OtlpReceiver> StartAsync()
    {
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel =>
        {
            kestrel.Listen(IPAddress.Loopback, 0);
            kestrel.Listen(IPAddress.Loopback, 0, listen => listen.Protocols = HttpProtocols.Http2);
        });
        var receiver = new OtlpReceiver(builder.Build());
        receiver._app.Run(async http =>
        {
            using var body = new MemoryStream();
            await http.Request.Body.CopyToAsync(body);
            var isGrpc = http.Request.ContentType == "application/grpc";
            receiver._received.Enqueue((http.Request.Path.Value!, body.ToArray()[(isGrpc ? GrpcPrefix : 0)..]));
            http.Response.ContentType = isGrpc ? "application/grpc" : "application/x-protobuf";
            if (!isGrpc)
                return;
            http.Response.DeclareTrailer("grpc-status");
            await http.Response.BodyWriter.WriteAsync(new byte[GrpcPrefix]); // an empty message
            http.Response.AppendTrailer("grpc-status", "0");
        });
        await receiver._app.StartAsync();
        return receiver;
    }

    /// <summary>As text: in protobuf, names and texts stand as they are.</summary>
    public IReadOnlyList<string> At(string path) => [.. _received.Where(one => one.Path == path).Select(one => Encoding.Latin1.GetString(one.Message))];

    /// <summary>All messages to a path that ends so, read.</summary>
    public IReadOnlyList<ProtobufMessage> Read(string end) =>
        [.. _received.Where(one => one.Path.EndsWith(end, StringComparison.Ordinal)).Select(one => ProtobufMessage.Read(one.Message))];

    public ValueTask DisposeAsync() => _app.DisposeAsync();
}
