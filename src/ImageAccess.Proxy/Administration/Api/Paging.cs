using System.Buffers.Text;
using System.Globalization;
using System.Text;

namespace ImageAccess.Proxy.Administration.Api;

/// <summary>The part of a list that is asked for: <c>limit</c> and <c>cursor</c>. A cursor names the last entry that was shown.</summary>
internal readonly record struct Paging(int Limit, string? After)
{
    public const int DefaultLimit = 50;

    public const int MaximumLimit = 200;

    private const int MaximumCursor = 512;

    /// <summary>The number of the last entry that was shown, where entries come by falling numbers.</summary>
    public long Before => After is null ? long.MaxValue
        : long.TryParse(After, NumberStyles.None, CultureInfo.InvariantCulture, out var id) ? id
        : throw Unknown();

    public static Paging Of(int? limit, string? cursor)
    {
        if (limit is < 1 or > MaximumLimit)
            throw ProblemException.Bad([new Mistake("limit", $"must be 1 to {MaximumLimit}")]);
        return new Paging(limit ?? DefaultLimit, cursor is null ? null : Read(cursor));
    }

    /// <param name="found">One more than is shown, where there are more.</param>
    /// <param name="facts">What is shown of an entry.</param>
    /// <param name="key">What a cursor says of it.</param>
    public Page<TFacts> Show<T, TFacts>(IReadOnlyList<T> found, Func<T, TFacts> facts, Func<T, string> key)
    {
        var shown = found.Take(Limit).ToList();
        return new Page<TFacts>(shown.ConvertAll(entry => facts(entry)))
        {
            Next = found.Count > Limit ? Base64Url.EncodeToString(Encoding.UTF8.GetBytes(key(shown[^1]))) : null,
        };
    }

    private static string Read(string cursor)
    {
        if (cursor.Length > MaximumCursor || !Base64Url.IsValid(cursor))
            throw Unknown();
        return Encoding.UTF8.GetString(Base64Url.DecodeFromChars(cursor));
    }

    private static ProblemException Unknown() => ProblemException.Bad([new Mistake("cursor", "is none that this list has given")]);
}
