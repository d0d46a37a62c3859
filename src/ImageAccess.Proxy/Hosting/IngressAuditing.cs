using ImageAccess.Proxy.Connections.Ingress;
using ImageAccess.Proxy.Foundation.Audit;

namespace ImageAccess.Proxy.Hosting;

internal static class IngressAuditing
{
    /// <summary>A connection that was led nowhere is an audit event.</summary>
    public static IServiceCollection AddIngressAuditing(this IServiceCollection services) => services.AddSingleton<RefusalRecorder>(provider =>
    {
        var trail = provider.GetRequiredService<AuditTrail>();
        return refusal => trail.RecordConnectionAsync(refusal.Face, refusal.Client, refusal.User, refusal.Host?.Value, refusal.Port, refusal.Reason);
    });
}
