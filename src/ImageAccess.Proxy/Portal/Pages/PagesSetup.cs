using ImageAccess.Proxy.Foundation.Database.Keys;

namespace ImageAccess.Proxy.Portal.Pages;

internal static class PagesSetup
{
    public static IServiceCollection AddPages(this IServiceCollection services)
    {
        services.AddRazorComponents();
        services.RemoveKeyPreload();
        services.AddSingleton<PageGate>();
        services.AddSingleton<ConsoleListener>();
        services.AddSingleton<IPages, OverviewPages>();
        services.AddSingleton<IPages, ImageAccessPages>();
        services.AddSingleton<IPages, SignInPages>();
        services.AddSingleton<IPages, DenialPages>();
        services.AddSingleton<IPages, RequestPages>();
        return services;
    }
}
