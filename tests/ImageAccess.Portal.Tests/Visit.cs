using System.Collections.Concurrent;
using Microsoft.Playwright;

namespace ImageAccess.Portal.Tests;

/// <summary>One person's visit to a site: a browser without cookies, and one page in it.</summary>
public sealed class Visit : IAsyncDisposable
{
    private const int Height = 900;

    private readonly IBrowserContext _context;
    private readonly ConcurrentQueue<string> _elsewhere = [];
    private readonly ConcurrentQueue<string> _errors = [];

    private Visit(IBrowserContext context, IPage page, View view)
    {
        (_context, Page, View) = (context, page, view);
    }

    public IPage Page { get; }

    public View View { get; }

    /// <summary>What the pages asked of others than the site.</summary>
    public IReadOnlyCollection<string> Elsewhere => _elsewhere;

    /// <summary>What the browser has noted in its console, such as a breach of the Content-Security-Policy, and scripts that failed.</summary>
    public IReadOnlyCollection<string> Errors => _errors;

    public static async Task<Visit> StartAsync(IBrowser browser, Uri site, View? view = null)
    {
        view ??= new View();
        var context = await browser.NewContextAsync(new BrowserNewContextOptions
        {
            BaseURL = site.AbsoluteUri,
            ViewportSize = new ViewportSize { Width = view.Width, Height = Height },
            ColorScheme = view.Colours,
            Locale = view.Language,
            JavaScriptEnabled = view.Script,
            TimezoneId = "UTC",
        }).WaitAsync(Chromium.Limit);
        context.SetDefaultTimeout((float)Chromium.Limit.TotalMilliseconds);
        context.SetDefaultNavigationTimeout((float)Chromium.Limit.TotalMilliseconds);
        var visit = new Visit(context, await context.NewPageAsync().WaitAsync(Chromium.Limit), view);
        visit.Watch(site);
        return visit;
    }

    /// <summary>Opens a page of the site, and waits for all that it loads.</summary>
    public async Task<IResponse> OpenAsync(string path) =>
        await Page.GotoAsync(path, new PageGotoOptions { WaitUntil = WaitUntilState.Load }) ?? throw new InvalidOperationException($"{path} is the page that is open already");

    /// <summary>What a person can read on the page.</summary>
    public Task<string> TextAsync() => Page.InnerTextAsync("body");

    /// <summary>The value of an expression on the page, also where its own scripts may not run.</summary>
    public Task<T> AskAsync<T>(string expression) => Page.EvaluateAsync<T>(expression).WaitAsync(Chromium.Limit);

    public async ValueTask DisposeAsync() => await _context.CloseAsync().WaitAsync(Chromium.Limit);

    private void Watch(Uri site)
    {
        _context.Request += (_, request) =>
        {
            if (Uri.Compare(new Uri(request.Url), site, UriComponents.SchemeAndServer, UriFormat.UriEscaped, StringComparison.OrdinalIgnoreCase) != 0)
                _elsewhere.Enqueue($"{request.Method} {request.Url}");
        };
        Page.WebSocket += (_, socket) => _elsewhere.Enqueue(socket.Url);
        _context.Console += (_, message) =>
        {
            if (message.Type == "error" && !message.Location.Contains("/favicon.ico:", StringComparison.Ordinal)) // asked for unasked, once for each site
                _errors.Enqueue($"{Page.Url}: {message.Text}");
        };
        Page.PageError += (_, error) => _errors.Enqueue($"{Page.Url}: {error}");
    }
}
