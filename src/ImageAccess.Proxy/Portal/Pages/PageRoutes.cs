using ImageAccess.Proxy.Administration.Api;
using ImageAccess.Proxy.Foundation.Files;
using ImageAccess.Proxy.Portal.Words;

namespace ImageAccess.Proxy.Portal.Pages;

/// <summary>Pages that belong together.</summary>
internal interface IPages
{
    void Map(IEndpointRouteBuilder pages);
}

internal static class PageRoutes
{
    public static void MapPages(this IEndpointRouteBuilder endpoints, IEnumerable<IPages> parts)
    {
        var everybodys = new PageDemand(NeedsSignIn: false, IsOpen: true);
        endpoints.MapStaticAssets("imageaccess.staticwebassets.endpoints.json").WithMetadata(everybodys);
        var pages = endpoints.MapGroup("").ExcludeFromDescription();
        pages.MapPost("/language", (Delegate)ChooseLanguageAsync).WithMetadata(everybodys);
        foreach (var part in parts)
            part.Map(pages);
    }

    /// <summary>A page for who has signed in.</summary>
    public static void Page(this IEndpointRouteBuilder pages, string pattern, Delegate handler) => pages.MapGet(pattern, handler).WithMetadata(new PageDemand());

    /// <summary>A page for everybody, which shows more to who has signed in.</summary>
    public static void OpenPage(this IEndpointRouteBuilder pages, string pattern, Delegate handler) =>
        pages.MapGet(pattern, handler).WithMetadata(new PageDemand(NeedsSignIn: false));

    /// <summary>What a form of a page does.</summary>
    public static void Form(this IEndpointRouteBuilder pages, string pattern, Delegate handler, bool needsSignIn = true) =>
        pages.MapPost(pattern, handler).WithMetadata(new PageDemand(needsSignIn));

    /// <summary>Whether it is a path of the API, or of Docker's own.</summary>
    public static bool IsOfApi(HttpRequest request) => request.Path.StartsWithSegments("/api", StringComparison.OrdinalIgnoreCase) || ApiRoutes.IsDockers(request.Path);

    /// <summary>Whether a browser asks: everything else gets texts or JSON.</summary>
    public static bool WantsPage(HttpRequest request) => !IsOfApi(request)
        && request.GetTypedHeaders().Accept.Any(accepted => accepted.MediaType.Equals("text/html", StringComparison.OrdinalIgnoreCase));

    /// <exception cref="ProblemException">What was sent is no form, or one that nobody would send.</exception>
    public static async Task<IFormCollection> FormAsync(this HttpContext http)
    {
        if (!http.Request.HasFormContentType)
            throw new ProblemException(new Problem(415, "a page takes forms: Content-Type: application/x-www-form-urlencoded"));
        try
        {
            return await http.Request.ReadFormAsync(http.RequestAborted);
        }
        catch (InvalidDataException exception)
        {
            throw ProblemException.Bad($"the form cannot be read: {PrintableText.Of(exception.Message)}");
        }
    }

    /// <summary>A field as one line: people write more, and what is kept has one.</summary>
    public static string Line(this IFormCollection form, string field) => string.Join(' ', form[field].ToString().Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries));

    /// <summary>A field that may be left out; null where it was.</summary>
    public static string? Optional(this IFormCollection form, string field) => form[field].ToString().Trim() is { Length: > 0 } text ? text : null;

    /// <summary>It changes how a page is shown, and nothing else; so nobody need fear that another site sends it.</summary>
    private static async Task<IResult> ChooseLanguageAsync(HttpContext http)
    {
        var form = await http.FormAsync();
        if (Language.Find(form["language"].ToString()) is { } language)
            Frame.Choose(http, language);
        return ToPage(http, form["to"].ToString());
    }

    /// <summary>To a page of this console, and of no other site.</summary>
    /// <param name="page">From the console's root, without a slash before it.</param>
    public static IResult ToPage(HttpContext http, string page)
    {
        var isHere = page.Length <= 2048 && !page.StartsWith('/') && !page.Contains('\\', StringComparison.Ordinal) && page.All(c => c is > ' ' and < '\x7f')
            && Uri.TryCreate(page, UriKind.Relative, out _);
        return new SeeOther(Frame.Of(http).Root + (isHere ? page : ""));
    }

    private sealed class SeeOther(string location) : IResult
    {
        public Task ExecuteAsync(HttpContext httpContext)
        {
            httpContext.Response.StatusCode = StatusCodes.Status303SeeOther;
            httpContext.Response.Headers.Location = location;
            return Task.CompletedTask;
        }
    }
}
