using System.Globalization;
using ImageAccess.Proxy.Foundation.Files;

namespace ImageAccess.Proxy.Administration.Api;

/// <summary>A time as RFC 3339 writes it, with its offset: without one it would be another time on each machine.</summary>
internal static class Timestamp
{
    private static readonly string[] Formats = ["yyyy-MM-dd'T'HH:mm:ss'Z'", "yyyy-MM-dd'T'HH:mm:ss.FFFFFFF'Z'", "yyyy-MM-dd'T'HH:mm:sszzz", "yyyy-MM-dd'T'HH:mm:ss.FFFFFFFzzz"];

    public static DateTimeOffset? Read(string? text, string member)
    {
        if (text is null)
            return null;
        return DateTimeOffset.TryParseExact(text, Formats, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var time)
            ? time
            : throw ProblemException.Bad([new Mistake(member, $"'{PrintableText.Of(text)}' is no time, as 2027-01-31T12:00:00Z")]);
    }
}
