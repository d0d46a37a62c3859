namespace ImageAccess.EndToEnd.Tests.Matrix;

/// <summary>How a client comes to Docker Hub.</summary>
[Flags]
public enum Ways
{
    None = 0,

    /// <summary>The files that <c>imageaccess clients</c> writes for a mirror.</summary>
    Mirror = 1,

    /// <summary>The engine's own way to name a mirror before Docker Hub, where that is another.</summary>
    Before = 2,

    Gateway = 4,

    ForwardProxy = 8,

    BothMirrors = Mirror | Before,

    Intercepted = Gateway | ForwardProxy,
}

/// <summary>What becomes of a command that the proxy sees.</summary>
internal enum End
{
    /// <summary>It fails, and nothing of the repository has been asked of Docker Hub.</summary>
    Denied,

    /// <summary>It succeeds with what stands for the denied manifest, and nothing of the repository has been asked of Docker Hub.</summary>
    StandsIn,

    /// <summary>It succeeds: it names nothing that is denied.</summary>
    Done,
}

/// <summary>One command of a client that reaches a registry, with a repository of its own that is denied.</summary>
/// <param name="Shown">As a person writes it; <c>IMAGE</c> and <c>DIGEST</c> stand for the repository and its digest.</param>
/// <param name="Script">What the shell runs: the same, with what the test needs besides.</param>
internal sealed record Row(string Shown, string Script)
{
    public Row(string script)
        : this(script, script)
    {
    }

    /// <summary>The ways by which it goes to Docker Hub itself, and no answer of the proxy can prevent it.</summary>
    public Ways Past { get; init; }

    public End End { get; init; }

    /// <summary>The ways by which it ends with what stands for the manifest.</summary>
    public Ways StandsIn { get; init; }

    public End EndBy(Ways way) => StandsIn.HasFlag(way) ? End.StandsIn : End;
}
