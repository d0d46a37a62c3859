namespace ImageAccess.Proxy.Administration.Reports;

internal static class ReportsSetup
{
    public static IServiceCollection AddReports(this IServiceCollection services) => services.AddSingleton<ReportFacts>();
}
