namespace ImageAccess.Proxy.Cache;

public static class CacheSetup
{
    public static IServiceCollection AddCache(this IServiceCollection services, IConfiguration configuration) => services.AddSingleton<ICacheStore, NoStore>();
}
