using System.Collections.Concurrent;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;

namespace ImageAccess.EndToEnd.Tests.Attack;

/// <summary>Somebody who pulls one image again and again, as a client does: a token, the index, a manifest, each blob, all of it verified.</summary>
internal sealed class HonestPulls : IDisposable
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(10);

    private readonly HttpClient _client;
    private readonly string _repository;
    private int _manifests;

    /// <param name="mirror">Where it pulls.</param>
    /// <param name="address">The address it comes from.</param>
    /// <param name="user">Who it is.</param>
    /// <param name="secret">Its access token.</param>
    /// <param name="repository">What it pulls: a repository whose tag <c>latest</c> is an index.</param>
    public HonestPulls(Uri mirror, IPAddress address, string user, string secret, string repository)
    {
        _repository = repository;
        _client = new HttpClient(new SocketsHttpHandler { ConnectCallback = (connection, cancellationToken) => ConnectAsync(address, connection.DnsEndPoint, cancellationToken) })
        {
            BaseAddress = mirror,
            Timeout = Limit,
        };
        _client.DefaultRequestHeaders.UserAgent.ParseAdd(UserAgent);
        Credentials = new AuthenticationHeaderValue("Basic", Convert.ToBase64String(Encoding.UTF8.GetBytes($"{user}:{secret}")));
    }

    /// <summary>By which its events are found in the audit trail.</summary>
    public const string UserAgent = "honest-pulls/1";

    /// <summary>Manifests that it has read.</summary>
    public int Manifests => Volatile.Read(ref _manifests);

    /// <summary>What went wrong; nothing should.</summary>
    public ConcurrentQueue<string> Failures { get; } = [];

    private AuthenticationHeaderValue Credentials { get; }

    /// <summary>Pulls at this rate until it is cancelled; then waits for those under way.</summary>
    public async Task RunAsync(int perSecond, CancellationToken cancellationToken)
    {
        var pulls = new List<Task>();
        using var tick = new PeriodicTimer(TimeSpan.FromSeconds(1d / perSecond));
        try
        {
            while (await tick.WaitForNextTickAsync(cancellationToken))
            {
                pulls.RemoveAll(done => done.IsCompleted);
                pulls.Add(Task.Run(PullAsync, CancellationToken.None));
            }
        }
        catch (OperationCanceledException)
        {
            await Task.WhenAll(pulls);
        }
    }

    public async Task PullAsync()
    {
        try
        {
            var token = JsonSerializer.Deserialize<JsonElement>(await AskAsync($"/token?service=registry.docker.io&scope=repository:{_repository}:pull", Credentials));
            var bearer = new AuthenticationHeaderValue("Bearer", token.GetProperty("token").GetString());
            var index = JsonSerializer.Deserialize<JsonElement>(await ManifestAsync("latest", bearer));
            var manifest = JsonSerializer.Deserialize<JsonElement>(await ManifestAsync(DigestOf(index.GetProperty("manifests")[0]), bearer));
            foreach (var blob in manifest.GetProperty("layers").EnumerateArray().Prepend(manifest.GetProperty("config")))
                await AskAsync($"/v2/{_repository}/blobs/{DigestOf(blob)}", bearer);
        }
        catch (Exception failure) when (failure is HttpRequestException or OperationCanceledException or JsonException or InvalidDataException)
        {
            Failures.Enqueue(failure.Message);
        }
    }

    public void Dispose() => _client.Dispose();

    private async Task<byte[]> ManifestAsync(string reference, AuthenticationHeaderValue bearer)
    {
        var manifest = await AskAsync($"/v2/{_repository}/manifests/{reference}", bearer);
        Interlocked.Increment(ref _manifests);
        return manifest;
    }

    private async Task<byte[]> AskAsync(string path, AuthenticationHeaderValue authorization)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, path) { Headers = { Authorization = authorization } };
        request.Headers.TryAddWithoutValidation("Accept", "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json");
        using var answer = await _client.SendAsync(request);
        var body = await answer.Content.ReadAsByteArrayAsync();
        if (answer.StatusCode != HttpStatusCode.OK)
            throw new InvalidDataException($"{path}: {(int)answer.StatusCode} {answer.ReasonPhrase} {Encoding.UTF8.GetString(body)}");
        if (path.Split('/')[^1] is ['s', 'h', 'a', ..] digest && digest != $"sha256:{Convert.ToHexStringLower(SHA256.HashData(body))}")
            throw new InvalidDataException($"{path}: other bytes came");
        return body;
    }

    private static string DigestOf(JsonElement descriptor) => descriptor.GetProperty("digest").GetString()!;

    private static async ValueTask<Stream> ConnectAsync(IPAddress address, DnsEndPoint to, CancellationToken cancellationToken)
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            socket.Bind(new IPEndPoint(address, 0));
            await socket.ConnectAsync(IPAddress.Parse(to.Host), to.Port, cancellationToken);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }
}
