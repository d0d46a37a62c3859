using System.Runtime.Versioning;
using ImageAccess.Proxy.Administration.Export;
using Microsoft.Extensions.Configuration;

namespace ImageAccess.Proxy.Tests.Administration.Export;

[UnsupportedOSPlatform("windows")]
public sealed class ExportOptionsTests
{
    [Theory]
    [InlineData("", "")]
    [InlineData("Syslog:Server=logs.example.com", "")]
    [InlineData("Syslog:Server=[2001:db8::1]:6515", "")]
    [InlineData("Syslog:Server=https://logs.example.com", "Audit:Export:Syslog:Server: name the syslog server, as logs.example.com or logs.example.com:6514")]
    [InlineData("Syslog:Server=logs.example.com:70000", "Audit:Export:Syslog:Server: name the syslog server, as logs.example.com or logs.example.com:6514")]
    [InlineData("Syslog:Server=logs.example.com/x", "Audit:Export:Syslog:Server: name the syslog server, as logs.example.com or logs.example.com:6514")]
    [InlineData("Syslog:Server=", "Audit:Export:Syslog:Server: name the syslog server, as logs.example.com or logs.example.com:6514")]
    [InlineData("Syslog:Server=a;Syslog:Facility=local8", "Audit:Export:Syslog:Facility: 'local8' is none of: kern, user, mail, daemon, auth, syslog, lpr, news, uucp, cron, authpriv, ftp, ntp, audit, alert, clock, local0, local1, local2, local3, local4, local5, local6, local7")]
    [InlineData("Syslog:Server=a;Syslog:Certificate=/nonexistent", "Audit:Export:Syslog:CertificateKey: name both Certificate and CertificateKey, or neither")]
    [InlineData("Syslog:Server=a;Syslog:Certificate=/nonexistent;Syslog:CertificateKey=/nonexistent", "Audit:Export:Syslog:Certificate: /nonexistent does not exist")]
    [InlineData("Otlp:Endpoint=https://collector.example.com:4318", "")]
    [InlineData("Otlp:Endpoint=collector.example.com:4318", "Audit:Export:Otlp:Endpoint: name the receiver's address without a user name, as https://collector.example.com:4318")]
    [InlineData("Otlp:Endpoint=collector", "Audit:Export:Otlp:Endpoint: name the receiver's address without a user name, as https://collector.example.com:4318")]
    [InlineData("Otlp:Endpoint=https://user:canary@collector.example.com", "Audit:Export:Otlp:Endpoint: name the receiver's address without a user name, as https://collector.example.com:4318")]
    [InlineData("Otlp:Endpoint=http://collector.example.com:4318", "Audit:Export:Otlp:Endpoint: is plain http: use https, or say that the receiver is your own with Private")]
    [InlineData("Otlp:Endpoint=http://collector.example.com:4318;Otlp:Private=true", "")]
    [InlineData("Otlp:Endpoint=https://c.example.com;Otlp:HeadersFile=/nonexistent", "Audit:Export:Otlp:HeadersFile: /nonexistent is not there")]
    [InlineData("Otlp:HeadersFile=/nonexistent", "Audit:Export:Otlp:Endpoint: name the receiver's address without a user name, as https://collector.example.com:4318|Audit:Export:Otlp:HeadersFile: /nonexistent is not there")]
    public void A_fault_names_its_key(string settings, string faults) =>
        Assert.Equal(faults.Split('|', StringSplitOptions.RemoveEmptyEntries), Of(settings).Faults());

    [Theory]
    [InlineData("logs.example.com", "logs.example.com", 6514)]
    [InlineData("192.0.2.1:99", "192.0.2.1", 99)]
    [InlineData("[2001:db8::1]", "2001:db8::1", 6514)]
    public void A_server_has_a_port(string server, string host, int port) => Assert.Equal((host, port), new SyslogOptions { Server = server }.Address);

    [Theory]
    [InlineData("https://c.example.com", "https://c.example.com/v1/logs")]
    [InlineData("https://c.example.com:4318/", "https://c.example.com:4318/v1/logs")]
    [InlineData("https://c.example.com/otlp/v1/logs?x=1", "https://c.example.com/otlp/v1/logs?x=1")]
    public void An_endpoint_without_a_path_has_the_protocols_own(string endpoint, string address) =>
        Assert.Equal(address, new OtlpOptions { Endpoint = new Uri(endpoint) }.Address.AbsoluteUri);

    [Theory]
    [InlineData("a=1,b=2%2C3", "a: 1|b: 2,3")]
    [InlineData(" a = 1 , ", "a: 1")]
    [InlineData("a", null)]
    [InlineData("=1", null)]
    [InlineData("a b=1", null)]
    [InlineData("a=1%0D%0Ab:2", null)]
    [InlineData("Content-Type=text/plain", null)]
    public void Headers_are_written_as_the_environment_of_OpenTelemetry_has_them(string text, string? headers)
    {
        using var directory = new TemporaryDirectory();
        File.WriteAllText(directory["headers"], text);
        var read = new OtlpOptions { HeadersFile = directory["headers"] }.ReadHeaders(out var problem);
        Assert.Equal(headers, read is null ? null : string.Join('|', read.Select(header => $"{header.Name}: {header.Value}")));
        Assert.Equal(read is null ? $"{directory["headers"]} holds no headers as name=value,name=value" : "", problem);
    }

    private static ExportOptions Of(string settings)
    {
        var pairs = settings.Split(';', StringSplitOptions.RemoveEmptyEntries).Select(setting => setting.Split('=', 2)).ToDictionary(setting => $"Audit:Export:{setting[0]}", setting => (string?)setting[1]);
        return new ConfigurationBuilder().AddInMemoryCollection(pairs).Build().GetSection(ExportOptions.Section).Get<ExportOptions>() ?? new ExportOptions();
    }
}
