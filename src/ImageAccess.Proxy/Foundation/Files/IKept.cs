namespace ImageAccess.Proxy.Foundation.Files;

/// <summary>What a room learns while it works, and keeps in a file for the next start.</summary>
internal interface IKept
{
    /// <summary>Writes what is not in the file yet; a failure is logged as at any other time.</summary>
    void Keep();
}
