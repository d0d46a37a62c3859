namespace ImageAccess.Proxy.Tools.Doctor;

/// <summary>What became of a route to Docker Hub. Zero is the verdict that alarms.</summary>
internal enum RouteVerdict
{
    /// <summary>It leads to Docker Hub, past the policy.</summary>
    Open,

    /// <summary>It leads to a proxy that refused what the policy denies.</summary>
    Enforced,

    /// <summary>It leads nowhere.</summary>
    NotReachable,
}

internal static class RouteVerdicts
{
    public static string ToWireName(this RouteVerdict verdict) => verdict switch
    {
        RouteVerdict.Open => "open",
        RouteVerdict.Enforced => "enforced",
        RouteVerdict.NotReachable => "not reachable",
        _ => throw new ArgumentOutOfRangeException(nameof(verdict), verdict, "not in the table"),
    };
}

/// <param name="Verdict">What became of it.</param>
/// <param name="Detail">Why, for a person.</param>
/// <param name="Command">Shows a person that it is open.</param>
internal sealed record Outcome(RouteVerdict Verdict, string Detail, string? Command = null)
{
    public static Outcome NotReachable(string detail) => new(RouteVerdict.NotReachable, detail);

    public static Outcome Enforced(string detail) => new(RouteVerdict.Enforced, detail);

    public static Outcome Open(string detail, string command) => new(RouteVerdict.Open, detail, command);
}

/// <summary>A route to Docker Hub that a client could take.</summary>
/// <param name="Kind">As <c>direct IPv4</c>, <c>mirror</c>.</param>
/// <param name="Host">Where it leads.</param>
/// <param name="TryAsync">Tries it.</param>
internal sealed record Route(string Kind, string Host, Func<CancellationToken, Task<Outcome>> TryAsync)
{
    /// <summary>The kind of what an engine does whose mirror fails.</summary>
    public const string Fallback = "fallback";

    /// <summary>An engine whose mirror fails takes this route.</summary>
    public bool ServesFallbacks { get; init; }
}

/// <summary>A route that was tried.</summary>
internal sealed record Finding(Route Route, Outcome Outcome)
{
    public RouteVerdict Verdict => Outcome.Verdict;
}

/// <summary>A route ends before anything can be asked at its end.</summary>
internal sealed class RouteClosedException(RouteVerdict verdict, string detail) : Exception(detail)
{
    public Outcome Outcome { get; } = new(verdict, detail);

    public static RouteClosedException NotReachable(string detail) => new(RouteVerdict.NotReachable, detail);
}
