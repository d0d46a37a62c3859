using System.IO.Enumeration;
using ImageAccess.Proxy.Tools.Verbs;

namespace ImageAccess.Proxy.Tools.Scanning;

/// <summary>What a scan uses besides the files.</summary>
internal sealed record ScanSettings
{
    /// <summary>The shell's variables, which Compose fills in.</summary>
    public required Func<string, Expansion?> Environment { get; init; }

    /// <summary>What <c>docker build --build-arg</c> would be given.</summary>
    public IReadOnlyDictionary<string, Expansion> BuildArguments { get; init; } = new Dictionary<string, Expansion>();

    /// <summary>Patterns of names, and of paths as they are shown, that the scan skips.</summary>
    public IReadOnlyList<string> Exclude { get; init; } = [];
}

/// <param name="Mentions">Images, and places whose image cannot be told, in the order of files and lines.</param>
/// <param name="Files">How many files were read for images.</param>
/// <param name="Remarks">What the scan skipped although images may be there.</param>
internal sealed record ScanResult(IReadOnlyList<ImageMention> Mentions, int Files, IReadOnlyList<string> Remarks);

/// <summary>Finds the Dockerfiles, Compose files and manifests below some paths, and the images in them.</summary>
internal sealed class ImageScan(ScanSettings settings, ProgressLine progress)
{
    private static readonly HashSet<string> PassedOver = [".git", ".hg", ".svn", "node_modules"];

    private readonly List<ImageMention> _dockerfiles = [];
    private readonly List<ImageMention> _others = [];
    private readonly List<string> _remarks = [];
    private readonly HashSet<string> _seen = [];
    private readonly HashSet<string> _files = [];
    private int _entries;

    /// <param name="paths">Full paths of files and directories that exist.</param>
    public ScanResult Run(IEnumerable<string> paths, CancellationToken cancellationToken)
    {
        foreach (var path in paths)
        {
            if (Directory.Exists(path))
                Walk(path, cancellationToken);
            else if (_seen.Add(path))
                ReadNamed(path);
        }

        var mentions = Merge();
        _files.UnionWith(mentions.Select(mention => mention.File));
        return new ScanResult(mentions, _files.Count, _remarks);
    }

    /// <summary>Follows no link to a directory: its target is found in its own place, or nobody asked for it.</summary>
    private void Walk(string root, CancellationToken cancellationToken)
    {
        var open = new Stack<string>([root]);
        while (open.TryPop(out var directory))
        {
            try
            {
                foreach (var entry in new DirectoryInfo(directory).EnumerateFileSystemInfos().OrderByDescending(entry => entry.Name, StringComparer.Ordinal))
                {
                    cancellationToken.ThrowIfCancellationRequested();
                    progress.Report($"{_entries++} files and directories seen, {_dockerfiles.Count + _others.Count} places found");
                    if (IsExcluded(entry))
                        continue;
                    if (entry is FileInfo || entry.LinkTarget is not null)
                        ReadFound(entry.FullName);
                    else if (entry.Name == "templates" && File.Exists(Path.Combine(directory, "Chart.yaml")))
                        _remarks.Add($"{Verb.Shown(entry.FullName)}: templates of a Helm chart are not read; scan what `helm template` writes");
                    else
                        open.Push(entry.FullName);
                }
            }
            catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
            {
                _others.Add(new ImageMention(directory, 1, "directory", "").Undetermined($"cannot be read: {exception.Message}"));
            }
        }
    }

    private bool IsExcluded(FileSystemInfo entry) =>
        (entry is DirectoryInfo && PassedOver.Contains(entry.Name))
        || settings.Exclude.Any(pattern =>
            FileSystemName.MatchesSimpleExpression(pattern, entry.Name, ignoreCase: false) || FileSystemName.MatchesSimpleExpression(pattern, Verb.Shown(entry.FullName), ignoreCase: false));

    private void ReadFound(string file)
    {
        if (KindOf(file) is { } kind && !Directory.Exists(file) && _seen.Add(file))
            Read(file, kind);
    }

    /// <summary>Reads a file that the user names, whatever it is called.</summary>
    private void ReadNamed(string file) => Read(file, KindOf(file) switch
    {
        FileKind.Yaml or FileKind.Json => FileKind.NamedYaml,
        var kind => kind ?? FileKind.Dockerfile,
    });

    private void Read(string file, FileKind kind)
    {
        try
        {
            if (kind == FileKind.Dockerfile)
            {
                var text = SourceText.Read(file);
                _files.Add(file);
                _dockerfiles.AddRange(DockerfileReader.Read(file, text, new BuildSettings { Arguments = settings.BuildArguments }));
            }
            else
            {
                ReadYaml(file, kind);
            }
        }
        catch (UnreadableFileException exception) when (kind == FileKind.Json)
        {
            _remarks.Add($"{Verb.Shown(file)}: {exception.Message}");
        }
        catch (UnreadableFileException exception)
        {
            _others.Add(new ImageMention(file, exception.Line, kind == FileKind.Dockerfile ? "Dockerfile" : "YAML file", "").Undetermined(exception.Message));
        }
    }

    private void ReadYaml(string file, FileKind kind)
    {
        var text = SourceText.Read(file);
        if (kind is FileKind.Yaml or FileKind.Json && !ManifestReader.MayHold(text))
            return;

        var (documents, mistake) = YamlTree.Read(text);
        if (kind == FileKind.Compose ? mistake is not null || ComposeReader.IsCompose(documents) : kind == FileKind.NamedYaml && ComposeReader.IsCompose(documents))
        {
            _files.Add(file);
            _others.AddRange(ComposeReader.Read(file, settings.Environment));
        }
        else
        {
            var mentions = ManifestReader.Read(file, documents);
            _others.AddRange(mentions);
            if (mistake is not null)
                throw mistake;
        }
    }

    private static FileKind? KindOf(string file)
    {
        var name = Path.GetFileName(file).ToUpperInvariant();
        var extension = Path.GetExtension(name);
        if (extension is ".YML" or ".YAML")
            return name.StartsWith("COMPOSE", StringComparison.Ordinal) || name.StartsWith("DOCKER-COMPOSE", StringComparison.Ordinal) ? FileKind.Compose : FileKind.Yaml;
        if (extension == ".JSON")
            return FileKind.Json;
        var isDockerfile = name is "DOCKERFILE" or "CONTAINERFILE" || extension is ".DOCKERFILE" or ".CONTAINERFILE"
            || name.StartsWith("DOCKERFILE.", StringComparison.Ordinal) || name.StartsWith("CONTAINERFILE.", StringComparison.Ordinal);
        return isDockerfile && extension != ".DOCKERIGNORE" ? FileKind.Dockerfile : null;
    }

    /// <summary>
    /// One file may be read in several ways: a Dockerfile by itself and as Compose files build it, a Compose file by itself and
    /// included. When one reading knows the image and another does not, the first counts; each image is named once at its place.
    /// </summary>
    private List<ImageMention> Merge()
    {
        var contexts = _others.Where(mention => mention.IsContext).Select(Place).ToHashSet();
        return [.. _dockerfiles.Where(mention => !contexts.Contains(Place(mention))).Concat(_others)
            .GroupBy(Place)
            .SelectMany(Told)
            .OrderBy(mention => mention.File, StringComparer.Ordinal).ThenBy(mention => mention.Line)];

        static (string, int, string) Place(ImageMention mention) => (mention.File, mention.Line, mention.Text);

        static IEnumerable<ImageMention> Told(IEnumerable<ImageMention> ways)
        {
            var images = ways.Where(mention => mention.Image is not null).DistinctBy(mention => mention.Image).ToList();
            return images.Count > 0 ? images : ways.All(mention => mention.Trouble is not null) ? ways.Take(1) : [];
        }
    }

    private enum FileKind
    {
        Dockerfile,
        Compose,
        Yaml,
        Json,

        /// <summary>Any YAML that is asked for by its name.</summary>
        NamedYaml,
    }
}
