using ImageAccess.Core.Policies;

namespace ImageAccess.Proxy.Policies.Store;

/// <summary>A reading and what the compiler made of it: a policy, or the cause why there is none.</summary>
internal sealed class Attempt
{
    private const int MaximumLines = 100;

    public Attempt(string path, PolicyReading reading)
    {
        Path = path;
        Reading = reading;
        if (reading.Bytes is not { } bytes)
        {
            Cause = reading.Failure;
            return;
        }

        if (PolicyCompiler.TryCompile(bytes, out var policy, out var problems))
            Policy = policy;
        Problems = problems;
        Cause = problems.Count switch
        {
            0 => "",
            1 => $"is refused: {OneLine(problems[0])}",
            _ => $"is refused: {OneLine(problems[0])} (and {problems.Count - 1} more)",
        };
    }

    public string Path { get; }

    public PolicyReading Reading { get; }

    public Policy? Policy { get; }

    public IReadOnlyList<PolicyProblem> Problems { get; } = [];

    /// <summary>What follows the path in a sentence.</summary>
    public string Cause { get; }

    public IEnumerable<string> ProblemLines()
    {
        foreach (var problem in Problems.Take(MaximumLines))
            yield return OneLine(problem);
        if (Problems.Count > MaximumLines)
            yield return $"and {Problems.Count - MaximumLines} more";
    }

    /// <summary>Names of members come from the document: they may be long, and hold line breaks.</summary>
    private static string OneLine(PolicyProblem problem)
    {
        var text = problem.ToString();
        if (text.Length > 400)
            text = string.Concat(text.AsSpan(0, 200), " … ", text.AsSpan(text.Length - 200));
        return text.Any(char.IsControl) ? string.Concat(text.Select(c => char.IsControl(c) ? '?' : c)) : text;
    }
}
