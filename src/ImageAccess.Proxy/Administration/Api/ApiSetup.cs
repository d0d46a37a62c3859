namespace ImageAccess.Proxy.Administration.Api;

internal static class ApiSetup
{
    public static IServiceCollection AddApi(this IServiceCollection services)
    {
        services.AddRouting();
        services.AddOpenApi();
        services.Configure<RouteHandlerOptions>(options => options.ThrowOnBadRequest = true);
        services.AddSingleton<ApiGate>();
        services.AddSingleton<DraftJudge>();
        services.AddSingleton<IOperations, PolicyOperations>();
        services.AddSingleton<IOperations, DraftOperations>();
        services.AddSingleton<IOperations, ExceptionOperations>();
        services.AddSingleton<IOperations, BlockOperations>();
        services.AddSingleton<IOperations, DenialOperations>();
        services.AddSingleton<IOperations, BreakGlassOperations>();
        services.AddSingleton<IOperations, StatusOperations>();
        services.AddSingleton<IOperations, PeopleOperations>();
        services.AddSingleton<IOperations, TokenOperations>();
        services.AddSingleton<IOperations, ChangeOperations>();
        services.AddSingleton<IOperations, AccountOperations>();
        services.AddSingleton<IOperations, RequestOperations>();
        services.AddSingleton<IOperations, UsageOperations>();
        services.AddSingleton<IOperations, MachineOperations>();
        services.AddSingleton<IOperations, CallerOperations>();
        services.AddSingleton<IOperations, IncidentOperations>();
        services.AddSingleton<IOperations, ReportOperations>();
        return services;
    }
}
