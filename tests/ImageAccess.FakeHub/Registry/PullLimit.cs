using System.Globalization;

namespace ImageAccess.FakeHubs;

/// <summary>Counts manifest GETs for each account, or address where nobody is signed in.</summary>
internal sealed class PullLimit(FakeHub hub)
{
    private readonly Lock _gate = new();
    private readonly Dictionary<string, (DateTimeOffset Start, int Count)> _windows = new(StringComparer.Ordinal);

    /// <summary>Sets the rate-limit headers; false when the limit is used up.</summary>
    public bool Admit(HttpContext http, TokenGrant grant)
    {
        if (grant.Username.Length > 0 && hub.Users.Find(grant.Username) is not (null or { Plan: "free" }))
            return true;
        var source = grant.Subject.Length > 0 ? grant.Subject : http.Connection.RemoteIpAddress?.ToString() ?? "";
        var limit = hub.Options.PullLimit ?? (grant.Username.Length > 0 ? 200 : 100);
        var counts = HttpMethods.IsGet(http.Request.Method);
        int used;
        lock (_gate)
        {
            var now = hub.Time.GetUtcNow();
            var window = _windows.GetValueOrDefault(source);
            if (now >= window.Start.AddSeconds(FakeHubOptions.PullWindowSeconds))
                window = (now, 0);
            used = window.Count + (counts ? 1 : 0);
            _windows[source] = (window.Start, used);
        }

        var headers = http.Response.Headers;
        headers["ratelimit-limit"] = PerWindow(limit);
        headers["ratelimit-remaining"] = PerWindow(Math.Max(0, limit - used));
        headers["docker-ratelimit-source"] = source;
        return hub.Options.PullLimit is null || !counts || used <= limit;
    }

    private static string PerWindow(int pulls) =>
        string.Create(CultureInfo.InvariantCulture, $"{pulls};w={FakeHubOptions.PullWindowSeconds}");
}
