namespace ImageAccess.Proxy.Foundation.Audit;

/// <summary>The files of a trail that is being written.</summary>
internal static class TrailFiles
{
    private const int Attempts = 5;

    /// <summary>All that there are, open, the oldest first. They are opened anew when they were rotated meanwhile: none is missed.</summary>
    /// <param name="trail">The youngest of them.</param>
    /// <param name="tell">Told of each that cannot be read; what it throws ends the reading.</param>
    /// <param name="cancellationToken">Nobody waits any longer.</param>
    public static async Task<List<(string Path, TrailFile File)>> OpenAllAsync(string trail, Action<string, Exception> tell, CancellationToken cancellationToken)
    {
        var files = new List<(string Path, TrailFile File)>();
        try
        {
            for (var attempt = 1; ; attempt++)
            {
                var youngest = await IdentityOfAsync(trail, cancellationToken);
                foreach (var path in TrailFile.AllOf(trail))
                    await OpenAsync(path, files, tell, cancellationToken);
                if (attempt == Attempts || await IdentityOfAsync(trail, cancellationToken) == youngest)
                    return files;
                await CloseAsync(files);
            }
        }
        catch
        {
            await CloseAsync(files);
            throw;
        }
    }

    public static async Task CloseAsync(List<(string Path, TrailFile File)> files)
    {
        foreach (var (_, file) in files)
            await file.DisposeAsync();
        files.Clear();
    }

    private static async Task OpenAsync(string path, List<(string Path, TrailFile File)> files, Action<string, Exception> tell, CancellationToken cancellationToken)
    {
        try
        {
            files.Add((path, await TrailFile.OpenAsync(path, cancellationToken)));
        }
        catch (FileNotFoundException)
        {
            // It was renamed or removed meanwhile.
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or InvalidDataException)
        {
            tell(path, exception);
        }
    }

    private static async Task<string?> IdentityOfAsync(string path, CancellationToken cancellationToken)
    {
        try
        {
            await using var file = await TrailFile.OpenAsync(path, cancellationToken);
            return file.Identity;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or InvalidDataException)
        {
            return null;
        }
    }
}
