namespace ImageAccess.Proxy.Policies.Decisions;

/// <summary>The text of a denial, the same for a client, a check and the command line.</summary>
internal static class DenialText
{
    /// <summary>The rule's message, and in parentheses whom to ask.</summary>
    public static string Explain(string message, string? help) => help is null ? message : $"{message} ({help})";
}
