using ImageAccess.EndToEnd.Tests.Clients;

namespace ImageAccess.EndToEnd.Tests.Matrix;

/// <summary>A client of one of Debian's suites, and every command of it that reaches a registry.</summary>
/// <param name="Name">As the page and the tests call it.</param>
/// <param name="Engine">What <c>imageaccess clients</c> calls it; none has no notion of a mirror.</param>
/// <param name="Package">Debian's, whose version the page names.</param>
internal sealed record ClientKind(string Name, string? Engine, string Package, IReadOnlyList<Row> Rows)
{
    /// <summary>Of the testing suite, not of this machine's.</summary>
    public bool IsCurrent { get; init; }

    /// <summary>Its mirror speaks plain http.</summary>
    public bool IsPlain { get; init; }

    public Ways Ways { get; init; } = Ways.BothMirrors | Ways.Intercepted;

    /// <summary>Starts the daemon that its commands talk to.</summary>
    public Func<Cell, string, Task<IClient>>? Daemon { get; init; }

    public override string ToString() => Name;
}
