using System.CommandLine;
using System.Net;
using System.Net.Http.Headers;
using System.Text.Json;
using ImageAccess.Core.Oci;
using ImageAccess.Proxy.Administration.Api;
using ImageAccess.Proxy.Administration.Tokens;
using ImageAccess.Proxy.Foundation.Configuration;
using ImageAccess.Proxy.Foundation.Files;
using ImageAccess.Proxy.Policies.Decisions;

namespace ImageAccess.Proxy.Tools.Verbs;

/// <summary>The options of a verb that a proxy elsewhere can be asked to do.</summary>
internal sealed class ServerOptions
{
    private readonly Option<string?> _server = new("--server")
    {
        Description = "The proxy's console, as https://images.example.com: it is asked by its API, and nothing of this machine is read or changed.",
        HelpName = "URL",
    };

    private readonly Option<string?> _tokenFile = new("--token-file") { Description = "With --server: a file with an API token, readable by its owner alone.", HelpName = "FILE" };

    public void AddTo(Command command)
    {
        command.Options.Add(_server);
        command.Options.Add(_tokenFile);
    }

    /// <param name="parsed">What was written.</param>
    /// <param name="others">Options that say something about this machine.</param>
    /// <returns>Null where the verb is done on this machine.</returns>
    /// <exception cref="MisuseException">They do not fit together, or the token cannot be used.</exception>
    public ServerApi? Find(ParseResult parsed, params ReadOnlySpan<Option> others)
    {
        var (server, file) = (parsed.GetValue(_server), parsed.GetValue(_tokenFile));
        if (server is null)
            return file is null ? null : throw new MisuseException("--token-file goes with --server");
        foreach (var other in others)
        {
            if (parsed.GetResult(other) is { Implicit: false })
                throw new MisuseException($"{other.Name} is about this machine and does not go with --server");
        }

        if (file is null)
            throw new MisuseException("--server needs an API token: name a file that holds one with --token-file");
        if (!Uri.TryCreate(server, UriKind.Absolute, out var address) || address is not { Scheme: "http" or "https", PathAndQuery: "/", UserInfo.Length: 0 })
            throw new MisuseException($"--server: '{PrintableText.Of(server)}' is not an address, as https://images.example.com");
        if (address is { Scheme: "http", IsLoopback: false })
            throw new MisuseException($"--server: {address} would be sent the token in the clear: use https");
        return new ServerApi(address, ReadToken(file));
    }

    private static string ReadToken(string file)
    {
        if (FileRights.Of(file) is { } rights && (rights.ModeForOthers & (UnixFileMode.GroupRead | UnixFileMode.OtherRead)) != UnixFileMode.None)
            throw new MisuseException($"--token-file: {file} can be read by others than its owner: chmod 600 {file}");
        var token = SecretFile.Read(file, "API token", out var problem) ?? throw new MisuseException($"--token-file: {problem}");
        return TokenSecret.IsOne(token) ? token : throw new MisuseException($"--token-file: {file} does not hold an API token, as imageaccess tokens create prints it");
    }
}

/// <summary>A proxy elsewhere, asked by its HTTP API.</summary>
internal sealed class ServerApi : IImageJudge
{
    private const int MaximumAnswer = 4 * 1024 * 1024;

    /// <summary>Parts of a list that are read.</summary>
    private const int MaximumPages = 100;

    /// <summary>The server itself gives up after 30 seconds.</summary>
    private static readonly TimeSpan AnswerTimeout = TimeSpan.FromSeconds(40);

    private readonly HttpClient _client;

    public ServerApi(Uri server, string token)
    {
        _client = new HttpClient(new SocketsHttpHandler { UseCookies = false, AllowAutoRedirect = false, ConnectTimeout = TimeSpan.FromSeconds(10) })
        {
            BaseAddress = server,
            Timeout = AnswerTimeout,
            MaxResponseContentBufferSize = MaximumAnswer,
        };
        _client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", token);
    }

    public string Source => $"the proxy at {_client.BaseAddress!.GetLeftPart(UriPartial.Authority)}";

    public Task<CheckAnswer> CheckAsync(ImageName image, JudgedCaller caller, CancellationToken cancellationToken) => GetAsync<CheckAnswer>(
        $"images/{Uri.EscapeDataString(RunningProxy.Full(image)).Replace("%2F", "/", StringComparison.Ordinal)}" + RunningProxy.Query(("as", caller.User), ("organization", caller.Organization)),
        cancellationToken);

    /// <exception cref="MisuseException">It did not answer, or refused; the message says why.</exception>
    public Task<T> GetAsync<T>(string path, CancellationToken cancellationToken)
        where T : class => AskAsync<T>(HttpMethod.Get, path, null, cancellationToken);

    /// <inheritdoc cref="GetAsync"/>
    public Task<T> PostAsync<T>(string path, object? body, CancellationToken cancellationToken)
        where T : class => AskAsync<T>(HttpMethod.Post, path, body, cancellationToken);

    /// <summary>A whole list.</summary>
    /// <inheritdoc cref="GetAsync"/>
    public async Task<IReadOnlyList<T>> ListAsync<T>(string path, CancellationToken cancellationToken, params IEnumerable<(string Name, string? Value)> parameters)
    {
        var items = new List<T>();
        string? next = null;
        for (var page = 0; page < MaximumPages; page++)
        {
            var part = await GetAsync<Page<T>>(path + RunningProxy.Query([("limit", "200"), ("cursor", next), .. parameters]), cancellationToken);
            items.AddRange(part.Items);
            next = part.Next;
            if (next is null)
                break;
        }

        return items;
    }

    public void Dispose() => _client.Dispose();

    private async Task<T> AskAsync<T>(HttpMethod method, string path, object? body, CancellationToken cancellationToken)
        where T : class
    {
        try
        {
            using var request = new HttpRequestMessage(method, new Uri($"{ApiRoutes.Root}/{path}", UriKind.Relative));
            if (body is not null)
                request.Content = JsonContent.Create(body, body.GetType(), options: JsonBody.Options);
            using var response = await _client.SendAsync(request, cancellationToken);
            if (response.IsSuccessStatusCode)
                return await response.Content.ReadFromJsonAsync<T>(JsonSerializerOptions.Web, cancellationToken) ?? throw new JsonException();
            var problem = await response.Content.ReadFromJsonAsync<Problem>(JsonSerializerOptions.Web, cancellationToken);
            var told = $"{Source}: {problem?.Detail ?? throw new JsonException()}";
            throw response.StatusCode is HttpStatusCode.ServiceUnavailable or HttpStatusCode.TooManyRequests ? ConfigurationLoading.FailedForNow(told) : new MisuseException(told);
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            throw new MisuseException($"{Source} is not the console of this program, or not of this version");
        }
        catch (Exception exception) when (exception is HttpRequestException or OperationCanceledException && !cancellationToken.IsCancellationRequested)
        {
            throw ConfigurationLoading.FailedForNow($"{Source} does not answer ({RunningProxy.CauseOf(exception)})");
        }
    }
}
