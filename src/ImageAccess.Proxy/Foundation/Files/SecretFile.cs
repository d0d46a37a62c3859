using System.Text;

namespace ImageAccess.Proxy.Foundation.Files;

/// <summary>A file that holds one secret, read anew each time that it is needed: whoever changes it restarts nothing.</summary>
internal static class SecretFile
{
    private const int MaximumSize = 4096;

    /// <summary>The secret, or null and why there is none: a sentence without any part of it.</summary>
    /// <param name="path">The file.</param>
    /// <param name="what">What it should hold: <c>access token</c>.</param>
    /// <param name="problem">Why there is none.</param>
    public static string? Read(string path, string what, out string problem)
    {
        problem = "";
        try
        {
            using var file = File.OpenHandle(path);
            if (FileRights.Of(file).IsWritableByOthers)
            {
                problem = $"{path} {FileRights.Fault} {path}";
                return null;
            }

            var buffer = new byte[MaximumSize + 1];
            var length = RandomAccess.Read(file, buffer, 0);
            var secret = Encoding.UTF8.GetString(buffer, 0, length).Trim();
            if (length <= MaximumSize && secret.Length > 0 && !secret.Any(char.IsControl))
                return secret;
            problem = $"{path} does not hold one {what}";
            return null;
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            problem = $"{path} is not there";
            return null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or NotSupportedException)
        {
            problem = $"{path} cannot be read";
            return null;
        }
    }
}
