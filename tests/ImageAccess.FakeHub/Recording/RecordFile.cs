using System.Text.Json;

namespace ImageAccess.FakeHubs;

/// <summary>The record as JSON lines. Of credentials it keeps the scheme, of signed links and account names nothing.</summary>
internal sealed class RecordFile(string path) : IAsyncDisposable
{
    private static readonly string[] SecretParameters = ["Signature", "account", "_state"];
    private readonly Lock _gate = new();
    private readonly StreamWriter _writer =
        new(new FileStream(path, FileMode.Append, FileAccess.Write, FileShare.Read)) { AutoFlush = true };

    public void Write(RecordedRequest request)
    {
        var line = JsonSerializer.Serialize(
            new
            {
                at = request.At,
                face = request.Face.ToString(),
                method = request.Method,
                host = request.Host,
                target = Target(request),
                viaDockerHubNames = request.ViaDockerHubNames,
                protocol = request.Protocol,
                userAgent = request.Header("User-Agent"),
                authorization = request.Authorization?.Split(' ') is [var scheme, _] ? scheme : null,
                status = request.Status,
            },
            Answers.Json);
        lock (_gate)
            _writer.WriteLine(line);
    }

    public ValueTask DisposeAsync() => _writer.DisposeAsync();

    private static string Target(RecordedRequest request)
    {
        if (request.Query.Length == 0)
            return request.RawTarget;
        var parameters = request.Query.Split('&').Select(parameter =>
            parameter.Split('=')[0] is var name && SecretParameters.Contains(name, StringComparer.Ordinal) ? name + "=..." : parameter);
        return request.Path + "?" + string.Join('&', parameters);
    }
}
