using ImageAccess.Proxy.Administration.Api;
using ImageAccess.Proxy.Administration.DockerApi;
using ImageAccess.Proxy.Portal.SignIn;
using Microsoft.AspNetCore.Http.HttpResults;

namespace ImageAccess.Proxy.Portal.Pages;

/// <summary><c>/sign-in</c> and <c>/sign-out</c>. The access token is asked about once, as a caller's is, and kept nowhere.</summary>
internal sealed class SignInPages(DockerHubLogin login, SignIns signIns, SignInCookie cookie) : IPages
{
    public void Map(IEndpointRouteBuilder pages)
    {
        pages.OpenPage("/sign-in", Show);
        pages.Form("/sign-in", SignInAsync, needsSignIn: false);
        pages.Form("/sign-out", SignOutAsync);
        pages.Form("/sign-out/everywhere", SignOutEverywhereAsync);
    }

    private static IResult Show(HttpContext http, string? to) =>
        Frame.Of(http).Visitor is null ? Page(to ?? "", "", StatusCodes.Status200OK, isMistaken: false) : PageRoutes.ToPage(http, to ?? "");

    private async Task<IResult> SignInAsync(HttpContext http)
    {
        var form = await http.FormAsync();
        var (user, to) = (form["user"].ToString().Trim(), form["to"].ToString());
        try
        {
            var session = await login.VerifyAsync(http, user, form["token"].ToString().Trim());
            cookie.Write(http.Response, await signIns.StartAsync(session, http.RequestAborted));
            return PageRoutes.ToPage(http, to);
        }
        catch (ProblemException exception) when (exception.Problem.Status == StatusCodes.Status401Unauthorized)
        {
            return Page(to, user, StatusCodes.Status401Unauthorized, isMistaken: true);
        }
    }

    private async Task<IResult> SignOutAsync(HttpContext http)
    {
        await signIns.EndAsync(Frame.Of(http).SignIn!, http.RequestAborted);
        return Leave(http);
    }

    private async Task<IResult> SignOutEverywhereAsync(HttpContext http)
    {
        await signIns.EndEverywhereAsync(Frame.Of(http).SignIn!.Person, http.RequestAborted);
        return Leave(http);
    }

    private IResult Leave(HttpContext http)
    {
        cookie.Delete(http.Response);
        return PageRoutes.ToPage(http, "sign-in");
    }

    private static RazorComponentResult Page(string to, string user, int status, bool isMistaken) => ConsolePage.Answer<SignInPage>(
        status, (nameof(SignInPage.To), to), (nameof(SignInPage.User), user), (nameof(SignInPage.Mistake), isMistaken));
}
