using System.Runtime.CompilerServices;

namespace ImageAccess.Proxy.Tests.HouseRules;

/// <summary>The checkout that these tests were built from.</summary>
internal static class RepositoryRoot
{
    public static string Find(string relative = "", [CallerFilePath] string here = "") =>
        Path.GetFullPath(Path.Combine(Path.GetDirectoryName(here)!, "../../..", relative));

    public static string Read(string relative) => File.ReadAllText(Find(relative));
}
