using System.Diagnostics.Metrics;

namespace ImageAccess.Proxy.Connections.Certificates;

/// <summary>When certificates end.</summary>
internal sealed class CertificateMetrics(IMeterFactory meters, ServerCertificates certificates)
{
    public void Watch() => meters.Create("ImageAccess").CreateObservableGauge(
        "imageaccess.certificate.ends",
        () => certificates.Ends.Select(one => new Measurement<long>(one.At.ToUnixTimeSeconds(), new KeyValuePair<string, object?>("certificate", one.Name))),
        "s",
        "When the authority and the listeners' certificates end, in Unix time.");
}
