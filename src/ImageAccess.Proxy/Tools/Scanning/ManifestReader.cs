namespace ImageAccess.Proxy.Tools.Scanning;

/// <summary>
/// The images of Kubernetes objects, of whatever kind: those of the containers found at any depth, and the image volumes.
/// </summary>
internal static class ManifestReader
{
    /// <summary>Whether the text may be a manifest; tells it without reading YAML.</summary>
    public static bool MayHold(string text) =>
        text.Contains("apiVersion", StringComparison.Ordinal) && text.Contains("kind", StringComparison.Ordinal) && text.Contains("image", StringComparison.Ordinal);

    public static IReadOnlyList<ImageMention> Read(string file, IEnumerable<YamlValue> documents)
    {
        var mentions = new List<ImageMention>();
        foreach (var document in documents)
        {
            if (document is YamlMap map && map.Find("apiVersion") is YamlText && map.Find("kind") is YamlText)
                Walk(file, document, mentions);
        }

        return mentions;
    }

    private static void Walk(string file, YamlValue root, List<ImageMention> mentions)
    {
        var seen = new HashSet<YamlValue>();
        var open = new Stack<YamlValue>([root]);
        while (open.TryPop(out var value))
        {
            if (!seen.Add(value))
                continue;
            if (value is YamlList list)
                list.Items.ForEach(open.Push);
            if (value is not YamlMap map)
                continue;
            foreach (var (key, entry) in map.Merged())
            {
                open.Push(entry);
                mentions.AddRange(Mentions(file, key.Text, entry));
            }
        }
    }

    private static IEnumerable<ImageMention> Mentions(string file, string key, YamlValue value)
    {
        // Beside Kubernetes' own three: what Argo Workflows and Tekton call their containers.
        var role = key switch
        {
            "containers" or "container" or "script" or "steps" => "container",
            "initContainers" => "init container",
            "ephemeralContainers" => "ephemeral container",
            "sidecars" => "sidecar",
            "volumes" => "volume",
            _ => null,
        };
        if (role is null)
            yield break;

        foreach (var item in value is YamlList list ? list.Items.OfType<YamlMap>() : value is YamlMap one ? [one] : [])
        {
            var image = item.Find("image");
            if (role == "volume")
                image = (image as YamlMap)?.Find("reference");
            if (image is YamlText { IsNull: false } text)
                yield return Mention(file, item.Find("name") is YamlText name ? $"{role} {name.Text}" : role, text);
        }
    }

    /// <summary>Applying a manifest fills nothing in: a placeholder is an image that is not known yet.</summary>
    private static ImageMention Mention(string file, string role, YamlText text)
    {
        var mention = new ImageMention(file, text.Line, role, text.Text);
        return text.Text.Contains('$', StringComparison.Ordinal) || text.Text.Contains("{{", StringComparison.Ordinal)
            ? mention.Undetermined("it is a placeholder: scan the manifest that is applied, with its values filled in")
            : mention.As(Expansion.Of(text.Text));
    }
}
