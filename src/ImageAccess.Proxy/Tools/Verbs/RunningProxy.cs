using System.Net;
using System.Text.Json;
using ImageAccess.Core.Oci;
using ImageAccess.Proxy.Content.Serving;
using ImageAccess.Proxy.Foundation.Configuration;
using ImageAccess.Proxy.Policies.Decisions;

namespace ImageAccess.Proxy.Tools.Verbs;

/// <summary>The proxy that runs with the same configuration, asked on its admin listener.</summary>
internal sealed class RunningProxy : IImageJudge
{
    private const int MaximumAnswer = 1024 * 1024;
    private static readonly TimeSpan AnswerTimeout = TimeSpan.FromSeconds(20);

    /// <summary>Less than a container's health check waits.</summary>
    private static readonly TimeSpan HealthTimeout = TimeSpan.FromSeconds(8);

    private readonly Uri _admin;
    private readonly string? _wayOut;
    private readonly HttpClient _client;

    private RunningProxy(Uri admin, string? wayOut)
    {
        (_admin, _wayOut) = (admin, wayOut);
        _client = new HttpClient(new SocketsHttpHandler
        {
            UseProxy = false,
            UseCookies = false,
            AllowAutoRedirect = false,
            ConnectTimeout = TimeSpan.FromSeconds(5),
        })
        {
            BaseAddress = admin,
            Timeout = AnswerTimeout,
            MaxResponseContentBufferSize = MaximumAnswer,
        };
    }

    public string Source => $"the proxy at {_admin.GetLeftPart(UriPartial.Authority)}";

    /// <exception cref="MisuseException"><c>Listen:Admin</c> does not say where.</exception>
    public static RunningProxy At(IConfiguration configuration) => At(configuration, wayOut: null);

    /// <summary>The same for checks, which can do without a proxy.</summary>
    /// <exception cref="MisuseException"><c>Listen:Admin</c> does not say where.</exception>
    public static RunningProxy ForChecksAt(IConfiguration configuration) => At(configuration, "use --offline to judge with the policy's file alone");

    public Task<CheckAnswer> CheckAsync(ImageName image, JudgedCaller caller, CancellationToken cancellationToken) => AskAsync<CheckAnswer>(
        HttpMethod.Get,
        CheckAnswer.Path + Query(("image", Full(image)), ("as", caller.User), ("organization", caller.Organization)),
        answer => answer.Image is not null,
        cancellationToken);

    /// <summary>Makes the proxy forget what it keeps of an image.</summary>
    /// <exception cref="MisuseException">It did not, and why.</exception>
    public Task<ForgottenImage> ForgetAsync(ImageName image, string? reason, CancellationToken cancellationToken) => AskAsync<ForgottenImage>(
        HttpMethod.Delete,
        ForgottenImage.Path + Query(("image", Full(image)), ("by", Environment.UserName), ("reason", reason)),
        answer => answer.Image is not null,
        cancellationToken);

    /// <summary>Whether it is ready, or only alive, and what it says of itself in one line. No answer is an answer too.</summary>
    public async Task<(bool IsWell, string Line)> AskHealthAsync(bool live, CancellationToken cancellationToken)
    {
        try
        {
            using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            limit.CancelAfter(HealthTimeout);
            using var response = await _client.GetAsync(new Uri(_admin, live ? "/livez" : "/readyz"), limit.Token);
            var line = live
                ? (await response.Content.ReadAsStringAsync(limit.Token)).TrimEnd()
                : (await response.Content.ReadFromJsonAsync<Readiness>(JsonSerializerOptions.Web, limit.Token))?.ToString();
            return (response.StatusCode == HttpStatusCode.OK && line is not null, line ?? "it is not this program");
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            return (false, $"{Source} is not this program, or not of this version");
        }
        catch (Exception exception) when (exception is HttpRequestException or OperationCanceledException && !cancellationToken.IsCancellationRequested)
        {
            return (false, $"{Source} does not answer ({CauseOf(exception)})");
        }
    }

    public void Dispose() => _client.Dispose();

    private static RunningProxy At(IConfiguration configuration, string? wayOut)
    {
        ListenAddress address;
        try
        {
            address = ListenAddress.Parse(configuration["Listen:Admin"]!);
        }
        catch (FormatException exception)
        {
            throw new MisuseException($"Listen:Admin: {exception.Message}");
        }

        if (address.Port == 0)
            throw new MisuseException($"Listen:Admin: port 0 is any free one, so the proxy cannot be found{(wayOut is null ? "" : $"; {wayOut}")}");
        var host = address.Host is null || address.Host.Equals(IPAddress.Any) ? IPAddress.Loopback
            : address.Host.Equals(IPAddress.IPv6Any) ? IPAddress.IPv6Loopback
            : address.Host;
        return new RunningProxy(new UriBuilder("http", host.ToString(), address.Port).Uri, wayOut);
    }

    private async Task<T> AskAsync<T>(HttpMethod method, string target, Predicate<T> isAnswer, CancellationToken cancellationToken)
        where T : class
    {
        try
        {
            using var request = new HttpRequestMessage(method, new Uri(_admin, target));
            using var response = await _client.SendAsync(request, cancellationToken);
            if (response.StatusCode == HttpStatusCode.OK)
            {
                var answer = await response.Content.ReadFromJsonAsync<T>(JsonSerializerOptions.Web, cancellationToken);
                return answer is not null && isAnswer(answer) ? answer : throw new JsonException();
            }

            var refusal = await response.Content.ReadFromJsonAsync<Refusal>(JsonSerializerOptions.Web, cancellationToken);
            throw new MisuseException(refusal?.Error ?? refusal?.Detail ?? throw new JsonException());
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            throw new MisuseException($"{Source} is not this program, or not of this version{(_wayOut is null ? "" : $"; {_wayOut}")}");
        }
        catch (Exception exception) when (exception is HttpRequestException or OperationCanceledException && !cancellationToken.IsCancellationRequested)
        {
            throw new MisuseException($"{Source} does not answer ({CauseOf(exception)}); start it{(_wayOut is null ? "" : $", or {_wayOut}")}");
        }
    }

    public static string CauseOf(Exception exception) =>
        exception is OperationCanceledException ? "it took too long"
        : exception.GetBaseException() is System.Net.Sockets.SocketException socket ? socket.Message
        : exception.Message;

    public static string Query(params IEnumerable<(string Name, string? Value)> parameters) =>
        QueryString.Create(parameters.Where(parameter => parameter.Value is not null).Select(parameter => KeyValuePair.Create(parameter.Name, parameter.Value))).Value!;

    /// <summary>The image with its registry, so that the proxy cannot read a short name in another way.</summary>
    public static string Full(ImageName image) => image.Repository is null ? image.ToString()
        : $"{ImageName.DockerHub}/{image.Path}{(image.Tag is null ? "" : $":{image.Tag}")}{(image.Digest is null ? "" : $"@{image.Digest}")}";

    /// <summary>What <c>/readyz</c> says.</summary>
    private sealed record Readiness(string? Status, Dictionary<string, string>? Degraded)
    {
        public override string ToString() => Status is null ? throw new JsonException()
            : Degraded is not { Count: > 0 } ? Status
            : $"{Status}: {string.Join("; ", Degraded.Select(part => $"{part.Key}: {part.Value}"))}";
    }

    /// <summary>Why not: of a check, or as the API says it.</summary>
    private sealed record Refusal(string? Error, string? Detail);
}
