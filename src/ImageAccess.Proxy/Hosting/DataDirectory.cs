using ImageAccess.Proxy.Foundation.Configuration;
using ImageAccess.Proxy.Foundation.Files;

namespace ImageAccess.Proxy.Hosting;

/// <summary>The directory of <c>Data:Directory</c>, in which most rooms keep something.</summary>
internal static class DataDirectory
{
    /// <summary>Makes it where there is none, and tries to write in it: one fault, and not one for each room.</summary>
    /// <exception cref="Microsoft.Extensions.Options.OptionsValidationException">Nothing can be kept there.</exception>
    public static void Prepare(IConfiguration configuration)
    {
        if (configuration["Data:Directory"] is not { Length: > 0 } directory)
            throw ConfigurationLoading.Failed("Data:Directory: name a directory");
        try
        {
            Directory.CreateDirectory(directory);
            var probe = Path.Combine(directory, $".{Guid.NewGuid():N}");
            using (new FileStream(probe, new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write, Options = FileOptions.DeleteOnClose }))
            {
                // That it can be made is enough.
            }
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            if (FullDisk.IsCauseOf(exception))
                throw ConfigurationLoading.FailedForNow($"Data:Directory: {directory} cannot be used ({exception.Message}): its disk has no space or no inodes left");
            throw ConfigurationLoading.Failed(
                $"Data:Directory: {directory} cannot be used ({exception.Message}); name a directory that the user {Environment.UserName} may write in");
        }
    }
}
