using ImageAccess.Proxy.Administration.Roles;
using Microsoft.AspNetCore.Http.Features;

namespace ImageAccess.Proxy.Administration.Api;

/// <summary>Operations of the API that belong together.</summary>
internal interface IOperations
{
    /// <summary>Where they begin.</summary>
    string Root => ApiRoutes.Root;

    void Map(IEndpointRouteBuilder api);
}

/// <summary>What an operation demands.</summary>
/// <param name="Operation">None for what everybody may read.</param>
internal sealed record Demand(Operation Operation);

internal static class ApiRoutes
{
    public const string Root = "/api/v1";

    public const string Description = "/api/openapi.json";

    /// <summary>Docker's own API.</summary>
    public const string DockersRoot = "/v2";

    public static void MapApi(this IEndpointRouteBuilder endpoints, IEnumerable<IOperations> operations)
    {
        endpoints.MapOpenApi(Description).WithMetadata(new Demand(Operation.None));
        foreach (var part in operations)
            part.Map(endpoints.MapGroup(part.Root));
    }

    /// <summary>Whether it is a path of Docker's own API: its errors have Docker's shape.</summary>
    public static bool IsDockers(PathString path) => path.StartsWithSegments(DockersRoot, StringComparison.OrdinalIgnoreCase);

    /// <param name="handler">A delegate of any kind: as a method of the context alone it would be taken for one that writes its own answer.</param>
    public static void Get(this IEndpointRouteBuilder api, string pattern, Operation operation, Delegate handler) =>
        api.MapGet(pattern, handler).WithMetadata(new Demand(operation));

    /// <inheritdoc cref="Get"/>
    public static RouteHandlerBuilder Post(this IEndpointRouteBuilder api, string pattern, Operation operation, Delegate handler) =>
        api.MapPost(pattern, handler).WithMetadata(new Demand(operation));

    /// <inheritdoc cref="Get"/>
    public static void Post<TBody>(this IEndpointRouteBuilder api, string pattern, Operation operation, Delegate handler)
        where TBody : notnull => api.Post(pattern, operation, handler).Accepts<TBody>(JsonBody.MediaType);

    /// <inheritdoc cref="Get"/>
    public static void Put<TBody>(this IEndpointRouteBuilder api, string pattern, Operation operation, Delegate handler)
        where TBody : notnull => api.MapPut(pattern, handler).WithMetadata(new Demand(operation)).Accepts<TBody>(JsonBody.MediaType);

    public static Visitor Visitor(this HttpContext http) => http.Features.GetRequiredFeature<Visitor>();
}
