namespace ImageAccess.Proxy.Foundation.Files;

/// <summary>Files that a room reads again now and then, and at once when somebody asks for it.</summary>
internal interface IReloadable
{
    /// <summary>Reads them now; what is refused is logged as at any other time.</summary>
    /// <returns>Which files these are and what is in use, for one line of the log; null where there are none.</returns>
    string? Reload();
}
