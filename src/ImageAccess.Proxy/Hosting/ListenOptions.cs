using System.Net;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Hosting;

/// <summary>Where the proxy listens: the section <c>Listen</c>.</summary>
public sealed class ListenOptions
{
    public string Mirror { get; set; } = "";

    public string Admin { get; set; } = "";

    /// <summary>Networks whose forwarded headers count.</summary>
    public IList<string> TrustedProxies { get; } = [];
}

/// <summary>An address to listen on: <c>http://127.0.0.1:5000</c>, <c>http://*:5000</c>, <c>http://[::1]:0</c>.</summary>
/// <param name="Host">An address, or null for all.</param>
/// <param name="Port">The port; 0 for any free one.</param>
internal sealed record ListenAddress(IPAddress? Host, int Port)
{
    public bool IsLoopback => Host is not null && IPAddress.IsLoopback(Host);

    /// <exception cref="FormatException">The text is not such an address.</exception>
    public static ListenAddress Parse(string text)
    {
        var any = text.StartsWith("http://*:", StringComparison.Ordinal) || text.StartsWith("http://+:", StringComparison.Ordinal);
        if (Uri.TryCreate(any ? text.Replace("://" + text[7], "://0.0.0.0", StringComparison.Ordinal) : text, UriKind.Absolute, out var uri)
            && uri is { Scheme: "http", PathAndQuery: "/", UserInfo.Length: 0 })
        {
            if (any)
                return new ListenAddress(null, uri.Port);
            if (uri.IdnHost == "localhost")
                return new ListenAddress(IPAddress.Loopback, uri.Port);
            if (IPAddress.TryParse(uri.Host, out var address))
                return new ListenAddress(address, uri.Port);
        }

        throw new FormatException($"'{text}' is not an address to listen on, as http://127.0.0.1:5000 or http://*:5000");
    }
}

internal sealed class ListenOptionsValidator : IValidateOptions<ListenOptions>
{
    public ValidateOptionsResult Validate(string? name, ListenOptions options)
    {
        var failures = new List<string>();
        foreach (var (key, text) in new[] { ("Listen:Mirror", options.Mirror), ("Listen:Admin", options.Admin) })
        {
            try
            {
                ListenAddress.Parse(text);
            }
            catch (FormatException exception)
            {
                failures.Add($"{key}: {exception.Message}");
            }
        }

        failures.AddRange(options.TrustedProxies
            .Where(network => !IPNetwork.TryParse(network, out _) && !IPAddress.TryParse(network, out _))
            .Select(network => $"Listen:TrustedProxies: '{network}' is not a network, as 10.0.0.0/8"));
        return failures.Count == 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(failures);
    }
}
