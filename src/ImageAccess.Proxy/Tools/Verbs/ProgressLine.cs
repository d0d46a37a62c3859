using System.Globalization;

namespace ImageAccess.Proxy.Tools.Verbs;

/// <summary>A line on the standard error for who waits: not before two seconds, and not more often.</summary>
internal sealed class ProgressLine(TimeProvider time, TextWriter output)
{
    private static readonly TimeSpan Between = TimeSpan.FromSeconds(2);

    private long _last = time.GetTimestamp();

    public void Report(FormattableString what)
    {
        if (time.GetElapsedTime(_last) < Between)
            return;
        _last = time.GetTimestamp();
        output.WriteLine($"imageaccess: {what.ToString(CultureInfo.InvariantCulture)}");
    }
}
