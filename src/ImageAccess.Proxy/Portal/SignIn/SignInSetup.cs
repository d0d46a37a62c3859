using ImageAccess.Proxy.Foundation.Database.Keys;
using Microsoft.AspNetCore.Antiforgery;

namespace ImageAccess.Proxy.Portal.SignIn;

internal static class SignInSetup
{
    public static IServiceCollection AddSignIn(this IServiceCollection services)
    {
        services.AddSingleton<SignIns>();
        services.AddSingleton<SignInCookie>();
        services.AddAntiforgery();
        services.RemoveKeyPreload();
        services.AddOptions<AntiforgeryOptions>().Configure<SignInCookie>((options, cookie) =>
        {
            options.Cookie = new FormCookie(cookie) { Name = cookie.NameOf("form") };
            options.FormFieldName = "form";
            options.HeaderName = null;
            options.SuppressXFrameOptionsHeader = true; // the content security policy says it, and more
        });
        return services;
    }

    /// <summary>As the other cookie is. The framework's own way to mark it secure refuses plain http, also on loopback.</summary>
    private sealed class FormCookie(SignInCookie cookie) : CookieBuilder
    {
        public override CookieOptions Build(HttpContext context, DateTimeOffset expiresFrom) => cookie.Options();
    }
}
