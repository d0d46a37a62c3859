using ImageAccess.Proxy.Callers.Members;
using ImageAccess.Proxy.Foundation.Configuration;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Foundation.DockerHub;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Administration.Notifications;

internal static class NotificationsSetup
{
    public static IServiceCollection AddNotifications(this IServiceCollection services, IConfiguration configuration)
    {
        services.AddOptions<NotificationOptions>()
            .Bind(configuration.GetSection(NotificationOptions.Section))
            .Configure<IOptions<ConsoleOptions>>((options, console) => (options.DataDirectory, options.Console) = (configuration["Data:Directory"] ?? "", console.Value))
            .ValidateOnStart();
        services.AddSingleton<IValidateOptions<NotificationOptions>, NotificationOptionsValidation>();
        services.AddSingleton(provider => provider.GetRequiredService<IOptions<NotificationOptions>>().Value);
        services.AddMetrics();
        services.AddSingleton<NotificationMetrics>();
        services.AddSingleton(provider => new RequesterAddresses(() => provider.GetRequiredService<MembershipDirectory>().Book));
        services.AddSingleton(ReceiversOf);
        services.AddSingleton<NoticeQueue>();
        services.AddSingleton<IDatabaseWriter>(provider => provider.GetRequiredService<NoticeQueue>());
        services.AddSingleton<OutboxSender>();
        services.AddHostedService(provider => provider.GetRequiredService<OutboxSender>());
        services.AddHostedService<DueLooks>();
        services.AddHostedService<DegradedLook>();
        services.AddHealthChecks().AddCheck<OutboxSender>("notifications");
        return services;
    }

    private static Receivers ReceiversOf(IServiceProvider provider)
    {
        var options = provider.GetRequiredService<NotificationOptions>();
        var (connections, time) = (provider.GetRequiredService<UpstreamConnections>(), provider.GetRequiredService<TimeProvider>());
        List<IReceiver> all = [.. options.Webhooks.Select(webhook => new WebhookReceiver($"Webhooks:{webhook.Key}", options, webhook.Value, connections, time))];
        if (options.Mail.IsWanted)
            all.Add(new MailReceiver(options, connections, time));
        if (options.Mail is { IsWanted: true, Requesters: true })
            all.Add(new MailReceiver(options, connections, time, provider.GetRequiredService<RequesterAddresses>()));
        return new Receivers(all);
    }
}
