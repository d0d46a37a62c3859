namespace ImageAccess.Proxy.Tools.Scanning;

/// <summary>
/// A place where a file names something to build from or to run. With an <see cref="Image"/> it is an image, with a
/// <see cref="Trouble"/> nobody can tell which; with neither it is no image: a stage, <c>scratch</c>, a build context.
/// </summary>
/// <param name="File">The full path.</param>
/// <param name="Line">The line of the name itself, from 1.</param>
/// <param name="Role">What the image is for: <c>FROM</c>, <c>service web</c>, <c>container app</c>.</param>
/// <param name="Text">As it is written there.</param>
internal sealed record ImageMention(string File, int Line, string Role, string Text)
{
    /// <summary>The image's name after variables.</summary>
    public string? Image { get; init; }

    /// <summary>Why the image cannot be told, or the file not be read.</summary>
    public string? Trouble { get; init; }

    /// <summary>A named context of this build stands in for the image, which another build may pull.</summary>
    public bool IsContext { get; init; }

    public ImageMention As(Expansion expansion) => this with { Image = expansion.Text, Trouble = expansion.Trouble };

    public ImageMention Undetermined(string why) => this with { Image = null, Trouble = why };
}

/// <summary>What a text with variables comes to: a text, or why it cannot be told.</summary>
internal readonly record struct Expansion(string? Text, string? Trouble)
{
    public static Expansion Of(string text) => new(text, null);

    public static Expansion Unknown(string trouble) => new(null, trouble);
}

/// <summary>A file that cannot be read as what it should be; the message says why, for whoever wrote the file.</summary>
internal sealed class UnreadableFileException(string message, int line = 1) : Exception(message)
{
    public int Line { get; } = line;
}
