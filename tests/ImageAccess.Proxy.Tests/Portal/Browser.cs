using System.Net;
using System.Text.RegularExpressions;
using ImageAccess.Proxy.Tests.Administration.Api;

namespace ImageAccess.Proxy.Tests.Portal;

/// <summary>A browser without a screen: it keeps cookies as browsers do, sends the forms that it was shown, and follows no redirect by itself.</summary>
internal sealed partial class Browser(ApiRoom room)
{
    private readonly Dictionary<string, string> _cookies = [];

    public IReadOnlyDictionary<string, string> Cookies => _cookies;

    /// <summary>Where it is: one address is one client's.</summary>
    public string Address { get; init; } = $"10.9.0.{room.Next() % 250}";

    public string Language { get; init; } = "en";

    public Task<Shown> GetAsync(string target, string method = "GET") => SendAsync(method, target, null);

    /// <summary>Sends a form with what the page said that belongs to it.</summary>
    public async Task<Shown> PostAsync(string page, string target, params (string Name, string Value)[] fields) =>
        await PostAsync(target, [("form", FormToken(await GetAsync(page))), .. fields]);

    public Task<Shown> PostAsync(string target, params (string Name, string Value)[] fields) =>
        SendAsync("POST", target, new FormUrlEncodedContent(fields.Select(field => KeyValuePair.Create(field.Name, field.Value))));

    /// <summary>Sends what no form sends.</summary>
    public Task<Shown> PostAsync(string target, string type, string body)
    {
        var content = new StringContent(body);
        content.Headers.ContentType = System.Net.Http.Headers.MediaTypeHeaderValue.Parse(type);
        return SendAsync("POST", target, content);
    }

    public Task<Shown> SignInAsync(string user, string? token = null, string to = "") =>
        PostAsync("/sign-in", "/sign-in", ("user", user), ("token", token ?? $"dckr_pat_{user}"), ("to", to));

    public static string FormToken(Shown page) => Field(page, "form");

    /// <summary>The value of the first field of a name.</summary>
    public static string Field(Shown page, string name) => FieldValue().Matches(page.Html).FirstOrDefault(field => field.Groups["name"].Value == name) is { } found
        ? found.Groups["value"].Value
        : throw new InvalidOperationException($"no field {name}: {page.Html}");

    public void Take(string cookie, string value) => _cookies[cookie] = value;

    private async Task<Shown> SendAsync(string method, string target, HttpContent? content)
    {
        using var request = new HttpRequestMessage(new HttpMethod(method), target) { Content = content };
        request.Headers.TryAddWithoutValidation("Accept", "text/html,application/xhtml+xml,*/*;q=0.8");
        request.Headers.TryAddWithoutValidation("Accept-Language", Language);
        request.Headers.TryAddWithoutValidation("X-Forwarded-For", Address);
        request.Headers.TryAddWithoutValidation("X-Forwarded-Proto", "https");
        if (_cookies.Count > 0)
            request.Headers.TryAddWithoutValidation("Cookie", string.Join("; ", _cookies.Select(cookie => $"{cookie.Key}={cookie.Value}")));
        using var response = await room.Client.SendAsync(request);
        foreach (var cookie in response.Headers.TryGetValues("Set-Cookie", out var set) ? set : [])
        {
            var (name, value) = (cookie[..cookie.IndexOf('=', StringComparison.Ordinal)], cookie[(cookie.IndexOf('=', StringComparison.Ordinal) + 1)..cookie.IndexOf(';', StringComparison.Ordinal)]);
            if (value.Length == 0)
                _cookies.Remove(name);
            else
                _cookies[name] = value;
        }

        return new Shown(response.StatusCode, await response.Content.ReadAsStringAsync(), response);
    }

    [GeneratedRegex("""name="(?<name>[^"]+)"[^>]* value="(?<value>[^"]*)""", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex FieldValue();
}

/// <summary>What the browser got.</summary>
/// <param name="Source">The page as it came.</param>
internal sealed record Shown(HttpStatusCode Status, string Source, HttpResponseMessage Response)
{
    /// <summary>The page's source with the characters that it writes for a reader.</summary>
    public string Html { get; } = WebUtility.HtmlDecode(Source);

    public string? Location => Response.Headers.Location?.ToString();

    public string Header(string name) => Response.Headers.TryGetValues(name, out var values) || Response.Content.Headers.TryGetValues(name, out values) ? string.Join(", ", values) : "";
}
