using System.Globalization;

namespace ImageAccess.Proxy.Foundation.Limits;

/// <summary>What the process may use up of the machine, or of the container that it runs in.</summary>
/// <param name="Descriptors">Open files and connections. The runtime has raised the soft limit to the hard one already.</param>
/// <param name="Memory">Bytes.</param>
public sealed record Machine(int Descriptors, long Memory)
{
    /// <summary>Where the system does not say: what most give at least.</summary>
    private const int UnknownDescriptors = 4096;

    public static Machine Read() => new(ReadDescriptors(), GC.GetGCMemoryInfo().TotalAvailableMemoryBytes);

    private static int ReadDescriptors()
    {
        const string Line = "Max open files";
        try
        {
            var soft = File.ReadLines("/proc/self/limits").FirstOrDefault(line => line.StartsWith(Line, StringComparison.Ordinal))?[Line.Length..].TrimStart().Split(' ')[0];
            return soft == "unlimited" ? int.MaxValue : int.TryParse(soft, NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : UnknownDescriptors;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return UnknownDescriptors;
        }
    }
}
