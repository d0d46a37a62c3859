using ImageAccess.Proxy.Foundation.Database;

namespace ImageAccess.Proxy.Administration.Activity;

internal static class ActivitySetup
{
    public static IServiceCollection AddActivity(this IServiceCollection services) =>
        services.AddSingleton<ActivityLog>().AddSingleton<LookRecorder>().AddSingleton<IDatabaseWriter, EmergencyRecorder>();
}
