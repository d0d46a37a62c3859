using ImageAccess.Proxy.Administration.Denials;
using ImageAccess.Proxy.Administration.Export;
using ImageAccess.Proxy.Administration.Notifications;
using ImageAccess.Proxy.Administration.Usage;
using ImageAccess.Proxy.Callers.Identity;
using ImageAccess.Proxy.Callers.Members;
using ImageAccess.Proxy.Connections.Certificates;
using ImageAccess.Proxy.Connections.Ingress;
using ImageAccess.Proxy.Content.Cache;
using ImageAccess.Proxy.Content.Serving;
using ImageAccess.Proxy.Foundation.Audit;
using ImageAccess.Proxy.Foundation.DockerHub;
using ImageAccess.Proxy.Foundation.Limits;
using ImageAccess.Proxy.Policies.Catalog;
using ImageAccess.Proxy.Policies.Decisions;
using ImageAccess.Proxy.Policies.Store;

namespace ImageAccess.Proxy.Hosting;

/// <summary>
/// What is watched is, and every counter is in the metrics at zero before anything is counted: a series that begins with its first event shows no increase for it.
/// It starts once the SDK listens.
/// </summary>
internal sealed class FirstCounts(
    LimitMetrics limits,
    AuditMetrics audit,
    UpstreamMetrics upstream,
    IngressMetrics ingress,
    IdentityMetrics identity,
    MembershipMetrics members,
    CatalogMetrics catalog,
    DecisionMetrics decisions,
    CacheMetrics cache,
    ContentMetrics content,
    DenialMetrics denials,
    NotificationMetrics notifications,
    Receivers receivers,
    UsageMetrics usage,
    ExportMetrics export,
    TrailReceivers exported,
    PolicyMetrics policies,
    CertificateMetrics certificates,
    HealthMetrics health) : IHostedService
{
    public Task StartAsync(CancellationToken cancellationToken)
    {
        limits.StartAtZero();
        audit.StartAtZero();
        upstream.StartAtZero();
        ingress.StartAtZero();
        identity.StartAtZero();
        members.StartAtZero();
        catalog.StartAtZero();
        decisions.StartAtZero();
        cache.StartAtZero();
        content.StartAtZero();
        denials.StartAtZero();
        notifications.StartAtZero(receivers.All);
        usage.StartAtZero();
        export.StartAtZero(exported.All);
        policies.Watch();
        certificates.Watch();
        health.Watch();
        return Task.CompletedTask;
    }

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
}
