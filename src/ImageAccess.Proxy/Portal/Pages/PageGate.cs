using ImageAccess.Proxy.Administration.Api;
using ImageAccess.Proxy.Administration.Roles;
using ImageAccess.Proxy.Administration.Tokens;
using ImageAccess.Proxy.Foundation.Configuration;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Policies.Store;
using ImageAccess.Proxy.Portal.SignIn;
using Microsoft.AspNetCore.Antiforgery;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Portal.Pages;

/// <summary>Between the routing and a page: who has signed in, whether the page demands it, and whether a form is one of this console's own.</summary>
internal sealed class PageGate(
    SignIns signIns, SignInCookie cookie, SessionTokens sessions, RoleBook roles, IPolicyStore policies, DatabaseState database, IAntiforgery forms, IOptions<ConsoleOptions> console)
{
    public async Task HandleAsync(HttpContext http, PageDemand demand, RequestDelegate next)
    {
        if (demand.IsOpen)
        {
            http.Response.Headers.CacheControl = default; // as the file itself says
            await next(http);
            return;
        }

        http.Response.Headers.CacheControl = "no-cache, no-store"; // as the framework wants it where a form is
        if (!database.Ready.IsCompleted || !sessions.AreReady)
            throw ProblemException.NotReady();
        var signIn = cookie.Read(http.Request) is { } secret ? await signIns.FindAsync(secret, http.RequestAborted) : null;
        var actor = signIn is null ? null : new Session(signIn.Person) { Account = signIn.Account }.ActorOf(console.Value);
        var frame = new Frame(http, actor is null ? null : new Visitor(actor, roles, policies)) { SignIn = actor is null ? null : signIn };
        http.Features.Set(frame);
        http.Features.Set(frame.Visitor);
        if (demand.NeedsSignIn && frame.Visitor is null)
        {
            if (!HttpMethods.IsGet(http.Request.Method))
                throw new ProblemException(new Problem(401, "you are not signed in any more: sign in, and do it again"));
            await PageRoutes.ToPage(http, "sign-in?to=" + Uri.EscapeDataString(frame.Here)).ExecuteAsync(http);
            return;
        }

        if (HttpMethods.IsPost(http.Request.Method))
            await DemandOwnFormAsync(http);
        await next(http);
    }

    private async Task DemandOwnFormAsync(HttpContext http)
    {
        try
        {
            await forms.ValidateRequestAsync(http);
        }
        catch (AntiforgeryValidationException)
        {
            throw new ProblemException(new Problem(403, "the form is not one of this console's own, or is too old: load the page again, and send it again"));
        }
    }
}

/// <summary>What a page demands of who asks for it.</summary>
/// <param name="NeedsSignIn">Whoever has not signed in is sent to do so.</param>
/// <param name="IsOpen">It is for everybody alike, and reads no session.</param>
internal sealed record PageDemand(bool NeedsSignIn = true, bool IsOpen = false);
