using System.Text;

namespace ImageAccess.Proxy.Registry;

/// <summary>
/// <c>Warning: 299 - "…"</c> (OCI distribution specification v1.1, "Warnings"): oras, regctl and newer versions of podman, skopeo and
/// containerd show it, also where an answer has no body that they would show.
/// </summary>
internal static class RegistryWarning
{
    /// <summary>How many characters a warning has at most.</summary>
    public const int MaximumText = 1000;

    /// <summary>Adds a warning to those that the answer has already, upstream's among them.</summary>
    public static void Add(HttpResponse response, string text)
    {
        var value = new StringBuilder("299 - \"", text.Length + 16);
        foreach (var c in ErrorBody.Printable(text, MaximumText))
        {
            if (c is '"' or '\\')
                value.Append('\\');
            value.Append(c);
        }

        response.Headers.Append("Warning", value.Append('"').ToString());
    }
}
