using System.Data.Common;
using System.Globalization;
using System.Net;
using ImageAccess.Proxy.Administration.Api;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Foundation.Files;
using ImageAccess.Proxy.Foundation.Limits;
using ImageAccess.Proxy.Policies.Decisions;
using ImageAccess.Proxy.Policies.Exceptions;
using ImageAccess.Proxy.Policies.Store;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.EntityFrameworkCore;

namespace ImageAccess.Proxy.Portal.Pages;

/// <summary>
/// Every request of the console's listener, for a page or the API: its limits, and a problem for each error, as a page where a browser asks. The
/// routes are built with the first one, because a proxy without a console's users should not pay for them.
/// </summary>
internal sealed class ConsoleListener
{
    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(30);

    private readonly ClientLimits _limits;
    private readonly SqlDatabase _database;
    private readonly ILogger _logger;
    private readonly TimeProvider _time;
    private readonly Lazy<RequestDelegate> _routes;

    public ConsoleListener(IServiceProvider services, ClientLimits limits, SqlDatabase database, TimeProvider time, ILogger<ConsoleListener> logger)
    {
        (_limits, _database, _time, _logger) = (limits, database, time, logger);
        _routes = new Lazy<RequestDelegate>(() => BuildRoutes(services));
    }

    public async Task HandleAsync(HttpContext http)
    {
        var response = http.Response;
        response.Headers.CacheControl = "no-store";
        PageHeaders.AddTo(http);
        using var timeout = new CancellationTokenSource(Timeout, _time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(timeout.Token, http.RequestAborted);
        var gone = http.RequestAborted;
        http.RequestAborted = both.Token;
        try
        {
            await AnswerAsync(http);
            if (response is { HasStarted: false, StatusCode: >= 400, ContentType: null })
                await WriteAsync(http, new Problem(response.StatusCode, Detail(response.StatusCode, http.Request)));
        }
        catch (Exception exception) when (gone.IsCancellationRequested || exception is ConnectionResetException or ConnectionAbortedException)
        {
            // The client left; there is nobody to answer.
        }
        catch (Exception exception) when (!response.HasStarted)
        {
            var problem = timeout.IsCancellationRequested ? new Problem(503, "it took too long, try again") : ProblemOf(exception, response);
            if (problem.Status == 500)
                _logger.RequestFailed(exception);
            await WriteAsync(http, problem);
        }
    }

    /// <summary>A browser that asks for a page gets one; everything else the problem as it is.</summary>
    private static Task WriteAsync(HttpContext http, Problem problem) => PageRoutes.WantsPage(http.Request)
        ? ConsolePage.Answer<ProblemPage>(problem.Status, (nameof(ProblemPage.Status), problem.Status), (nameof(ProblemPage.Detail), problem.Detail)).ExecuteAsync(http)
        : problem.WriteAsync(http.Response);

    private static RequestDelegate BuildRoutes(IServiceProvider services)
    {
        var builder = new ApplicationBuilder(services); // one of its own: routing is for this listener alone
        builder.UseRouting();
        var gate = services.GetRequiredService<ApiGate>();
        var pages = services.GetRequiredService<PageGate>();
        builder.Use(next => http => http.GetEndpoint() switch
        {
            { } endpoint when endpoint.Metadata.GetMetadata<PageDemand>() is { } demand => pages.HandleAsync(http, demand, next),
            not RouteEndpoint when !PageRoutes.IsOfApi(http.Request) => next(http), // there is nothing, or not with this method
            _ => gate.HandleAsync(http, next),
        });
        builder.UseEndpoints(endpoints =>
        {
            endpoints.MapApi(services.GetServices<IOperations>());
            endpoints.MapPages(services.GetServices<IPages>());
        });
        return builder.Build();
    }

    private async Task AnswerAsync(HttpContext http)
    {
        if (!_limits.ConsoleRequests.TryEnter(_limits.ShareOf(http.Connection.RemoteIpAddress), out var slot))
            throw new ProblemException(new Problem(429, "too many requests at once, try again")) { RetryAfter = TimeSpan.FromSeconds(1) };
        using (slot)
        {
            if (!http.Request.IsHttps && !IsOwnMachine(http.Connection))
                throw new ProblemException(new Problem(403, "this listener answers over https, or to its own machine: a token must not go in the clear (the proxy in front must send X-Forwarded-Proto)"));
            http.Features.GetRequiredFeature<IHttpMaxRequestBodySizeFeature>().MaxRequestBodySize = JsonBody.MaximumSize;
            await _routes.Value(http);
        }
    }

    private static bool IsOwnMachine(ConnectionInfo connection) =>
        connection.RemoteIpAddress is { } remote && IPAddress.IsLoopback(remote) && connection.LocalIpAddress is { } local && IPAddress.IsLoopback(local);

    private Problem ProblemOf(Exception exception, HttpResponse response)
    {
        switch (exception)
        {
            case ProblemException own:
                if (own.RetryAfter is { } retryAfter)
                    response.Headers.RetryAfter = retryAfter.TotalSeconds.ToString(CultureInfo.InvariantCulture);
                return own.Problem;
            case BadHttpRequestException { StatusCode: StatusCodes.Status413PayloadTooLarge }:
                return new Problem(413, $"the body is too large: at most {SizeOf(response.HttpContext.Features.GetRequiredFeature<IHttpMaxRequestBodySizeFeature>())}");
            case BadHttpRequestException bad:
                return new Problem(bad.StatusCode, $"the request cannot be read: {PrintableText.Of(bad.Message)}");
            case FaultyChangeException faulty:
                return ProblemException.Bad([.. faulty.Faults.Select(fault => new Mistake(fault.Part ?? "", fault.Text))]).Problem;
            case NoVerdictException none:
                return new Problem(none.IsTemporary ? 503 : 400, PrintableText.Of(none.Message));
            case UnknownChangeException:
                return new Problem(404, exception.Message);
            case ForbiddenChangeException:
                return new Problem(403, exception.Message);
            case OutdatedChangeException:
                return new Problem(412, exception.Message);
            case RefusedChangeException:
                return new Problem(409, exception.Message);
            default:
                return IsOfDatabase(exception) ? new Problem(503, $"the database {_database.Explain(exception)}; nothing was changed")
                    : exception is IOException or UnauthorizedAccessException ? new Problem(503, $"it cannot be kept: {PrintableText.Of(exception.Message)}")
                    : new Problem(500, "the request failed in the proxy itself: its log says why");
        }
    }

    private static string SizeOf(IHttpMaxRequestBodySizeFeature limit)
    {
        var kibibytes = (limit.MaxRequestBodySize ?? JsonBody.MaximumSize) / 1024;
        return string.Create(CultureInfo.InvariantCulture, $"{(kibibytes < 1024 ? kibibytes : kibibytes / 1024)} {(kibibytes < 1024 ? "KiB" : "MiB")}");
    }

    private static bool IsOfDatabase(Exception exception)
    {
        for (var cause = exception; cause is not null; cause = cause.InnerException)
        {
            if (cause is DbException or DbUpdateException or DatabaseException or TimeoutException)
                return true;
        }

        return false;
    }

    private static string Detail(int status, HttpRequest request) => status switch
    {
        404 => $"there is nothing at {PrintableText.Of(request.Path.Value ?? "")}: {ApiRoutes.Description} says what there is",
        405 => $"{PrintableText.Of(request.Method)} is not for this address",
        415 => "the body must be JSON: Content-Type: application/json",
        _ => "the request cannot be read",
    };
}

internal static partial class PageLog
{
    [LoggerMessage(1, LogLevel.Error, "A request of the console failed")]
    public static partial void RequestFailed(this ILogger logger, Exception exception);
}
