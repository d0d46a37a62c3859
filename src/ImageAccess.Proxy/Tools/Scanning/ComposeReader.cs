namespace ImageAccess.Proxy.Tools.Scanning;

/// <summary>
/// The images that a Compose project pulls, whatever the profile: those of its services, and those that building them takes.
/// Follows <c>include</c>, <c>extends</c> and <c>build</c> into other files. Reference: the Compose specification.
/// </summary>
internal sealed class ComposeReader
{
    private const int MaximumDepth = 100;

    private readonly Dictionary<string, (IReadOnlyList<YamlValue> Documents, UnreadableFileException? Mistake)> _files = [];
    private readonly HashSet<(string File, string Directory, string EnvironmentFiles)> _projects = [];
    private readonly List<ImageMention> _mentions = [];

    private ComposeReader()
    {
    }

    /// <summary>Whether the documents are a Compose file's: other files are called <c>compose….yaml</c> too.</summary>
    public static bool IsCompose(IEnumerable<YamlValue> documents) =>
        documents.OfType<YamlMap>().Any(map => map.Find("apiVersion") is null && (map.Find("services") is YamlMap || map.Find("include") is YamlList));

    /// <param name="file">The Compose file, by its full path.</param>
    /// <param name="environment">The variables of the shell, which take precedence over those of <c>.env</c>.</param>
    public static IReadOnlyList<ImageMention> Read(string file, Func<string, Expansion?> environment)
    {
        var reader = new ComposeReader();
        reader.ReadProject(file, Path.GetDirectoryName(file)!, environment, [], [], new ImageMention(file, 1, "Compose file", ""));
        return reader._mentions;
    }

    private void ReadProject(
        string file, string directory, Func<string, Expansion?> outer, IReadOnlyList<string> environmentFiles, IReadOnlyList<string> above, ImageMention at)
    {
        if (above.Contains(file) || above.Count >= MaximumDepth)
        {
            var circle = string.Join(" → ", above.SkipWhile(parent => parent != file).Append(file).Select(Path.GetFileName));
            _mentions.Add(at.Undetermined(above.Contains(file) ? $"include goes in a circle: {circle}" : $"include goes more than {MaximumDepth} files deep"));
            return;
        }

        if (!_projects.Add((file, directory, string.Join('\n', environmentFiles))) || Load(file, at) is not { } documents)
            return;

        var variables = Variables(directory, environmentFiles, outer, at);
        foreach (var project in documents.OfType<YamlMap>())
        {
            var layer = new Layer(file, directory, project, variables);
            foreach (var include in Items(project.Find("include")))
                ReadInclude(layer, include, [.. above, file]);
            foreach (var (name, service) in (project.Find("services") as YamlMap)?.Merged() ?? [])
            {
                if (service is YamlMap map)
                    ReadService(name.Text, Layers(layer with { Map = map }, name.Text));
            }

            foreach (var (name, model) in (project.Find("models") as YamlMap)?.Merged() ?? [])
                AddImage(layer, $"model {name.Text}", (model as YamlMap)?.Find("model"));
        }
    }

    /// <summary>The shell's variables come first, then those of the files; a later file takes precedence over an earlier one.</summary>
    private Func<string, Expansion?> Variables(string directory, IReadOnlyList<string> files, Func<string, Expansion?> outer, ImageMention at)
    {
        var usual = Path.Combine(directory, ".env");
        var variables = new Dictionary<string, Expansion>();
        foreach (var file in files.Count > 0 ? files : File.Exists(usual) ? [usual] : [])
        {
            try
            {
                foreach (var (name, value) in EnvironmentFile.Read(file, outer))
                    variables[name] = value;
            }
            catch (UnreadableFileException exception)
            {
                _mentions.Add(at.Undetermined($"{Path.GetFileName(file)}: {exception.Message}"));
            }
        }

        return name => outer(name) ?? (variables.TryGetValue(name, out var value) ? value : null);
    }

    /// <summary>Reports a mistake at its place in the file, and a missing file where another file asks for it.</summary>
    private IReadOnlyList<YamlValue>? Load(string file, ImageMention at)
    {
        try
        {
            if (!_files.TryGetValue(file, out var known))
                _files[file] = known = YamlTree.Read(SourceText.Read(file));
            if (known.Mistake is { } mistake)
                _mentions.Add(new ImageMention(file, mistake.Line, "Compose file", "").Undetermined(mistake.Message));
            return known.Documents;
        }
        catch (UnreadableFileException exception)
        {
            _mentions.Add(at.Undetermined(at.File == file ? exception.Message : $"{Path.GetFileName(file)} {exception.Message}"));
            return null;
        }
    }

    private void ReadInclude(Layer layer, YamlValue include, IReadOnlyList<string> above)
    {
        var map = include as YamlMap;
        var directory = map?.Find("project_directory") is YamlText given ? layer.PathOf(given) : null;
        var environmentFiles = Items(map?.Find("env_file")).OfType<YamlText>().Select(layer.PathOf).OfType<string>().ToList();
        foreach (var path in Items(map is null ? include : map.Find("path")).OfType<YamlText>())
        {
            var at = new ImageMention(layer.File, path.Line, "include", path.Text);
            var text = layer.Expand(path);
            if (text.Text is null || IsRemote(text.Text))
                _mentions.Add(at.Undetermined(text.Trouble ?? "it is elsewhere on the network, which is not read"));
            else if (layer.PathOf(path) is { } file)
                ReadProject(file, directory ?? Path.GetDirectoryName(file)!, layer.Find, environmentFiles, above, at);
        }
    }

    /// <summary>The service, and what it extends, nearest first.</summary>
    private List<Layer> Layers(Layer service, string name)
    {
        var layers = new List<Layer> { service };
        var seen = new List<(string File, string Name)> { (service.File, name) };
        while (layers[^1].Map.Find("extends") is { } extends)
        {
            var layer = layers[^1];
            var text = extends as YamlText ?? (extends as YamlMap)?.Find("service") as YamlText;
            var path = (extends as YamlMap)?.Find("file") as YamlText;
            if (text is null)
                break;

            var at = new ImageMention(layer.File, text.Line, $"service {name}", text.Text);
            var file = path is null ? layer.File : layer.PathOf(path);
            var wanted = layer.Expand(text).Text;
            if (file is null || wanted is null)
            {
                _mentions.Add(at.As(layer.Expand(file is null ? path! : text)));
                break;
            }

            seen.Add((file, wanted));
            if (seen.IndexOf((file, wanted)) < seen.Count - 1 || seen.Count > MaximumDepth)
            {
                _mentions.Add(at.Undetermined(seen.Count > MaximumDepth
                    ? $"extends goes more than {MaximumDepth} services deep"
                    : $"extends goes in a circle: {string.Join(" → ", seen.Select(service => service.Name))}"));
                break;
            }

            if (FindService(layer, file, wanted, at) is not { } found)
                break;
            layers.Add(found);
        }

        return layers;
    }

    private Layer? FindService(Layer from, string file, string name, ImageMention at)
    {
        if (Load(file, at) is not { } documents)
            return null;
        var services = documents.OfType<YamlMap>().Select(map => map.Find("services")).OfType<YamlMap>();
        if (services.Select(map => map.Find(name)).OfType<YamlMap>().FirstOrDefault() is { } service)
            return new Layer(file, file == from.File ? from.Directory : Path.GetDirectoryName(file)!, service, from.Find);
        _mentions.Add(at.Undetermined($"{Path.GetFileName(file)} has no service {name}"));
        return null;
    }

    private void ReadService(string name, List<Layer> layers)
    {
        var builds = layers.Select(layer => (Layer: layer, Value: layer.Map.Find("build")))
            .TakeWhile(build => build.Value is not { Tag: "!reset" })
            .Where(build => build.Value is YamlMap or YamlText { IsNull: false })
            .ToList();

        // With `build`, `image` is the name of what is built, unless the service is told to pull.
        var policy = First(layers, "pull_policy") is ({ } told, YamlText how) ? told.Expand(how).Text : null;
        var pulls = builds.Count == 0 || policy is "always" or "missing" or "if_not_present" or "daily" or "weekly" || policy?.StartsWith("every_", StringComparison.Ordinal) == true;
        if (pulls && First(layers, "image") is ({ } layer, { } image))
            AddImage(layer, $"service {name}", image);
        if (builds.Count > 0)
            ReadBuild($"service {name}", builds);

        foreach (var source in layers)
        {
            foreach (var volume in Items(source.Map.Find("volumes")).OfType<YamlMap>().Where(volume => volume.Find("type") is YamlText { Text: "image" }))
                AddImage(source, $"volume of {name}", volume.Find("source"));
        }
    }

    private void ReadBuild(string role, List<(Layer Layer, YamlValue? Value)> builds)
    {
        var parts = builds.Where(build => build.Value is YamlMap).Select(build => build.Layer with { Map = (YamlMap)build.Value! }).ToList();
        var (layer, context) = builds[0].Value is YamlText ? builds[0] : First(parts, "context");
        layer ??= builds[0].Layer;
        var settings = new BuildSettings
        {
            Arguments = ReadArguments(parts),
            Contexts = ReadContexts(role, parts),
            Target = First(parts, "target") is ({ } aiming, YamlText target)
                ? new ImageMention(aiming.File, target.Line, $"target of {role}", target.Text).As(aiming.Expand(target))
                : null,
        };
        if (settings.Target is { Trouble: not null } unclear)
            _mentions.Add(unclear);
        if (First(parts, "dockerfile_inline") is ({ } writer, YamlText inline))
        {
            ReadInline(writer, inline, settings);
            return;
        }

        var (_, dockerfile) = First(parts, "dockerfile");
        var place = context as YamlText ?? dockerfile as YamlText;
        var at = new ImageMention(layer.File, place?.Line ?? builds[0].Value!.Line, $"build of {role}", place?.Text ?? "");
        var directory = context is YamlText text ? layer.Expand(text) : Expansion.Of(".");
        var name = dockerfile is YamlText given ? layer.Expand(given) : Expansion.Of("Dockerfile");
        if (directory.Text is null || name.Text is null)
            _mentions.Add(at.Undetermined((directory.Trouble ?? name.Trouble)!));
        else if (IsRemote(directory.Text))
            _mentions.Add(at.Undetermined("its context is elsewhere on the network, which is not read"));
        else
            ReadDockerfile(Path.GetFullPath(Path.Combine(layer.Directory, directory.Text, name.Text)), settings, at);
    }

    private void ReadDockerfile(string file, BuildSettings settings, ImageMention at)
    {
        try
        {
            _mentions.AddRange(DockerfileReader.Read(file, SourceText.Read(file), settings));
        }
        catch (UnreadableFileException exception)
        {
            // A file that overrides another one need not say again where the context is.
            if (at.Text.Length > 0 || !Path.GetFileName(at.File).Contains("override", StringComparison.Ordinal))
                _mentions.Add(at.Undetermined($"its {Path.GetFileName(file)} {exception.Message}"));
        }
    }

    private void ReadInline(Layer layer, YamlText inline, BuildSettings settings)
    {
        // A line whose variables Compose does not know stays as it is, for the Dockerfile's own.
        var lines = inline.Text.Split('\n').Select(line => layer.Expand(line).Text ?? line);
        var mentions = DockerfileReader.Read(layer.File, string.Join('\n', lines), settings, inline.Line - 1);
        _mentions.AddRange(inline.KeepsLines ? mentions : mentions.Select(mention => mention with { Line = inline.Line }));
    }

    private static Dictionary<string, Expansion> ReadArguments(List<Layer> parts)
    {
        var arguments = new Dictionary<string, Expansion>();
        foreach (var (layer, name, value) in parts.SelectMany(part => Pairs(part, "args")))
        {
            // A name alone takes its value from the environment.
            if ((value is { } given ? layer.Expand(given.Text) : layer.Find(name)) is { } known)
                arguments.TryAdd(name, known);
        }

        return arguments;
    }

    private HashSet<string> ReadContexts(string role, List<Layer> parts)
    {
        const string Image = "docker-image://";
        var contexts = new HashSet<string>();
        foreach (var (layer, name, value) in parts.SelectMany(part => Pairs(part, "additional_contexts")))
        {
            if (!contexts.Add(name) || value is not { } given)
                continue;
            var at = new ImageMention(layer.File, given.Line, $"context of {role}", given.Text);
            var text = layer.Expand(given.Text);
            if (text.Text is null)
                _mentions.Add(at.As(text));
            else if (text.Text.StartsWith(Image, StringComparison.Ordinal))
                _mentions.Add(at.As(Expansion.Of(text.Text[Image.Length..])));
        }

        return contexts;
    }

    private void AddImage(Layer layer, string role, YamlValue? value)
    {
        if (value is not YamlText { IsNull: false } text)
            return;
        var at = new ImageMention(layer.File, text.Line, role, text.Text);
        var image = layer.Expand(text);
        _mentions.Add(image.Text is "" ? at.Undetermined("the name comes to nothing") : at.As(image));
    }

    private static (Layer? Layer, YamlValue? Value) First(IEnumerable<Layer> layers, string key) =>
        layers.Select(layer => (layer, layer.Map.Find(key))).FirstOrDefault(pair => pair.Item2 is not null and not YamlText { IsNull: true });

    /// <summary>A map, or a list of <c>name=value</c>.</summary>
    private static IEnumerable<(Layer Layer, string Name, YamlAssigned? Value)> Pairs(Layer layer, string key)
    {
        switch (layer.Map.Find(key))
        {
            case YamlMap map:
                foreach (var (name, value) in map.Merged())
                    yield return (layer, name.Text, value is YamlText { IsNull: false } text ? new YamlAssigned(text.Text, text.Line) : null);
                break;
            case YamlList list:
                foreach (var text in list.Items.OfType<YamlText>())
                {
                    var equals = text.Text.IndexOf('=', StringComparison.Ordinal);
                    yield return equals < 0
                        ? (layer, text.Text, null)
                        : (layer, text.Text[..equals], new YamlAssigned(text.Text[(equals + 1)..], text.Line));
                }

                break;
        }
    }

    private static List<YamlValue> Items(YamlValue? value) => value switch
    {
        null or YamlText { IsNull: true } => [],
        YamlList list => list.Items,
        _ => [value],
    };

    private static bool IsRemote(string path) =>
        path.Contains("://", StringComparison.Ordinal) || path.StartsWith("git@", StringComparison.Ordinal) || path.StartsWith("github.com/", StringComparison.Ordinal)
        || path.StartsWith("oci:", StringComparison.Ordinal);

    private readonly record struct YamlAssigned(string Text, int Line);

    /// <summary>A map of some file, and what its paths and variables are relative to.</summary>
    private sealed record Layer(string File, string Directory, YamlMap Map, Func<string, Expansion?> Find)
    {
        public Expansion Expand(YamlText text) => Expand(text.Text);

        public Expansion Expand(string text) => Substitution.OfCompose(Find).Expand(text);

        public string? PathOf(YamlText text) => Expand(text).Text is { } path ? Path.GetFullPath(Path.Combine(Directory, path)) : null;
    }
}
