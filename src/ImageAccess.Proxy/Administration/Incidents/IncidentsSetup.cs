namespace ImageAccess.Proxy.Administration.Incidents;

internal static class IncidentsSetup
{
    public static IServiceCollection AddIncidents(this IServiceCollection services) => services.AddSingleton<IncidentDesk>();
}
