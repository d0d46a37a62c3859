using BenchmarkDotNet.Attributes;
using ImageAccess.Core.Oci;
using ImageAccess.Proxy.Registry;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;

namespace ImageAccess.Benchmarks;

/// <summary>The body and the reason phrase of a refusal, written to nowhere.</summary>
[MemoryDiagnoser]
public class Denying
{
    private readonly DefaultHttpContext _http = new();
    private readonly RegistryError _error = new(403, "DENIED", "image access denied: community images not allowed");

    [GlobalSetup]
    public void WriteToNowhere()
    {
        _http.Request.Method = "GET";
        _http.Features.Set<IHttpResponseBodyFeature>(new StreamResponseBodyFeature(Stream.Null));
    }

    [Benchmark]
    public Task Error() => ErrorBody.WriteAsync(_http, _error);

    [Benchmark]
    public Task ErrorWithDetail() => ErrorBody.WriteAsync(_http, _error, json =>
    {
        json.WriteStartObject();
        json.WriteString("decision", "0123456789abcdef");
        json.WriteString("repository", "someuser/custom-image");
        json.WriteString("category", "community");
        json.WriteString("rule", "community");
        json.WriteString("policyVersion", "0123456789ab");
        json.WriteEndObject();
    });
}
