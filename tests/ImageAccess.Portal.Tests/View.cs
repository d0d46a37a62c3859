using System.Globalization;
using Microsoft.Playwright;
using Xunit.Abstractions;

namespace ImageAccess.Portal.Tests;

/// <summary>How a person looks at a page.</summary>
public sealed record View : IXunitSerializable
{
    public const int Phone = 390;
    public const int Tablet = 820;
    public const int Desktop = 1280;

    public const string English = "en-US";
    public const string Chinese = "zh-CN";

    /// <summary>Each width with each of the colours and each language, and each of the colours with each language.</summary>
    public static TheoryData<View> Pairwise =>
    [
        new() { Width = Phone, Colours = ColorScheme.Light, Language = English },
        new() { Width = Phone, Colours = ColorScheme.Dark, Language = Chinese },
        new() { Width = Tablet, Colours = ColorScheme.Light, Language = Chinese },
        new() { Width = Tablet, Colours = ColorScheme.Dark, Language = English },
        new() { Width = Desktop, Colours = ColorScheme.Light, Language = English },
        new() { Width = Desktop, Colours = ColorScheme.Dark, Language = Chinese },
    ];

    public int Width { get; set; } = Desktop;

    public ColorScheme Colours { get; set; } = ColorScheme.Light;

    /// <summary>What the browser asks for.</summary>
    public string Language { get; set; } = English;

    public bool Script { get; set; } = true;

    public void Serialize(IXunitSerializationInfo info)
    {
        info.AddValue(nameof(Width), Width);
        info.AddValue(nameof(Colours), (int)Colours);
        info.AddValue(nameof(Language), Language);
        info.AddValue(nameof(Script), Script);
    }

    public void Deserialize(IXunitSerializationInfo info)
    {
        Width = info.GetValue<int>(nameof(Width));
        Colours = (ColorScheme)info.GetValue<int>(nameof(Colours));
        Language = info.GetValue<string>(nameof(Language));
        Script = info.GetValue<bool>(nameof(Script));
    }

    /// <summary>A part of a picture's name: <c>390-dark-zh-CN</c>.</summary>
    public override string ToString() =>
        string.Create(CultureInfo.InvariantCulture, $"{Width}-{(Colours == ColorScheme.Dark ? "dark" : "light")}-{Language}{(Script ? "" : "-noscript")}");
}
