namespace ImageAccess.Proxy.Policies.Exceptions;

/// <summary>A change cannot be made as things are; the message says why.</summary>
/// <param name="problems">Each a sentence.</param>
internal class RefusedChangeException(params IReadOnlyList<string> problems) : Exception(string.Join("; ", problems))
{
    public IReadOnlyList<string> Problems { get; } = problems;
}

/// <summary>Who asks for it may not do this.</summary>
internal sealed class ForbiddenChangeException(string message) : RefusedChangeException(message);

/// <summary>There is nothing of that name or number, or nothing that who asks may know of.</summary>
internal sealed class UnknownChangeException(string message) : RefusedChangeException(message);

/// <summary>What was written is wrong.</summary>
internal sealed class FaultyChangeException(IReadOnlyList<ChangeFault> faults) : RefusedChangeException([.. faults.Select(fault => fault.ToString())])
{
    public IReadOnlyList<ChangeFault> Faults { get; } = faults;
}

/// <summary>Why a change cannot be made.</summary>
/// <param name="Part">The part that is wrong, as <c>reason</c>; null where the sentence names it.</param>
/// <param name="Text">What is wrong with it, to follow its name; without one a sentence.</param>
internal sealed record ChangeFault(string? Part, string Text)
{
    public override string ToString() => Part is null ? Text : $"{Part} {Text}";
}
