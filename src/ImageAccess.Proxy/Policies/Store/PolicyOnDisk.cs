using ImageAccess.Core.Policies;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Policies.Store;

/// <summary>What a start would put in force, found without starting and without writing anything.</summary>
/// <param name="Policy">The policy.</param>
/// <param name="Path">The file that it is from; null where there is none and image access is off.</param>
/// <param name="Concern">Why it is not what the administrator wrote last; null when it is.</param>
internal sealed record PolicyOnDisk(Policy Policy, string? Path, string? Concern)
{
    /// <exception cref="OptionsValidationException">There is none that could be in force.</exception>
    public static PolicyOnDisk Find(PolicyStoreOptions options)
    {
        var document = Read(options.DocumentPath, options.MaximumSize);
        if (document.Policy is { } policy)
            return new PolicyOnDisk(policy, document.Path, null);

        var kept = Read(options.CopyPath, options.MaximumSize);
        if (kept.Policy is { } accepted)
            return new PolicyOnDisk(accepted, kept.Path, $"{document.Path} {document.Cause}");
        if (document.Reading.IsMissing && kept.Reading.IsMissing && !options.IsExplicit)
            return new PolicyOnDisk(Policy.Off, null, null);

        throw new OptionsValidationException(
            nameof(PolicyStoreOptions), typeof(PolicyStoreOptions), [$"Policy:File: {document.Path} {document.Cause}"]);
    }

    /// <summary>A document and what the compiler makes of it.</summary>
    public static Attempt Read(string path, long maximumSize = PolicyStoreOptions.DefaultMaximumSize) =>
        new(path, new PolicyFile(path, maximumSize).Read());
}
