using System.Globalization;
using System.Net;
using System.Text;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace ImageAccess.FakeHubs;

/// <summary>
/// Docker Hub in one process: registry, token service, Hub API, CDN and index, each on a port of its own, and on request
/// all of them under Docker Hub's own names with TLS.
/// </summary>
public sealed class FakeHub : IAsyncDisposable
{
    /// <summary>Of a request's line, and of its headers: a token that grants much is long.</summary>
    private const int LargestHead = 512 * 1024;

    private readonly CancellationTokenSource _stopping = new();
    private readonly Dictionary<Face, ListenOptions> _listeners = [];
    private readonly IRegistryContent _content;
    private readonly RegistryFace _registry;
    private readonly TokenFace _tokens;
    private readonly HubApiFace _hubApi;
    private readonly SearchFace _search;
    private readonly CdnFace _cdn;
    private ListenOptions? _tlsListener;
    private WebApplication? _app;

    private FakeHub(FakeHubOptions options)
    {
        Options = options;
        Signer = TokenSigner.ForHub(options);
        Users = new FakeUsers(Namespaces);

        var links = new CdnLinks(options.Time);
        _content = options.RegistryBackend is { } backend ? new BackendContent(this, links, backend) : new MemoryContent(this, links);
        var entitlements = new Entitlements(Namespaces, Images, _content);
        _registry = new RegistryFace(this, _content);
        _tokens = new TokenFace(this, entitlements);
        _hubApi = new HubApiFace(this, entitlements, _content);
        _search = new SearchFace(this, _content);
        _cdn = new CdnFace(links, _content);
    }

    public Uri Registry => AddressOf(Face.Registry);

    /// <summary>The token service, at its <c>/token</c>.</summary>
    public Uri Auth => AddressOf(Face.Auth);

    public Uri Hub => AddressOf(Face.Hub);

    public Uri Cdn => AddressOf(Face.Cdn);

    /// <summary><c>/v1/search</c>, and the registry once more.</summary>
    public Uri Index => AddressOf(Face.Index);

    /// <summary>Where it answers under Docker Hub's names with TLS; null when it was not asked to.</summary>
    public IPEndPoint? TlsEndPoint => _tlsListener?.IPEndPoint;

    /// <summary>Who signed the certificate for Docker Hub's names; null without <see cref="TlsEndPoint"/>.</summary>
    public CertificateAuthority? CertificateAuthority { get; private set; }

    public FakeUsers Users { get; }

    public FakeNamespaces Namespaces { get; } = new();

    public FakeRegistry Images { get; } = new();

    public TokenSigner Signer { get; }

    public FakeFaults Faults { get; } = new();

    public RequestRecord Requests { get; } = new();

    public TimeProvider Time => Options.Time;

    /// <summary>Changes every token that the token service issues, before it is signed.</summary>
    public Action<TokenDraft>? ShapeToken { get; set; }

    internal FakeHubOptions Options { get; }

    public static async Task<FakeHub> StartAsync(Action<FakeHubOptions>? configure = null)
    {
        var options = new FakeHubOptions();
        configure?.Invoke(options);
        var hub = new FakeHub(options);
        try
        {
            await hub.ListenAsync();
            return hub;
        }
        catch
        {
            await hub.DisposeAsync();
            throw;
        }
    }

    /// <summary>The token that the token service would give, without asking it over HTTP; anonymous for a null name.</summary>
    public Task<string> TokenForAsync(string? username, params string[] scopes)
    {
        FakeAccount? account = null;
        if (username is not null)
            account = Users.Find(username) ?? throw new ArgumentException($"nobody is called {username}", nameof(username));
        return _tokens.IssueAsync(account, "registry.docker.io", scopes, CancellationToken.None);
    }

    /// <summary>Puts an image where this hub has its content: into its memory or its backend.</summary>
    public Task PushAsync(string repository, string tag, BuiltImage image) =>
        _content.PushAsync(repository, tag, image, CancellationToken.None);

    /// <summary>Returns when the process is told to end.</summary>
    public Task WaitForShutdownAsync(CancellationToken cancel = default) => _app!.WaitForShutdownAsync(cancel);

    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync();
        if (_app is not null)
        {
            await _app.StopAsync();
            await _app.DisposeAsync();
        }

        (_content as IDisposable)?.Dispose();
        CertificateAuthority?.Dispose();
        _stopping.Dispose();
    }

    internal string RealmFor(HttpContext http) => new Uri(BaseFor(http, Face.Auth, DockerHubNames.Auth), "/token").AbsoluteUri;

    internal Uri RegistryFor(HttpContext http) =>
        Options.PublicRegistry ?? BaseFor(http, Face.Registry, DockerHubNames.Registry);

    internal Uri CdnFor(HttpContext http) => BaseFor(http, Face.Cdn, DockerHubNames.Cdn);

    internal Uri HubFor(HttpContext http) => BaseFor(http, Face.Hub, DockerHubNames.Hub);

    /// <summary>Who asks under Docker Hub's names is answered with them.</summary>
    private Uri BaseFor(HttpContext http, Face face, string name) =>
        DockerHubNames.Contains(http.Request.Host.Host) ? new Uri("https://" + name) : AddressOf(face);

    private Uri AddressOf(Face face) => new($"http://{_listeners[face].IPEndPoint}");

    private async Task ListenAsync()
    {
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.Services.Configure<HostOptions>(host => host.ShutdownTimeout = TimeSpan.FromSeconds(1));
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            kestrel.Limits.MaxRequestBodySize = null;
            kestrel.Limits.MaxRequestLineSize = LargestHead;
            kestrel.Limits.MaxRequestHeadersTotalSize = LargestHead;
            kestrel.Limits.MinRequestBodyDataRate = null;
            kestrel.Limits.MinResponseDataRate = null;
            Listen(kestrel, Face.Registry, Options.RegistryPort);
            Listen(kestrel, Face.Auth, Options.AuthPort);
            Listen(kestrel, Face.Hub, Options.HubPort);
            Listen(kestrel, Face.Cdn, Options.CdnPort);
            Listen(kestrel, Face.Index, Options.IndexPort);
            if (Options.TlsEndPoint is { } endPoint)
                ListenAsDockerHub(kestrel, endPoint);
        });
        _app = builder.Build();
        _app.Run(ServeAsync);
        await _app.StartAsync();
    }

    private void Listen(KestrelServerOptions kestrel, Face face, int port) => kestrel.Listen(Options.Address, port, listen =>
    {
        listen.Protocols = HttpProtocols.Http1;
        _listeners[face] = listen;
    });

    private void ListenAsDockerHub(KestrelServerOptions kestrel, IPEndPoint endPoint)
    {
        CertificateAuthority = new CertificateAuthority();
        IPEndPoint[] all = [endPoint, .. Options.FurtherTlsEndPoints];
        var leaf = CertificateAuthority.IssueAsPublic([.. DockerHubNames.All, .. Options.FurtherTlsNames, .. all.Select(one => one.Address.ToString())]);
        foreach (var one in all)
        {
            kestrel.Listen(one, listen =>
            {
                listen.Protocols = HttpProtocols.Http1AndHttp2;
                listen.UseHttps(leaf);
                _tlsListener ??= listen;
            });
        }
    }

    /// <summary>One request: which face, into the record, a fault or the answer.</summary>
    private async Task ServeAsync(HttpContext http)
    {
        if (FaceOf(http) is not { } face)
        {
            await http.AnswerEmptyAsync(StatusCodes.Status421MisdirectedRequest);
            return;
        }

        var record = new RecordedRequest(face, http, Time.GetUtcNow());
        http.Response.Headers.Date = record.At.ToString("r", CultureInfo.InvariantCulture);
        if (face is Face.Auth or Face.Hub && HttpMethods.IsPost(record.Method))
            record.Body = await ReadBodyAsync(http);
        Requests.Add(record);
        http.Features.Set(record);
        http.Response.OnStarting(() =>
        {
            if (!record.Broken && !http.RequestAborted.IsCancellationRequested)
            {
                record.Status = http.Response.StatusCode;
                Options.Answering?.Invoke(record);
            }

            return Task.CompletedTask;
        });
        http.Response.Body = new ResponseStream(http.Response.Body, (piece, next, cancel) =>
        {
            record.CountSent(piece.Length);
            return next.WriteAsync(piece, cancel);
        });

        using var stop = _stopping.Token.Register(http.Break);
        try
        {
            await (Faults.For(record) is { } fault ? fault.ActAsync(http, () => AnswerAsync(http, record)) : AnswerAsync(http, record));
        }
        catch (OperationCanceledException) when (http.RequestAborted.IsCancellationRequested)
        {
            // The client has gone, or the hub stops: nobody waits for the rest.
        }
        finally
        {
            if (record.Status == 0 && (record.Broken || http.RequestAborted.IsCancellationRequested))
                Options.Answering?.Invoke(record);
        }
    }

    private Task AnswerAsync(HttpContext http, RecordedRequest record) => record.Face switch
    {
        Face.Registry => _registry.ServeAsync(http, record.Path),
        Face.Index when record.Path.StartsWith("/v2/", StringComparison.Ordinal) => _registry.ServeAsync(http, record.Path),
        Face.Index => _search.ServeAsync(http),
        Face.Auth => _tokens.ServeAsync(http),
        Face.Hub => _hubApi.ServeAsync(http),
        Face.Cdn => _cdn.ServeAsync(http),
        _ => http.AnswerEmptyAsync(StatusCodes.Status404NotFound),
    };

    private Face? FaceOf(HttpContext http)
    {
        foreach (var (face, listener) in _listeners)
        {
            if (listener.IPEndPoint!.Port == http.Connection.LocalPort)
                return face;
        }

        return DockerHubNames.FaceOf(http.Request.Host.Host);
    }

    /// <summary>Reads a body for the record, and leaves it to be read again.</summary>
    private static async Task<string> ReadBodyAsync(HttpContext http)
    {
        var body = new MemoryStream();
        await http.Request.Body.CopyToAsync(body, http.RequestAborted);
        body.Position = 0;
        http.Request.Body = body;
        return Encoding.UTF8.GetString(body.GetBuffer(), 0, (int)body.Length);
    }
}
