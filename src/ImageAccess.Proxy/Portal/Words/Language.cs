using System.Globalization;
using System.Resources;
using Microsoft.Net.Http.Headers;

namespace ImageAccess.Proxy.Portal.Words;

/// <summary>
/// What pages say in one language. The forms of numbers, dates and plurals are patterns of our own: the program runs without ICU, whose cultures
/// have no parents then, so that the kinds of Chinese are told apart here.
/// </summary>
internal sealed class Language
{
    public static readonly Language English = new("en", "English", new CultureInfo("en"));

    public static readonly Language Chinese = new("zh-CN", "中文（简体）", new CultureInfo("zh-CN"));

    public static readonly IReadOnlyList<Language> All = [English, Chinese];

    private static readonly ResourceManager Texts = new("ImageAccess.Proxy.Portal.Words.Texts", typeof(Language).Assembly);

    private readonly CultureInfo _culture;

    private Language(string tag, string name, CultureInfo culture) => (Tag, Name, _culture) = (tag, name, culture);

    /// <summary>As HTML's <c>lang</c> (BCP 47).</summary>
    public string Tag { get; }

    /// <summary>As it calls itself.</summary>
    public string Name { get; }

    /// <exception cref="KeyNotFoundException">There is no such text.</exception>
    public string this[string key] => TextOf(key) ?? throw new KeyNotFoundException($"there is no text {key}");

    /// <summary>Null where there is no such text.</summary>
    public string? TextOf(string key) => Texts.GetString(key, _culture);

    /// <summary>A text with what belongs into its places <c>{0}</c>, <c>{1}</c>.</summary>
    public string Of(string key, params object[] values) => string.Format(CultureInfo.InvariantCulture, this[key], values);

    /// <summary>A text that has two forms, <c>.one</c> and <c>.other</c>; the number belongs into <c>{0}</c>. Chinese has the second form alone.</summary>
    public string Count(string key, long number) => Of($"{key}.{(number == 1 && this == English ? "one" : "other")}", Number(number));

    public static string Number(long number) => number.ToString("N0", CultureInfo.InvariantCulture);

    /// <summary>To the minute, in UTC, which is said.</summary>
    public string Moment(DateTimeOffset moment) => moment.UtcDateTime.ToString(this[nameof(Moment)], CultureInfo.InvariantCulture);

    /// <summary>The first of what a browser accepts that there is; English for everything else.</summary>
    /// <param name="acceptLanguage">The header of that name (RFC 9110, section 12.5.4).</param>
    public static Language Preferred(string? acceptLanguage) =>
        (StringWithQualityHeaderValue.TryParseList([acceptLanguage ?? ""], out var accepted) ? accepted : [])
            .Where(one => one.Quality is null or > 0)
            .OrderByDescending(one => one.Quality ?? 1)
            .Select(one => Find(one.Value.ToString()))
            .FirstOrDefault(language => language is not null) ?? English;

    /// <summary>By a tag of a language, a script or a region: <c>zh-SG</c>, <c>zh-Hans-CN</c> and <c>zh</c> are one. Traditional Chinese is not there.</summary>
    public static Language? Find(string tag) =>
        Is(tag, "en") ? English
        : Is(tag, "zh-Hant") || Is(tag, "zh-TW") || Is(tag, "zh-HK") || Is(tag, "zh-MO") ? null
        : Is(tag, "zh") ? Chinese
        : null;

    private static bool Is(string tag, string range) =>
        tag.StartsWith(range, StringComparison.OrdinalIgnoreCase) && (tag.Length == range.Length || tag[range.Length] == '-');
}
