using System.Globalization;
using System.Reflection;
using ImageAccess.Proxy.Administration.Roles;
using ImageAccess.Proxy.Administration.Tokens;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Foundation.Files;
using ImageAccess.Proxy.Policies.Store;
using Microsoft.AspNetCore.Mvc;

namespace ImageAccess.Proxy.Administration.Api;

/// <summary>Between the routing and an operation: who asks, and whether their role allows it. An operation that says nothing of that is not run.</summary>
internal sealed class ApiGate(TokenSignIn tokens, SessionTokens sessions, RoleBook roles, IPolicyStore policies, DatabaseState database)
{
    /// <summary>One for every reason: whoever guesses learns nothing.</summary>
    private const string Unauthorized = "no API token, or none that is good: send Authorization: Bearer TOKEN";

    public async Task HandleAsync(HttpContext http, RequestDelegate next)
    {
        var endpoint = http.GetEndpoint();
        var demand = endpoint?.Metadata.GetMetadata<Demand>();
        if (endpoint is not null && demand?.Operation != Operation.None)
        {
            var visitor = await IdentifyAsync(http);
            if (endpoint is RouteEndpoint && (demand is null || !visitor.MaySomewhere(demand.Operation)))
                throw Visitor.Forbidden("");
            RefuseUnknown(http.Request.Query, endpoint);
            http.Features.Set(visitor);
        }

        await next(http);
    }

    private async Task<Visitor> IdentifyAsync(HttpContext http)
    {
        if (!database.Ready.IsCompleted || !sessions.AreReady)
            throw ProblemException.NotReady();
        var bearer = await tokens.IdentifyAsync(http.Request.Headers.Authorization, http.Connection.RemoteIpAddress, ApiRoutes.IsDockers(http.Request.Path), http.RequestAborted);
        if (bearer.RetryAfter is { } retryAfter)
            throw new ProblemException(new Problem(429, string.Create(CultureInfo.InvariantCulture, $"too many tokens were refused, try again in {retryAfter.TotalSeconds} s"))) { RetryAfter = retryAfter };
        if (bearer.Actor is { } actor)
            return new Visitor(actor, roles, policies);
        http.Response.Headers.WWWAuthenticate = "Bearer realm=\"imageaccess\"";
        throw new ProblemException(new Problem(401, Unauthorized));
    }

    /// <summary>A misspelt parameter would show more than was asked for.</summary>
    private static void RefuseUnknown(IQueryCollection query, Endpoint endpoint)
    {
        if (query.Count == 0 || endpoint.Metadata.GetMetadata<MethodInfo>() is not { } method)
            return;
        var known = NamesOf(method).Except(["http"]).Except(PathParameters(endpoint)).ToList();
        if (query.Keys.FirstOrDefault(name => !known.Contains(name)) is { } unknown)
            throw ProblemException.Bad($"unknown parameter {PrintableText.Of(unknown)}; known are: {(known.Count == 0 ? "none" : string.Join(", ", known))}");
        if (query.FirstOrDefault(parameter => parameter.Value.Count > 1).Key is { } twice)
            throw ProblemException.Bad($"the parameter {twice} comes twice");
    }

    private static IEnumerable<string> NamesOf(MethodInfo method) => method.GetParameters()
        .SelectMany(parameter => parameter.IsDefined(typeof(AsParametersAttribute)) ? (IEnumerable<ICustomAttributeProvider>)parameter.ParameterType.GetProperties() : [parameter])
        .Select(one => one.GetCustomAttributes(typeof(FromQueryAttribute), inherit: false).OfType<FromQueryAttribute>().FirstOrDefault()?.Name ?? ((ParameterInfo)one).Name!);

    private static IEnumerable<string> PathParameters(Endpoint endpoint) =>
        endpoint is RouteEndpoint route ? route.RoutePattern.Parameters.Select(parameter => parameter.Name) : [];
}
