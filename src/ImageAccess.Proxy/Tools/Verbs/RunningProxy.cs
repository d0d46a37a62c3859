using System.Net;
using System.Text.Json;
using ImageAccess.Core.Oci;
using ImageAccess.Proxy.Foundation.Configuration;
using ImageAccess.Proxy.Policies.Decisions;

namespace ImageAccess.Proxy.Tools.Verbs;

/// <summary>The proxy that runs with the same configuration, asked on its admin listener.</summary>
internal sealed class RunningProxy : IImageJudge
{
    private const string WayOut = "use --offline to judge with the policy's file alone";
    private const int MaximumAnswer = 64 * 1024;
    private static readonly TimeSpan AnswerTimeout = TimeSpan.FromSeconds(20);

    private readonly Uri _admin;
    private readonly HttpClient _client;

    private RunningProxy(Uri admin)
    {
        _admin = admin;
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
    public static RunningProxy At(IConfiguration configuration)
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
            throw new MisuseException($"Listen:Admin: port 0 is any free one, so the proxy cannot be found; {WayOut}");
        var host = address.Host is null || address.Host.Equals(IPAddress.Any) ? IPAddress.Loopback
            : address.Host.Equals(IPAddress.IPv6Any) ? IPAddress.IPv6Loopback
            : address.Host;
        return new RunningProxy(new UriBuilder("http", host.ToString(), address.Port).Uri);
    }

    public async Task<CheckAnswer> CheckAsync(ImageName image, JudgedCaller caller, CancellationToken cancellationToken)
    {
        try
        {
            using var response = await _client.GetAsync(new Uri(_admin, CheckAnswer.Path + Query(image, caller)), cancellationToken);
            if (response.StatusCode == HttpStatusCode.OK)
            {
                var answer = await response.Content.ReadFromJsonAsync<CheckAnswer>(JsonSerializerOptions.Web, cancellationToken);
                return answer is { Image: not null } ? answer : throw new JsonException();
            }

            var refusal = await response.Content.ReadFromJsonAsync<CheckRefusal>(JsonSerializerOptions.Web, cancellationToken);
            throw new MisuseException(refusal?.Error ?? throw new JsonException());
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            throw new MisuseException($"{Source} is not this program, or not of this version; {WayOut}");
        }
        catch (Exception exception) when (exception is HttpRequestException or OperationCanceledException && !cancellationToken.IsCancellationRequested)
        {
            var cause = exception.GetBaseException() is System.Net.Sockets.SocketException socket ? socket.Message : exception.Message;
            throw new MisuseException($"{Source} does not answer ({cause}); start it, or {WayOut}");
        }
    }

    public void Dispose() => _client.Dispose();

    private static string Query(ImageName image, JudgedCaller caller) => QueryString.Create(
        new Dictionary<string, string?> { ["image"] = Full(image), ["as"] = caller.User, ["organization"] = caller.Organization }
            .Where(pair => pair.Value is not null)).Value!;

    /// <summary>The image with its registry, so that the proxy cannot read a short name in another way.</summary>
    private static string Full(ImageName image) => image.Repository is null ? image.ToString()
        : $"{ImageName.DockerHub}/{image.Path}{(image.Tag is null ? "" : $":{image.Tag}")}{(image.Digest is null ? "" : $"@{image.Digest}")}";
}
