namespace ImageAccess.Proxy.Policies.Decisions;

/// <summary>What people read of a denial, whichever way they asked.</summary>
internal static class DenialText
{
    /// <summary>The rule's message, and in parentheses whom to ask.</summary>
    public static string Explain(string message, string? help) => help is null ? message : $"{message} ({help})";
}
