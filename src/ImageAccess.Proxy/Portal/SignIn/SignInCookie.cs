using ImageAccess.Proxy.Foundation.Configuration;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Portal.SignIn;

/// <summary>
/// The cookies of the console. They are for this host alone, and marked secure, also on loopback over http, where browsers take them so. Below a
/// path their names cannot have the prefix <c>__Host-</c> (RFC 6265bis, section 4.1.3).
/// </summary>
internal sealed class SignInCookie(IOptions<ConsoleOptions> console)
{
    private readonly string _path = console.Value.Url?.AbsolutePath.TrimEnd('/') is { Length: > 0 } path ? path : "/";

    private string Name => NameOf("session");

    public string? Read(HttpRequest request) => request.Cookies[Name] is { Length: > 0 and <= 128 } secret ? secret : null;

    /// <summary>It ends with the browser, or earlier with what it stands for.</summary>
    public void Write(HttpResponse response, string secret) => response.Cookies.Append(Name, secret, Options());

    public void Delete(HttpResponse response) => response.Cookies.Delete(Name, Options());

    public string NameOf(string what) => (_path == "/" ? "__Host-" : "__Secure-") + what;

    public CookieOptions Options() => new() { HttpOnly = true, Secure = true, SameSite = SameSiteMode.Lax, Path = _path, IsEssential = true };
}
