using ImageAccess.Proxy.Tools.Engines;

namespace ImageAccess.Proxy.Tools.Doctor.Probes;

/// <summary>The command that shows a person what was found.</summary>
internal static class Curl
{
    /// <summary>What clients accept: without it a registry picks a form that the image may not have.</summary>
    public const string Manifests = "application/vnd.oci.image.index.v1+json, application/vnd.docker.distribution.manifest.list.v2+json, "
        + "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json";

    /// <summary>Prints the status of any answer.</summary>
    public static string Status(Dialer dialer, Uri address, bool isTrusted) => $"curl -sS -o /dev/null -w '%{{http_code}}\\n'{Options(dialer, address, isTrusted)} {Quote(address)}";

    /// <summary>Prints the head of the answer: there a registry shows itself.</summary>
    public static string Head(Dialer dialer, Uri address, bool isTrusted) => $"curl -sS -o /dev/null -D -{Options(dialer, address, isTrusted)} {Quote(address)}";

    /// <summary>Prints a token.</summary>
    public static string Token(Dialer dialer, Uri address, bool isTrusted, string userAgent) => $"curl -fsS -A {Quote(userAgent)}{Options(dialer, address, isTrusted)} {Quote(address)}";

    /// <summary>Fails when the manifest is not handed out.</summary>
    public static string Manifest(Dialer dialer, Uri manifest, bool isTrusted, (Uri Address, bool IsTrusted)? token)
    {
        var ask = $"curl -fsS -o /dev/null -w '%{{http_code}}\\n' -H {Quote($"Accept: {Manifests}")}{Options(dialer, manifest, isTrusted)}";
        return token is { } source
            ? $"token=$(curl -fsS{Options(dialer, source.Address, source.IsTrusted)} {Quote(source.Address)} | sed 's/.*\"token\": *\"\\([^\"]*\\)\".*/\\1/') && "
                + $"{ask} -H \"Authorization: Bearer $token\" {Quote(manifest)}"
            : $"{ask} {Quote(manifest)}";
    }

    /// <summary>With a curl that speaks HTTP/3.</summary>
    public static string Quic(Destination destination, Uri address) => $"curl -sS -k -o /dev/null -D - --http3-only --connect-to {Quote($"::{destination}")} {Quote(address)}";

    /// <summary>One word of a shell, whatever is in the text.</summary>
    public static string Quote(string text) => text.Length > 0 && text.All(IsPlain) ? text : $"'{text.Replace("'", "'\\''", StringComparison.Ordinal)}'";

    private static string Quote(Uri address) => Quote(address.AbsoluteUri);

    private static bool IsPlain(char c) => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.' or '/' or ':' or ',' or '@' or '+' or '=';

    private static string Options(Dialer dialer, Uri address, bool isTrusted)
    {
        var options = (isTrusted || address.Scheme == Uri.UriSchemeHttp ? "" : " -k") + Through(dialer.Proxy, address);
        return dialer.Destinations.TryGetValue(address.IdnHost, out var destination) ? $"{options} --connect-to {Quote($"::{destination}")}" : options;
    }

    private static string Through(ProxyAddress? proxy, Uri address) => proxy switch
    {
        null => " --noproxy '*'",
        { Variable: { } variable } => $" --noproxy '' --proxy \"${variable}\"{Tunnel(address)}",
        { HasCredentials: true } => $" --noproxy '' --proxy {Quote(proxy.ToString())} --proxy-user \"$PROXY_USER\"{Tunnel(address)}",
        _ => $" --noproxy '' --proxy {Quote(proxy.ToString())}{Tunnel(address)}",
    };

    private static string Tunnel(Uri address) => address.Scheme == Uri.UriSchemeHttp ? " --proxytunnel" : "";
}
