using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Text;

namespace ImageAccess.Proxy.Tools.Engines;

/// <summary>A forward proxy. User and password go to it and nowhere else: nothing here shows them.</summary>
internal sealed class ProxyAddress
{
    private ProxyAddress(Uri address, string source, string? variable)
    {
        Variable = variable;
        Host = address.IdnHost;
        Port = address.Port;
        IsTls = address.Scheme == Uri.UriSchemeHttps;
        Source = source;
        Authorization = address.UserInfo.Length == 0 ? null
            : $"Basic {Convert.ToBase64String(Encoding.UTF8.GetBytes(Uri.UnescapeDataString(address.UserInfo.Contains(':', StringComparison.Ordinal) ? address.UserInfo : address.UserInfo + ":")))}";
    }

    public string Host { get; }

    public int Port { get; }

    public bool IsTls { get; }

    /// <summary>Where it was found: a variable of the environment, a file, an option.</summary>
    public string Source { get; }

    /// <summary>The variable of the environment that holds it.</summary>
    public string? Variable { get; }

    public bool HasCredentials => Authorization is not null;

    public string Authority => string.Create(CultureInfo.InvariantCulture, $"{(Host.Contains(':', StringComparison.Ordinal) ? $"[{Host}]" : Host)}:{Port}");

    /// <summary>The value of <c>Proxy-Authorization</c>.</summary>
    internal string? Authorization { get; }

    public static bool TryParse(string text, string source, [NotNullWhen(true)] out ProxyAddress? proxy) => TryParse(text, source, null, out proxy);

    public static bool TryParseVariable(string text, string variable, [NotNullWhen(true)] out ProxyAddress? proxy) => TryParse(text, variable, variable, out proxy);

    public bool IsSameAs(ProxyAddress other) =>
        (Host, Port, IsTls, Authorization) == (other.Host, other.Port, other.IsTls, other.Authorization);

    /// <summary>Without user and password.</summary>
    public override string ToString() => $"{(IsTls ? "https" : "http")}://{Authority}";

    private static bool TryParse(string text, string source, string? variable, [NotNullWhen(true)] out ProxyAddress? proxy)
    {
        proxy = null;
        var full = text.Contains("://", StringComparison.Ordinal) ? text : $"http://{text}";
        if (!Uri.TryCreate(full, UriKind.Absolute, out var address) || address.Scheme is not ("http" or "https") || address.Host.Length == 0 || address.Port <= 0)
            return false;
        proxy = new ProxyAddress(address, source, variable);
        return true;
    }
}
