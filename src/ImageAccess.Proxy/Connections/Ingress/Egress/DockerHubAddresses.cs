using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using ImageAccess.Core.Hosts;
using ImageAccess.Proxy.Foundation.DockerHub;

namespace ImageAccess.Proxy.Connections.Ingress.Egress;

/// <summary>
/// The addresses that the registry's and the token service's names lead to. A tunnel to one of them, under whatever name, would be
/// a way around the policy: the server answers to the name inside.
/// </summary>
internal sealed class DockerHubAddresses(IHostResolver resolver, TimeProvider time) : IDisposable
{
    private static readonly TimeSpan Period = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan PeriodAfterFailure = TimeSpan.FromSeconds(5);

    /// <summary>Each answer holds some of them: one that was seen counts this long. Longer, and it may be somebody else's by then.</summary>
    private static readonly TimeSpan TimeToLive = TimeSpan.FromHours(1);

    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(5);

    private readonly ConcurrentDictionary<IPAddress, DateTimeOffset> _seen = new();
    private readonly SemaphoreSlim _asking = new(1);
    private DateTimeOffset _next;

    /// <summary>
    /// Whether any of the addresses is Docker Hub's. Null while none of its own is known: then nobody can tell.
    /// </summary>
    public async ValueTask<bool?> IncludeAsync(IPAddress[] addresses, CancellationToken cancellationToken)
    {
        if (time.GetUtcNow() >= _next)
            await RefreshAsync(cancellationToken);
        return _seen.IsEmpty ? null : Array.Exists(addresses, Includes);
    }

    public void Dispose() => _asking.Dispose();

    private bool Includes(IPAddress address) => _seen.ContainsKey(PublicAddress.Plain(address));

    private async Task RefreshAsync(CancellationToken cancellationToken)
    {
        await _asking.WaitAsync(cancellationToken);
        try
        {
            if (time.GetUtcNow() < _next)
                return;

            using var limit = new CancellationTokenSource(Timeout, time);
            var answers = await Task.WhenAll(DockerHubHosts.Intercepted.Select(host => ResolveAsync(host, limit.Token)));
            var now = time.GetUtcNow();
            foreach (var address in answers.SelectMany(addresses => addresses))
                _seen[PublicAddress.Plain(address)] = now;
            foreach (var (address, seen) in _seen)
            {
                if (now - seen > TimeToLive)
                    _seen.TryRemove(address, out _);
            }

            _next = now + (Array.Exists(answers, addresses => addresses.Length > 0) ? Period : PeriodAfterFailure);
        }
        finally
        {
            _asking.Release();
        }
    }

    private async Task<IPAddress[]> ResolveAsync(string host, CancellationToken cancellationToken)
    {
        try
        {
            return await resolver.ResolveAsync(host, cancellationToken);
        }
        catch (Exception exception) when (exception is SocketException or OperationCanceledException)
        {
            return [];
        }
    }
}
