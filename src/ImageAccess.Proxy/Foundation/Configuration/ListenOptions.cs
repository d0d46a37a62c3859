using System.Net;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Foundation.Configuration;

/// <summary>The listeners that a connection can come in by.</summary>
internal enum Listener
{
    Mirror,
    Admin,
    Gateway,
    ForwardProxy,
    Console,
}

/// <summary>Where the proxy listens: the section <c>Listen</c>.</summary>
public sealed class ListenOptions
{
    /// <summary>No console.</summary>
    public const string Off = "off";

    /// <summary>This program's own transport.</summary>
    public const string DirectTransport = "direct";

    /// <summary>Kestrel's own sockets and TLS.</summary>
    public const string KestrelTransport = "kestrel";

    public string Mirror { get; set; } = "";

    public string Admin { get; set; } = "";

    /// <summary>Under Docker Hub's own names; not at all where there is none.</summary>
    public string? Gateway { get; set; }

    /// <summary>For CONNECT; not at all where there is none.</summary>
    public string? ForwardProxy { get; set; }

    /// <summary>The HTTP API; not at all where there is none, or <see cref="Off"/>.</summary>
    public string? Console { get; set; }

    /// <summary>Networks whose forwarded headers count.</summary>
    public IList<string> TrustedProxies { get; } = [];

    /// <summary><see cref="DirectTransport"/> or <see cref="KestrelTransport"/>.</summary>
    public string Transport { get; set; } = DirectTransport;

    /// <summary>The listeners that are wanted, each with its key and the address as it was written.</summary>
    internal IEnumerable<(Listener Listener, string Key, string Address)> All()
    {
        yield return (Listener.Mirror, "Listen:Mirror", Mirror);
        yield return (Listener.Admin, "Listen:Admin", Admin);
        if (Gateway is not null)
            yield return (Listener.Gateway, "Listen:Gateway", Gateway);
        if (ForwardProxy is not null)
            yield return (Listener.ForwardProxy, "Listen:ForwardProxy", ForwardProxy);
        if (Console is not null and not Off)
            yield return (Listener.Console, "Listen:Console", Console);
    }
}

/// <summary>An address to listen on: <c>http://127.0.0.1:5000</c>, <c>https://*:443</c>, <c>http://[::1]:0</c>.</summary>
/// <param name="IsTls">https.</param>
/// <param name="Host">An address, or null for all.</param>
/// <param name="Port">The port; 0 for any free one.</param>
internal sealed record ListenAddress(bool IsTls, IPAddress? Host, int Port)
{
    public bool IsLoopback => Host is not null && IPAddress.IsLoopback(Host);

    /// <exception cref="FormatException">The text is not such an address.</exception>
    public static ListenAddress Parse(string text)
    {
        var any = text.Contains("://*", StringComparison.Ordinal) || text.Contains("://+", StringComparison.Ordinal);
        var written = any ? text.Replace("://*", "://0.0.0.0", StringComparison.Ordinal).Replace("://+", "://0.0.0.0", StringComparison.Ordinal) : text;
        if (Uri.TryCreate(written, UriKind.Absolute, out var uri) && uri is { Scheme: "http" or "https", PathAndQuery: "/", UserInfo.Length: 0 })
        {
            var isTls = uri.Scheme == Uri.UriSchemeHttps;
            if (any && uri.Host == "0.0.0.0")
                return new ListenAddress(isTls, null, uri.Port);
            if (uri.IdnHost == "localhost")
                return new ListenAddress(isTls, IPAddress.Loopback, uri.Port);
            if (IPAddress.TryParse(uri.Host, out var address))
                return new ListenAddress(isTls, address, uri.Port);
        }

        throw new FormatException($"'{text}' is not an address to listen on, as http://127.0.0.1:5000 or http://*:5000");
    }

    /// <summary>The gateway speaks TLS, the forward proxy and the admin listener do not, the mirror and the console as one likes.</summary>
    public bool Fits(Listener listener) => listener is Listener.Mirror or Listener.Console || IsTls == (listener == Listener.Gateway);
}

internal sealed class ListenOptionsValidator : IValidateOptions<ListenOptions>
{
    public ValidateOptionsResult Validate(string? name, ListenOptions options)
    {
        var failures = new List<string>();
        foreach (var (listener, key, text) in options.All())
        {
            try
            {
                var address = ListenAddress.Parse(text);
                if (listener == Listener.Console && address is { IsTls: false, IsLoopback: false } && options.TrustedProxies.Count == 0)
                    failures.Add($"{key}: '{text}' is plain http beyond this machine, where tokens would go in the clear: use https, or name the proxies in front of it in Listen:TrustedProxies");
                if (!address.Fits(listener))
                    failures.Add(listener == Listener.Gateway ? $"{key}: '{text}' is not https, as https://*:443" : $"{key}: '{text}' is not http, as http://*:3128");
            }
            catch (FormatException exception)
            {
                failures.Add($"{key}: {exception.Message}");
            }
        }

        if (options.Transport is not (ListenOptions.DirectTransport or ListenOptions.KestrelTransport))
            failures.Add($"Listen:Transport: '{options.Transport}' is neither {ListenOptions.DirectTransport} nor {ListenOptions.KestrelTransport}");
        failures.AddRange(options.TrustedProxies
            .Where(network => !IPNetwork.TryParse(network, out _) && !IPAddress.TryParse(network, out _))
            .Select(network => $"Listen:TrustedProxies: '{network}' is not a network, as 10.0.0.0/8"));
        return failures.Count == 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(failures);
    }
}
