using System.CommandLine;
using System.Globalization;
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
/// <param name="name">Of the option that names the proxy.</param>
/// <param name="what">What becomes of it there.</param>
internal sealed class ServerOptions(string name, string what)
{
    private readonly Option<string?> _server = new(name) { Description = $"The proxy's console, as https://images.example.com: {what}", HelpName = "URL" };

    private readonly Option<string?> _tokenFile = new("--token-file") { Description = $"With {name}: a file with an API token, readable by its owner alone.", HelpName = "FILE" };

    public ServerOptions()
        : this("--server", "it is asked by its API, and nothing of this machine is read or changed.")
    {
    }

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
            return file is null ? null : throw new MisuseException($"--token-file goes with {name}");
        foreach (var other in others)
        {
            if (parsed.GetResult(other) is { Implicit: false })
                throw new MisuseException($"{other.Name} is about this machine and does not go with {name}");
        }

        if (file is null)
            throw new MisuseException($"{name} needs an API token: name a file that holds one with --token-file");
        if (!Uri.TryCreate(server, UriKind.Absolute, out var address) || address is not { Scheme: "http" or "https", PathAndQuery: "/", UserInfo.Length: 0 })
            throw new MisuseException($"{name}: '{PrintableText.Of(server)}' is not an address, as https://images.example.com");
        if (address is { Scheme: "http", IsLoopback: false })
            throw new MisuseException($"{name}: {address} would be sent the token in the clear: use https");
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

/// <summary>A proxy elsewhere, asked by its HTTP API. Whatever it answers, the token is in no sentence.</summary>
internal sealed class ServerApi : IImageJudge
{
    private const int MaximumAnswer = 4 * 1024 * 1024;

    /// <summary>Parts of a list that are read.</summary>
    private const int MaximumPages = 100;

    /// <summary>What a part of a list may have.</summary>
    private const int MaximumPart = 200;

    /// <summary>The server itself gives up after 30 seconds.</summary>
    private static readonly TimeSpan AnswerTimeout = TimeSpan.FromSeconds(40);

    /// <summary>What does not know a member knows less; what lacks one is no answer.</summary>
    private static readonly JsonSerializerOptions Json = new(JsonSerializerOptions.Web) { RespectNullableAnnotations = true, RespectRequiredConstructorParameters = true };

    private readonly HttpClient _client;
    private readonly string _token;

    public ServerApi(Uri server, string token)
        : this(server, token, AnswerTimeout)
    {
    }

    public ServerApi(Uri server, string token, TimeSpan timeout)
    {
        _token = token;
        _client = new HttpClient(new SocketsHttpHandler
        {
            UseProxy = server.Scheme == Uri.UriSchemeHttps, // what goes in the clear goes to this machine alone
            UseCookies = false,
            AllowAutoRedirect = false,
            ConnectTimeout = TimeSpan.FromSeconds(10),
        })
        {
            BaseAddress = server,
            Timeout = timeout,
            MaxResponseContentBufferSize = MaximumAnswer,
        };
        _client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", token);
    }

    public string Source => $"the proxy at {_client.BaseAddress!.GetLeftPart(UriPartial.Authority)}";

    /// <summary>Half of what the server lets one client do.</summary>
    public int AtOnce => 4;

    /// <summary>A name as a part of a path.</summary>
    /// <exception cref="MisuseException">It would lead elsewhere.</exception>
    public static string Segment(string name) =>
        name.Trim('.').Length == 0 ? throw new MisuseException($"'{PrintableText.Of(name)}' is no name") : Uri.EscapeDataString(name);

    public async Task<CheckAnswer> CheckAsync(ImageName image, JudgedCaller caller, CancellationToken cancellationToken)
    {
        var path = $"images/{Uri.EscapeDataString(RunningProxy.Full(image)).Replace("%2F", "/", StringComparison.Ordinal)}";
        var answer = await GetAsync<CheckAnswer>(path + RunningProxy.Query(("as", caller.User), ("organization", caller.Organization)), cancellationToken);
        return answer.Image.Verdict is "allow" or "deny" or "observe" or ImageVerdict.Outside or ImageVerdict.Unknown ? answer : throw Foreign();
    }

    /// <exception cref="NotThereException">There is nothing at the path.</exception>
    /// <exception cref="MisuseException">It refused; the message says why.</exception>
    /// <exception cref="PassingFaultException">It did not answer.</exception>
    public Task<T> GetAsync<T>(string path, CancellationToken cancellationToken)
        where T : class => AskAsync(HttpMethod.Get, path, content: null, unchanged: null, ReadAsync<T>, cancellationToken);

    /// <summary>A document, byte for byte.</summary>
    /// <inheritdoc cref="GetAsync"/>
    public Task<ServedDocument> GetDocumentAsync(string path, CancellationToken cancellationToken) =>
        AskAsync(HttpMethod.Get, path, content: null, unchanged: null, ReadDocumentAsync, cancellationToken);

    /// <param name="unchanged">The ETag of what is changed; null for whatever is there.</param>
    /// <inheritdoc cref="GetAsync"/>
    public Task<T> PostAsync<T>(string path, object? body, CancellationToken cancellationToken, string? unchanged = null)
        where T : class => AskAsync(
            HttpMethod.Post, path, body is null ? null : JsonContent.Create(body, body.GetType(), options: JsonBody.Options), unchanged, ReadAsync<T>, cancellationToken);

    /// <summary>Sends a document, byte for byte.</summary>
    /// <inheritdoc cref="PostAsync"/>
    public Task<T> PutAsync<T>(string path, ReadOnlyMemory<byte> document, string unchanged, CancellationToken cancellationToken)
        where T : class
    {
        var content = new ReadOnlyMemoryContent(document);
        content.Headers.ContentType = new MediaTypeHeaderValue(JsonBody.MediaType);
        return AskAsync(HttpMethod.Put, path, content, unchanged, ReadAsync<T>, cancellationToken);
    }

    /// <summary>A whole list.</summary>
    /// <inheritdoc cref="GetAsync"/>
    public Task<IReadOnlyList<T>> ListAsync<T>(string path, CancellationToken cancellationToken, params IEnumerable<(string Name, string? Value)> parameters) =>
        ListAsync<T>(path, int.MaxValue, cancellationToken, parameters);

    /// <summary>The first entries of a list.</summary>
    /// <inheritdoc cref="GetAsync"/>
    public async Task<IReadOnlyList<T>> ListAsync<T>(string path, int count, CancellationToken cancellationToken, params IEnumerable<(string Name, string? Value)> parameters)
    {
        var items = new List<T>();
        string? next = null;
        for (var page = 0; page < MaximumPages; page++)
        {
            var limit = Math.Min(MaximumPart, count - items.Count).ToString(CultureInfo.InvariantCulture);
            var part = await GetAsync<Page<T>>(path + RunningProxy.Query([("limit", limit), ("cursor", next), .. parameters]), cancellationToken);
            items.AddRange(part.Items);
            next = part.Next;
            if (next is null || items.Count >= count)
                break;
        }

        return items;
    }

    /// <summary>Another program answers, or one that does not know what was asked.</summary>
    public MisuseException Foreign() => new($"{Source} is not the console of this program, or not of this version");

    public void Dispose() => _client.Dispose();

    private static async Task<T> ReadAsync<T>(HttpResponseMessage response, CancellationToken cancellationToken)
        where T : class => await response.Content.ReadFromJsonAsync<T>(Json, cancellationToken) ?? throw new JsonException();

    private static async Task<ServedDocument> ReadDocumentAsync(HttpResponseMessage response, CancellationToken cancellationToken) =>
        response is { Headers.ETag.Tag: ['"', .. var tag, '"'], Content.Headers.ContentType.MediaType: JsonBody.MediaType }
            ? new ServedDocument(await response.Content.ReadAsByteArrayAsync(cancellationToken), tag)
            : throw new JsonException();

    private async Task<T> AskAsync<T>(
        HttpMethod method, string path, HttpContent? content, string? unchanged, Func<HttpResponseMessage, CancellationToken, Task<T>> read, CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(method, new Uri($"{ApiRoutes.Root}/{path}", UriKind.Relative)) { Content = content };
        if (unchanged is not null)
            request.Headers.IfMatch.Add(Tag(unchanged));
        try
        {
            using var response = await _client.SendAsync(request, cancellationToken);
            return response.IsSuccessStatusCode ? await read(response, cancellationToken) : throw await RefusalAsync(response, cancellationToken);
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException or HttpRequestException { HttpRequestError: HttpRequestError.ConfigurationLimitExceeded })
        {
            throw Foreign();
        }
        catch (Exception exception) when (exception is HttpRequestException or OperationCanceledException && !cancellationToken.IsCancellationRequested)
        {
            throw Away(RunningProxy.CauseOf(exception));
        }
    }

    /// <summary>Why there is no answer.</summary>
    private async Task<Exception> RefusalAsync(HttpResponseMessage response, CancellationToken cancellationToken)
    {
        var status = (int)response.StatusCode;
        if (status is >= 300 and < 400)
            return new MisuseException(Told($"leads to {PrintableText.Of(response.Headers.Location?.OriginalString ?? "another address")}, which the token is not sent to: name the console's own address with --server"));
        try
        {
            var told = Told((await ReadAsync<Problem>(response, cancellationToken)).Detail, ":");
            return response.StatusCode switch
            {
                HttpStatusCode.ServiceUnavailable or HttpStatusCode.TooManyRequests => ConfigurationLoading.FailedForNow(told),
                HttpStatusCode.NotFound => new NotThereException(told),
                _ => new MisuseException(told),
            };
        }
        catch (Exception exception) when (status >= 500 && exception is JsonException or InvalidOperationException)
        {
            return Away(string.Create(CultureInfo.InvariantCulture, $"HTTP {status}")); // what stands in front of it says so
        }
    }

    private PassingFaultException Away(string cause) => ConfigurationLoading.FailedForNow(Told($"does not answer ({cause})"));

    private string Told(string what, string colon = "") => $"{Source}{colon} {what}".Replace(_token, "…", StringComparison.Ordinal);

    private static EntityTagHeaderValue Tag(string version) =>
        EntityTagHeaderValue.TryParse($"\"{version}\"", out var tag) ? tag : throw new MisuseException($"'{PrintableText.Of(version)}' is no version");
}

/// <summary>A document as a server has it.</summary>
/// <param name="Bytes">Byte for byte.</param>
/// <param name="Tag">Its version, or what tells one content of a section from another.</param>
internal sealed record ServedDocument(byte[] Bytes, string Tag);

/// <summary>There is nothing of that name.</summary>
internal sealed class NotThereException(string problem) : MisuseException(problem);
