using Microsoft.AspNetCore.DataProtection;
using Microsoft.AspNetCore.DataProtection.Internal;
using Microsoft.AspNetCore.DataProtection.KeyManagement;
using Microsoft.AspNetCore.DataProtection.KeyManagement.Internal;
using Microsoft.AspNetCore.DataProtection.XmlEncryption;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Foundation.Database.Keys;

internal static class KeysSetup
{
    /// <summary>Data protection, whose keys are in the database. It is good once the database has been read; before that it throws, and makes no key.</summary>
    public static IServiceCollection AddKeys(this IServiceCollection services, IConfiguration configuration)
    {
        services.AddSingleton(new KeyFile(configuration[KeyFile.Setting], configuration["Data:Directory"] ?? ""));
        services.AddSingleton<KeyStore>();
        services.AddSingleton<IDatabaseWriter>(provider => provider.GetRequiredService<KeyStore>());
        services.AddSingleton<IKeyManager>(provider => new SharedKeyManager(
            new XmlKeyManager(provider.GetRequiredService<IOptions<KeyManagementOptions>>(), provider.GetRequiredService<IActivator>(), provider.GetRequiredService<ILoggerFactory>()),
            provider.GetRequiredService<KeyStore>()));
        services.AddDataProtection().SetApplicationName("imageaccess");
        services.AddOptions<KeyManagementOptions>().Configure<KeyStore>((options, store) =>
        {
            options.XmlRepository = store;
            options.XmlEncryptor = new NullXmlEncryptor(); // the store wraps the whole element
        });
        services.RemoveKeyPreload();
        services.AddHostedService(provider => new KeysReader(
            provider.GetRequiredService<SqlDatabase>(),
            provider.GetRequiredService<DatabaseState>(),
            provider.GetRequiredService<KeyFile>(),
            provider.GetRequiredService<KeyStore>(),
            new Lazy<IKeyRingProvider>(provider.GetRequiredService<IKeyRingProvider>),
            provider.GetRequiredService<TimeProvider>(),
            provider.GetRequiredService<ILogger<KeysReader>>()));
        return services;
    }

    /// <summary>
    /// Data protection's own hosted service would ask for the keys before the database has been read. Each part of the framework that uses
    /// data protection adds it, so that whoever adds such a part takes it out again.
    /// </summary>
    public static void RemoveKeyPreload(this IServiceCollection services)
    {
        foreach (var preload in services.Where(service => service.ServiceType == typeof(IHostedService) && service.ImplementationType?.Assembly == typeof(XmlKeyManager).Assembly).ToList())
            services.Remove(preload);
    }
}
