using ImageAccess.Proxy.Foundation.Database;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace ImageAccess.Proxy.Policies.Exceptions;

/// <summary>Whether the exceptions in force are those of the database. It asks nobody.</summary>
internal sealed class ExceptionsHealth(ExceptionStore store, DatabaseState database) : IHealthCheck
{
    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
    {
        var concern = store.Concern ?? (!store.IsRead && database.Concern is { } cause ? $"{cause}; {store.Stays}" : null);
        return Task.FromResult(concern is null ? HealthCheckResult.Healthy() : HealthCheckResult.Degraded(concern));
    }
}
