using System.Globalization;

namespace ImageAccess.Proxy.Tools.Scanning;

/// <summary>What a build adds to its Dockerfile.</summary>
internal sealed record BuildSettings
{
    /// <summary>Values of <c>ARG</c>s, by name.</summary>
    public IReadOnlyDictionary<string, Expansion> Arguments { get; init; } = new Dictionary<string, Expansion>();

    /// <summary>Named contexts, which stand in the place of images of the same name.</summary>
    public IReadOnlySet<string> Contexts { get; init; } = new HashSet<string>();

    /// <summary>The stage that is built, and where that is said; null asks for all of them.</summary>
    public ImageMention? Target { get; init; }
}

/// <summary>
/// The images that a build of a Dockerfile pulls: of every stage, or of those that its target needs.
/// References: BuildKit's <c>frontend/dockerfile/dockerfile2llb/convert.go</c> and the Dockerfile reference.
/// </summary>
internal sealed class DockerfileReader
{
    private const string Scratch = "scratch";

    /// <summary>What BuildKit presets for an ordinary build on an ordinary machine.</summary>
    private static readonly Dictionary<string, Expansion> Platform = new()
    {
        ["BUILDPLATFORM"] = Expansion.Of("linux/amd64"),
        ["BUILDOS"] = Expansion.Of("linux"),
        ["BUILDARCH"] = Expansion.Of("amd64"),
        ["BUILDVARIANT"] = Expansion.Of(""),
        ["TARGETPLATFORM"] = Expansion.Of("linux/amd64"),
        ["TARGETOS"] = Expansion.Of("linux"),
        ["TARGETARCH"] = Expansion.Of("amd64"),
        ["TARGETVARIANT"] = Expansion.Of(""),
    };

    private readonly string _file;
    private readonly int _lineBefore;
    private readonly BuildSettings _build;
    private readonly DockerfileLines _lines;
    private readonly Substitution _substitution;
    private readonly Dictionary<string, Expansion> _global = [];
    private readonly List<Stage> _stages = [];
    private readonly Dictionary<string, int> _stageNames = new(StringComparer.OrdinalIgnoreCase);
    private readonly List<ImageMention> _mentions = [];

    private DockerfileReader(string file, int lineBefore, BuildSettings build, DockerfileLines lines)
    {
        _file = file;
        _lineBefore = lineBefore;
        _build = build;
        _lines = lines;
        _substitution = Substitution.OfDockerfile(lines.Escape, name => Find(_global, name));
    }

    /// <param name="file">The path that the mentions carry.</param>
    /// <param name="text">The Dockerfile.</param>
    /// <param name="build">What the build adds.</param>
    /// <param name="lineBefore">The line in <paramref name="file"/> before the text's first: not 0 for what stands inline elsewhere.</param>
    public static IReadOnlyList<ImageMention> Read(string file, string text, BuildSettings build, int lineBefore = 0) =>
        new DockerfileReader(file, lineBefore, build, DockerfileLines.Of(text)).Read();

    private List<ImageMention> Read()
    {
        if (_lines.Syntax is { } syntax)
            _mentions.Add(Mention(syntax.Line, "syntax", syntax.Image).As(Expansion.Of(syntax.Image)));

        try
        {
            foreach (var instruction in _lines.Instructions())
                Collect(instruction);
        }
        catch (UnreadableFileException exception)
        {
            _mentions.Add(Mention(exception.Line, "Dockerfile", "").Undetermined(exception.Message));
        }

        Resolve();
        return _mentions;
    }

    private void Collect(DockerfileInstruction instruction)
    {
        switch (instruction.Keyword)
        {
            case "FROM":
                _stages.Add(ReadFrom(instruction));
                break;
            case "ARG" when _stages.Count == 0:
                Declare(instruction, _global, _substitution, _ => null);
                break;
            case "ARG" or "COPY" or "RUN" or "ONBUILD" when _stages.Count > 0:
                _stages[^1].Instructions.Add(instruction);
                break;
        }
    }

    private Stage ReadFrom(DockerfileInstruction instruction)
    {
        var words = instruction.Words().SkipWhile(word => word.Text.StartsWith("--", StringComparison.Ordinal)).ToList();
        var named = words.Count == 3 && words[1].Text.Equals("AS", StringComparison.OrdinalIgnoreCase);
        var at = words.Count > 0 ? words[0] : new DockerfileWord(instruction.Text, 0);
        if (named)
            _stageNames.TryAdd(words[2].Text, _stages.Count);
        return new Stage(Mention(instruction.LineOf(at.Offset), "FROM", at.Text), WellFormed: words.Count == 1 || named);
    }

    /// <summary>Values of the build take precedence over defaults. A default may use what was declared before it.</summary>
    private void Declare(DockerfileInstruction instruction, Dictionary<string, Expansion> scope, Substitution substitution, Func<string, Expansion?> inherited)
    {
        foreach (var word in DockerfileInstruction.ShellWords(instruction.Text, _lines.Escape).Skip(1).Where(word => word.Length > 0))
        {
            var equals = word.IndexOf('=', StringComparison.Ordinal);
            var name = equals < 0 ? word : word[..equals];
            if (_build.Arguments.TryGetValue(name, out var given))
                scope[name] = given;
            else if (equals >= 0)
                scope[name] = substitution.Expand(word[(equals + 1)..]);
            else if (inherited(name) is { } value)
                scope[name] = value;
        }
    }

    private void Resolve()
    {
        foreach (var (index, stage) in _stages.Index())
        {
            stage.Mentions.Add(ResolveBase(stage, index));
            var scope = new Dictionary<string, Expansion>();
            var inStage = _substitution.Over(name => scope.TryGetValue(name, out var value) ? value : null);
            foreach (var instruction in stage.Instructions)
                ResolveUses(stage, instruction, "", scope, inStage);
        }

        foreach (var stage in Wanted())
            _mentions.AddRange(stage.Mentions);
    }

    private ImageMention ResolveBase(Stage stage, int index)
    {
        if (!stage.WellFormed)
            return stage.Base.Undetermined("FROM takes a name, or a name and AS STAGE");
        var name = _substitution.Expand(stage.Base.Text);
        if (name.Text is "")
            return stage.Base.Undetermined("the name comes to nothing");
        if (name.Text is null or Scratch)
            return stage.Base with { Trouble = name.Trouble };
        if (_build.Contexts.Contains(name.Text))
            return stage.Base with { IsContext = true };

        // A base is a stage above it, never one below.
        if (FindStage(name.Text) is var earlier && earlier >= 0 && earlier < index)
        {
            stage.Needs.Add(earlier);
            return stage.Base;
        }

        return stage.Base.As(name);
    }

    private void ResolveUses(Stage stage, DockerfileInstruction instruction, string prefix, Dictionary<string, Expansion> scope, Substitution substitution)
    {
        switch (instruction.Keyword)
        {
            case "ARG" when prefix.Length == 0:
                Declare(instruction, scope, substitution, name => Find(_global, name));
                break;
            case "ONBUILD" when prefix.Length == 0:
                ResolveUses(stage, instruction.WithoutKeyword(), "ONBUILD ", scope, substitution);
                break;
            case "COPY":
                foreach (var flag in instruction.Flags().Flags.Where(flag => flag.Text.StartsWith("--from=", StringComparison.Ordinal)))
                    stage.Mentions.Add(ResolveSource(stage, Mention(instruction.LineOf(flag.Offset), prefix + "COPY --from", flag.Text["--from=".Length..]), substitution));
                break;
            case "RUN":
                foreach (var flag in instruction.Flags().Flags.Where(flag => flag.Text.StartsWith("--mount=", StringComparison.Ordinal)))
                {
                    foreach (var from in flag.Text["--mount=".Length..].Split(',').Where(part => part.StartsWith("from=", StringComparison.OrdinalIgnoreCase)))
                        stage.Mentions.Add(ResolveSource(stage, Mention(instruction.LineOf(flag.Offset), prefix + "RUN --mount", from["from=".Length..]), substitution));
                }

                break;
        }
    }

    /// <summary>What an instruction copies or mounts from: any stage, by name or number, else an image.</summary>
    private ImageMention ResolveSource(Stage stage, ImageMention mention, Substitution substitution)
    {
        var name = substitution.Expand(mention.Text);
        if (name.Text is null or Scratch)
            return mention with { Trouble = name.Trouble };
        if (_build.Contexts.Contains(name.Text))
            return mention with { IsContext = true };
        if (name.Text.Length == 0)
            return mention.Undetermined("the name comes to nothing");

        var found = FindStage(name.Text);
        if (found < 0 && int.TryParse(name.Text, NumberStyles.None, CultureInfo.InvariantCulture, out var number))
        {
            if (number >= _stages.Count)
                return mention.Undetermined(string.Create(CultureInfo.InvariantCulture, $"there is no stage {number}, counted from 0"));
            found = number;
        }

        if (found < 0)
            return mention.As(name);
        stage.Needs.Add(found);
        return mention;
    }

    private IEnumerable<Stage> Wanted()
    {
        if (_build.Target is not { Image: { } name })
            return _stages;
        var target = FindStage(name);
        if (target < 0 && (!int.TryParse(name, NumberStyles.None, CultureInfo.InvariantCulture, out target) || target >= _stages.Count))
        {
            _mentions.Add(_build.Target.Undetermined($"{Path.GetFileName(_file)} has no stage {name}"));
            return _stages;
        }

        var wanted = new HashSet<int>();
        var open = new Stack<int>([target]);
        while (open.TryPop(out var index))
        {
            if (wanted.Add(index))
                _stages[index].Needs.ForEach(open.Push);
        }

        return wanted.Order().Select(index => _stages[index]);
    }

    private int FindStage(string name) => _stageNames.GetValueOrDefault(name, -1);

    /// <summary>A declared value, or what the build or the platform gives to names in <c>FROM</c> without a declaration.</summary>
    private Expansion? Find(Dictionary<string, Expansion> scope, string name)
    {
        if (scope.TryGetValue(name, out var value))
            return value;
        if (!Platform.TryGetValue(name, out var preset))
            return null;
        return _build.Arguments.TryGetValue(name, out var given) ? given : preset;
    }

    private ImageMention Mention(int line, string role, string text) => new(_file, line + _lineBefore, role, text);

    private sealed record Stage(ImageMention Base, bool WellFormed)
    {
        public List<DockerfileInstruction> Instructions { get; } = [];

        public List<ImageMention> Mentions { get; } = [];

        /// <summary>The stages that it builds on or copies from.</summary>
        public List<int> Needs { get; } = [];
    }
}
