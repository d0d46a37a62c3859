using ImageAccess.Core.Oci;
using ImageAccess.Proxy.Policies.Decisions;

namespace ImageAccess.Proxy.Hosting;

/// <summary>
/// <c>GET /check?image=…&amp;as=…&amp;organization=…</c> on the admin listener: what the policy in force says about an image.
/// It tells what people may do, so it answers requests from this machine only.
/// </summary>
internal sealed class CheckEndpoint(Checks checks) : IDisposable
{
    /// <summary>How many checks may run at once.</summary>
    private const int MaximumAtOnce = 8;

    private static readonly string[] Known = ["image", "as", "organization"];

    private readonly SemaphoreSlim _slots = new(MaximumAtOnce);

    public async Task HandleAsync(HttpContext http)
    {
        http.Response.Headers.CacheControl = "no-store";
        if (!OwnMachine.Asks(http))
        {
            await RefuseAsync(http, 403, "checks are answered only on the machine of the proxy, and not through another proxy");
            return;
        }

        if (!ImageQuery.TryRead(http.Request, Known, out var image, out var problem))
        {
            await RefuseAsync(http, 400, problem);
            return;
        }

        if (!await _slots.WaitAsync(TimeSpan.Zero, http.RequestAborted))
        {
            await RefuseAsync(http, 503, "too many checks at once, try again");
            return;
        }

        try
        {
            var caller = new JudgedCaller((string?)http.Request.Query["as"], (string?)http.Request.Query["organization"]);
            await AnswerAsync(http, image, caller);
        }
        finally
        {
            _slots.Release();
        }
    }

    public void Dispose() => _slots.Dispose();

    private async Task AnswerAsync(HttpContext http, ImageName image, JudgedCaller caller)
    {
        try
        {
            var answer = await checks.AnswerAsync(image, caller, http.RequestAborted);
            await http.Response.WriteJsonLineAsync(answer);
        }
        catch (NoVerdictException exception)
        {
            await RefuseAsync(http, exception.IsTemporary ? 503 : 400, exception.Message);
        }
    }

    private static Task RefuseAsync(HttpContext http, int status, string error)
    {
        http.Response.StatusCode = status;
        return http.Response.WriteJsonLineAsync(new CheckRefusal(error));
    }
}
