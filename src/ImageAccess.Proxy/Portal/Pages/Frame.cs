using ImageAccess.Proxy.Administration.Api;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Portal.Words;

namespace ImageAccess.Proxy.Portal.Pages;

/// <summary>What every page knows of the request that it answers.</summary>
/// <param name="http">The request.</param>
/// <param name="visitor">Who has signed in; null for nobody.</param>
internal sealed class Frame(HttpContext http, Visitor? visitor)
{
    private const string LanguageCookie = "imageaccess-language";

    public Visitor? Visitor => visitor;

    /// <summary>The visitor's own; null where nobody has signed in.</summary>
    public SignInRow? SignIn { get; init; }

    public Language Words { get; } = Language.All.FirstOrDefault(language => language.Tag == http.Request.Cookies[LanguageCookie])
        ?? Language.Preferred(http.Request.Headers.AcceptLanguage);

    /// <summary>From this page to the console's own root, whatever path a proxy in front of it adds: <c>./</c>, <c>../</c> and so on.</summary>
    public string Root { get; } = RootOf(http.Request.Path);

    /// <summary>This page, from the console's root.</summary>
    public string Here { get; } = http.Request.Path.ToUriComponent().TrimStart('/') + http.Request.QueryString.ToUriComponent();

    public static Frame Of(HttpContext http)
    {
        if (http.Features.Get<Frame>() is not { } frame)
            http.Features.Set(frame = new Frame(http, null));
        return frame;
    }

    public static void Choose(HttpContext http, Language language) => http.Response.Cookies.Append(
        LanguageCookie,
        language.Tag,
        new CookieOptions { HttpOnly = true, SameSite = SameSiteMode.Lax, Secure = http.Request.IsHttps, MaxAge = TimeSpan.FromDays(365), Path = "/" });

    private static string RootOf(PathString path)
    {
        var depth = (path.Value ?? "").Count(c => c == '/') - 1;
        return depth <= 0 ? "./" : string.Concat(Enumerable.Repeat("../", depth));
    }
}
