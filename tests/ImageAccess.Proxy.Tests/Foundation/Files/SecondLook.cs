using ImageAccess.Proxy.Foundation.Files;
using ImageAccess.Proxy.Policies.Catalog;
using ImageAccess.Proxy.Policies.Store;

namespace ImageAccess.Proxy.Tests.Foundation.Files;

/// <summary>What is wrong with a file is refused when two looks have found it the same.</summary>
internal static class SecondLook
{
    public static void RefreshTwice(this PolicyStore store)
    {
        store.Refresh();
        store.Refresh();
    }

    public static void RefreshTwice(this FileCatalogSource source)
    {
        source.Refresh();
        source.Refresh();
    }

    /// <summary>What the look brought; where it brought nothing, what the next one does.</summary>
    public static FileChange LookTwice<T>(this WatchedFile<T> file)
        where T : class, IFileContent =>
        file.Look() is var change and not FileChange.None ? change : file.Look();
}
