using ImageAccess.Proxy.Policies.Decisions;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Registry;

/// <summary>How the mirror listener answers.</summary>
public sealed class MirrorOptions
{
    /// <summary>
    /// Whose denials take the form after which the client does not fall back to Docker Hub: <c>true</c>, <c>false</c>, or the names of client
    /// families. <c>Mirror:Hold</c>.
    /// </summary>
    public IReadOnlyList<string> Hold { get; set; } = [bool.TrueString];

    /// <summary>The address under which clients reach the mirror listener: <c>PublicUrl</c>.</summary>
    public Uri? PublicUrl { get; set; }

    /// <summary>Whether there is a family that is held.</summary>
    public bool HoldsAny => IsForAll(out var holds) ? holds : Hold.Count > 0;

    public bool Holds(ClientFamily family) => IsForAll(out var holds) ? holds : Hold.Contains(family.ToConfigurationName());

    /// <summary>
    /// What one source sets as a value stands alone, whatever another one lists: the two cannot be joined. What is empty is as if it was not
    /// written, as everywhere: everybody is held.
    /// </summary>
    internal static IReadOnlyList<string> ReadHold(IConfigurationSection section)
    {
        if (section.Value is { Length: > 0 } single)
            return [single];
        string[] listed = [.. section.GetChildren().Select(one => one.Value).OfType<string>()];
        return listed.Length > 0 ? listed : [bool.TrueString];
    }

    internal bool IsForAll(out bool holds)
    {
        holds = false;
        return Hold is [var single] && bool.TryParse(single, out holds);
    }
}

internal sealed class MirrorOptionsValidator : IValidateOptions<MirrorOptions>
{
    /// <summary>The families for which an answer is known that holds them.</summary>
    private static readonly string[] Families =
    [
        ClientFamily.ClassicDocker.ToConfigurationName(), ClientFamily.Containerd.ToConfigurationName(), ClientFamily.Containers.ToConfigurationName(),
    ];

    public ValidateOptionsResult Validate(string? name, MirrorOptions options)
    {
        var problems = Problems(options).ToList();
        return problems.Count == 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(problems);
    }

    private static IEnumerable<string> Problems(MirrorOptions options)
    {
        if (options.PublicUrl is { } url && !(url.IsAbsoluteUri && url.Scheme is "http" or "https" && url.PathAndQuery == "/"))
            yield return "PublicUrl: not an http or https address without a path, as https://mirror.example.com";
        if (options.IsForAll(out _))
            yield break;
        foreach (var family in options.Hold.Where(family => !Families.Contains(family)))
            yield return $"Mirror:Hold: '{family}' is not known; write true, false, or a list of {string.Join(", ", Families)}";
    }
}
