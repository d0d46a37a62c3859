using System.Runtime.CompilerServices;

namespace ImageAccess.Proxy.Tests.HouseRules;

/// <summary>The checkout that these tests were built from.</summary>
internal static class RepositoryRoot
{
    private static readonly string Root = Path.GetFullPath(Path.Combine(Path.GetDirectoryName(Here())!, "../../.."));

    public static string Find(string relative = "") => Path.GetFullPath(Path.Combine(Root, relative));

    public static string Read(string relative) => File.ReadAllText(Find(relative));

    private static string Here([CallerFilePath] string file = "") => file;
}
