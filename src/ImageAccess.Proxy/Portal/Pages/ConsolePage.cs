using ImageAccess.Proxy.Portal.Words;
using Microsoft.AspNetCore.Components;
using Microsoft.AspNetCore.Http.HttpResults;

namespace ImageAccess.Proxy.Portal.Pages;

/// <summary>A page, or a part of one: it shows what its parameters say, and asks nobody.</summary>
public abstract class ConsolePage : ComponentBase
{
    [CascadingParameter]
    public HttpContext Http { get; set; } = null!;

    private protected Frame Frame => Frame.Of(Http);

    private protected Language Words => Frame.Words;

    private protected string Root => Frame.Root;

    /// <summary>The answer that a page is.</summary>
    internal static RazorComponentResult Answer<TPage>(int status = StatusCodes.Status200OK, params (string Name, object? Value)[] parameters)
        where TPage : ConsolePage => new(typeof(TPage), parameters.ToDictionary(one => one.Name, one => one.Value)) { StatusCode = status, PreventStreamingRendering = true };
}
