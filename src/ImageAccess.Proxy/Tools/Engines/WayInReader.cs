using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using ImageAccess.Core.Hosts;
using ImageAccess.Proxy.Connections.Certificates;
using ImageAccess.Proxy.Foundation.Configuration;
using ImageAccess.Proxy.Tools.Verbs;

namespace ImageAccess.Proxy.Tools.Engines;

/// <summary>How the clients reach the proxy, from its configuration and from what the command line adds.</summary>
/// <param name="Configuration">The proxy's.</param>
/// <param name="Addresses"><c>--address</c>.</param>
/// <param name="AuthorityFile"><c>--ca</c>.</param>
/// <param name="User"><c>--proxy-user</c>.</param>
internal sealed record WayInReader(IConfiguration Configuration, IReadOnlyList<string> Addresses, string? AuthorityFile, string? User)
{
    private const int MaximumAuthority = 256 * 1024;

    /// <exception cref="MisuseException">An address is missing or is none, or there is no certificate authority to trust.</exception>
    public WayIn Read(string mode) => mode switch
    {
        "mirror" => Mirror(),
        "gateway" => Gateway(),
        _ => ForwardProxy(),
    };

    private MirrorWay Mirror()
    {
        RefuseUser();
        if (Configuration["PublicUrl"] is { } publicUrl)
        {
            if (Addresses.Count > 0)
                throw new MisuseException($"--address: PublicUrl says already how clients reach the mirror, {publicUrl}");
            var url = PublicUrl(publicUrl);
            return new MirrorWay(url, url.Scheme == Uri.UriSchemeHttps ? FindAuthority() : null);
        }

        var listener = Listener("Listen:Mirror", "http://127.0.0.1:5000");
        var host = SingleAddress() ?? HostOf(listener);
        return new MirrorWay(At(listener, host ?? Here(listener)), listener.IsTls ? FindAuthority() : null)
        {
            OnlyHere = host is null ? OnlyHere("Listen:Mirror", listener, ", or set PublicUrl") : null,
        };
    }

    private GatewayWay Gateway()
    {
        RefuseUser();
        var listener = Listener("Listen:Gateway", "https://*:443");
        var host = Addresses.Count > 0 ? null : HostOf(listener);
        var texts = Addresses.Count > 0 ? Addresses : [host ?? Here(listener)];
        var addresses = texts.Select(GatewayAddress).ToList();
        if (addresses.GroupBy(address => address.AddressFamily).Any(family => family.Count() > 1))
            throw new MisuseException("--address: the gateway has one address of IPv4 and one of IPv6 at most");
        return new GatewayWay(addresses, listener.Port, FindAuthority() ?? throw NoAuthority())
        {
            OnlyHere = Addresses.Count == 0 && host is null ? OnlyHere("Listen:Gateway", listener, "") + ". The proxy on that machine needs Upstream:Addresses" : null,
        };
    }

    private ForwardProxyWay ForwardProxy()
    {
        var listener = Listener("Listen:ForwardProxy", "http://*:3128");
        var host = SingleAddress() ?? HostOf(listener)
            ?? (Configuration["PublicUrl"] is { } url ? PublicUrl(url).Host : null);
        if (User is { } user && (user.Length == 0 || user.Contains(':', StringComparison.Ordinal) || user.Any(char.IsControl)))
            throw new MisuseException("--proxy-user: a name, without a password: write that into the file, where PASSWORD stands");
        return new ForwardProxyWay(At(listener, host ?? Here(listener)), User, FindAuthority() ?? throw NoAuthority())
        {
            OnlyHere = host is null ? OnlyHere("Listen:ForwardProxy", listener, ", or set PublicUrl") : null,
        };
    }

    private static string OnlyHere(string key, ListenAddress listener, string otherwise) =>
        $"This is for clients on the proxy's own machine: {key} is {Shown(listener)}, which does not say how others reach it. For them name --address HOST{otherwise}"
        + (listener.IsLoopback ? $", and let {key} listen where they come to" : "");

    /// <summary>The listener as this machine reaches it.</summary>
    private static string Here(ListenAddress listener) =>
        Written(listener.Host is { } host && !IsAll(host) ? host : listener.Host is { AddressFamily: AddressFamily.InterNetworkV6 } ? IPAddress.IPv6Loopback : IPAddress.Loopback);

    private static string Shown(ListenAddress listener) => string.Create(
        CultureInfo.InvariantCulture, $"{SchemeOf(listener)}://{(listener.Host is { } host && !IsAll(host) ? Written(host) : "*")}:{listener.Port}");

    /// <summary>The address of a listener that clients can use as it is: neither all addresses nor loopback.</summary>
    private static string? HostOf(ListenAddress listener) => listener is { IsLoopback: false, Host: { } host } && !IsAll(host) ? Written(host) : null;

    private static bool IsAll(IPAddress address) => address.Equals(IPAddress.Any) || address.Equals(IPAddress.IPv6Any);

    private static string Written(IPAddress address) => address.AddressFamily == AddressFamily.InterNetworkV6 ? $"[{address}]" : address.ToString();

    private static string SchemeOf(ListenAddress listener) => listener.IsTls ? Uri.UriSchemeHttps : Uri.UriSchemeHttp;

    private static Uri At(ListenAddress listener, string host) => new UriBuilder(SchemeOf(listener), host, listener.Port).Uri;

    private static Uri PublicUrl(string text) =>
        Uri.TryCreate(text, UriKind.Absolute, out var url) && url.Scheme is "http" or "https"
        && url is { PathAndQuery: "/", UserInfo.Length: 0, Fragment.Length: 0 } && IsHost(url.Host)
            ? url
            : throw new MisuseException($"PublicUrl: '{text}' is not an address that clients take for a mirror, as https://mirror.example.com: no path, no user");

    private static bool IsHost(string text) => HostName.TryParse(text, out _) || IPAddress.TryParse(text, out _);

    private static IPAddress GatewayAddress(string text) =>
        IPAddress.TryParse(text, out var address)
        && (address.AddressFamily == AddressFamily.InterNetworkV6 ? address.ScopeId == 0 : text == address.ToString())
        && !address.Equals(IPAddress.Any) && !address.Equals(IPAddress.IPv6Any)
            ? address
            : throw new MisuseException($"--address: '{text}' is not an IP address, which the gateway needs: Docker Hub's names are to lead to it");

    /// <summary>A key of the section, or its default.</summary>
    private ListenAddress Listener(string key, string otherwise)
    {
        try
        {
            return ListenAddress.Parse(Configuration[key] is { Length: > 0 } written ? written : otherwise);
        }
        catch (FormatException exception)
        {
            throw new MisuseException($"{key}: {exception.Message}");
        }
    }

    private string? SingleAddress()
    {
        if (Addresses.Count > 1)
            throw new MisuseException("--address: given twice only for the gateway, of IPv4 and of IPv6");
        if (Addresses.Count == 0)
            return null;
        if (IPAddress.TryParse(Addresses[0], out var address))
            return Written(address);
        return HostName.TryParse(Addresses[0], out var name)
            ? name.Value
            : throw new MisuseException($"--address: '{Addresses[0]}' is neither a host name nor an IP address; the port is the configuration's");
    }

    private void RefuseUser()
    {
        if (User is not null)
            throw new MisuseException("--proxy-user goes with --mode forward-proxy");
    }

    private string AuthorityPath() => AuthorityFile ?? new CertificatePlan(CertificatesOptions.Of(Configuration)).Authority.Files.CertificatePath;

    private MisuseException NoAuthority() =>
        new($"{AuthorityPath()} is not there, and clients must trust it: `imageaccess certificates create` makes it; or name another with --ca");

    /// <summary>Takes only the certificates from the file: a private key beside them stays where it is.</summary>
    private string? FindAuthority()
    {
        var path = AuthorityPath();
        try
        {
            if (!File.Exists(path))
                return AuthorityFile is null ? null : throw new MisuseException($"--ca: {path} is not there");
            if (new FileInfo(path).Length > MaximumAuthority)
                throw new MisuseException(string.Create(CultureInfo.InvariantCulture, $"{path} is larger than {MaximumAuthority} bytes"));
            var certificates = new X509Certificate2Collection();
            certificates.ImportFromPem(File.ReadAllText(path));
            return certificates.Count > 0
                ? string.Concat(certificates.Select(certificate => certificate.ExportCertificatePem() + "\n"))
                : throw new MisuseException($"{path} has no certificate in it");
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or CryptographicException)
        {
            throw new MisuseException($"{path} cannot be read: {exception.Message}");
        }
    }
}
