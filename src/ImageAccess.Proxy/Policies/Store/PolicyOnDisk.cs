using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Foundation.Files;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Policies.Store;

/// <summary>The policy that a start would put into force, found without starting and without writing anything.</summary>
/// <param name="Policy">The policy.</param>
/// <param name="Path">The file that it is from; null where there is none and image access is off.</param>
/// <param name="Concern">Why it is not what the administrator wrote last; null when it is.</param>
internal sealed record PolicyOnDisk(Policy Policy, string? Path, string? Concern)
{
    /// <exception cref="OptionsValidationException">There is none that could be in force.</exception>
    public static PolicyOnDisk Find(PolicyStoreOptions options)
    {
        var document = Parse(new WholeFile(options.DocumentPath, options.MaximumSize).Read());
        if (document.Value is { } policy)
            return new PolicyOnDisk(policy, options.DocumentPath, null);

        var kept = Parse(new WholeFile(options.CopyPath, options.MaximumSize).Read());
        if (kept.Value is { } accepted)
            return new PolicyOnDisk(accepted, options.CopyPath, $"{options.DocumentPath} {document.Flaw}");
        if (document.IsMissing && kept.IsMissing && !options.IsExplicit)
            return new PolicyOnDisk(Policy.Off, null, null);

        throw new OptionsValidationException(
            nameof(PolicyStoreOptions), typeof(PolicyStoreOptions), [$"Policy:File: {options.DocumentPath} {document.Flaw}"]);
    }

    /// <summary>What the compiler makes of a document.</summary>
    public static ParsedFile<Policy> Parse(FileReading reading) => new(reading, Compile);

    private static Policy? Compile(ReadOnlyMemory<byte> content, out IReadOnlyList<string> problems)
    {
        _ = PolicyCompiler.TryCompile(content, out var policy, out var found);
        problems = [.. found.Select(problem => problem.ToString())];
        return policy;
    }
}
