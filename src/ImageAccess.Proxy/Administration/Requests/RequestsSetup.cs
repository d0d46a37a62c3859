using ImageAccess.Proxy.Administration.Changes;
using ImageAccess.Proxy.Foundation.Audit;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Foundation.Database.Keys;
using ImageAccess.Proxy.Policies.Decisions;
using ImageAccess.Proxy.Policies.Store;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Administration.Requests;

internal static class RequestsSetup
{
    public static IServiceCollection AddRequests(this IServiceCollection services)
    {
        services.AddSingleton<IChangeFollower, RequestAnswers>();
        services.AddSingleton(provider => new RequestDesk(
            provider.GetRequiredService<SqlDatabase>(),
            provider.GetRequiredService<ChangeDesk>(),
            () => provider.GetRequiredService<IPolicyStore>().Current,
            async (image, person, cancellationToken) => (await provider.GetRequiredService<Checks>().AnswerAsync(image, new JudgedCaller(person, null), cancellationToken)).Image,
            provider.GetRequiredService<TimeProvider>(),
            provider.GetRequiredService<KeyFile>()));
        services.AddSingleton(provider => new RequestRecorder(
            provider.GetRequiredService<SqlDatabase>(),
            provider.GetRequiredService<DatabaseState>(),
            provider.GetRequiredService<IOptions<DatabaseOptions>>().Value,
            provider.GetRequiredService<AuditTrail>(),
            provider.GetRequiredService<TimeProvider>(),
            provider.GetRequiredService<ILogger<RequestRecorder>>()));
        services.AddSingleton<IDatabaseWriter>(provider => provider.GetRequiredService<RequestRecorder>());
        services.AddHostedService(provider => provider.GetRequiredService<RequestRecorder>());
        return services;
    }
}
