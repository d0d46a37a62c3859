using System.Globalization;
using System.Text.Json;
using ImageAccess.Proxy.Foundation.Files;

namespace ImageAccess.Proxy.Administration.Usage;

/// <summary>What <c>imageaccess doctor</c> tells of a machine.</summary>
/// <param name="Name">What the machine calls itself.</param>
/// <param name="Version">Of the program.</param>
/// <param name="Open">How many ways lead past the policy.</param>
/// <param name="Enforced">How many lead to a proxy that refused.</param>
/// <param name="NotReachable">How many lead nowhere.</param>
/// <param name="Engines">Those that are configured.</param>
/// <param name="Ways">The first ways, open ones first.</param>
internal sealed record DoctorFacts(string Name, string Version, int Open, int Enforced, int NotReachable, IReadOnlyList<ReportedEngine?> Engines, IReadOnlyList<ReportedWay?> Ways)
{
    /// <summary>In bytes.</summary>
    public const int MaximumSize = 64 * 1024;

    public const int MaximumName = 128;

    public const int MaximumWord = 64;

    public const int MaximumHost = 200;

    public const int MaximumEngines = 16;

    public const int MaximumWays = 64;

    private const int MaximumCount = 100_000;

    public static JsonSerializerOptions Json { get; } = new(ReadableJson.Web) { DefaultIgnoreCondition = System.Text.Json.Serialization.JsonIgnoreCondition.WhenWritingNull };

    /// <summary>What is wrong with it, to follow its member in a sentence.</summary>
    public IReadOnlyList<(string Member, string Fault)> Faults()
    {
        var faults = new List<(string, string)>();
        Text("name", Name, MaximumName);
        Text("version", Version, MaximumWord);
        foreach (var (member, verdict, count) in new[] { ("open", ReportedWay.Open, Open), ("enforced", ReportedWay.Enforced, Enforced), ("notReachable", ReportedWay.NotReachable, NotReachable) })
        {
            if (count is < 0 or > MaximumCount)
                faults.Add((member, string.Create(CultureInfo.InvariantCulture, $"must be 0 to {MaximumCount}")));
            else if (count < Ways.Count(way => way?.Verdict == verdict))
                faults.Add((member, "is less than such ways are listed"));
        }

        if (Engines.Count > MaximumEngines)
            faults.Add(("engines", string.Create(CultureInfo.InvariantCulture, $"must be at most {MaximumEngines}")));
        foreach (var (number, engine) in Engines.Take(MaximumEngines).Index())
            Text($"engines[{number}].engine", engine?.Engine ?? "", MaximumWord);
        if (Ways.Count > MaximumWays)
            faults.Add(("ways", string.Create(CultureInfo.InvariantCulture, $"must be at most {MaximumWays}")));
        foreach (var (number, way) in Ways.Take(MaximumWays).Index())
        {
            if (way?.Verdict is not (ReportedWay.Open or ReportedWay.Enforced or ReportedWay.NotReachable))
                faults.Add(($"ways[{number}].verdict", $"must be {ReportedWay.Open}, {ReportedWay.Enforced} or {ReportedWay.NotReachable}"));
            Text($"ways[{number}].way", way?.Way ?? "", MaximumWord);
            Text($"ways[{number}].host", way?.Host ?? "", MaximumHost);
        }

        return faults;

        void Text(string member, string text, int maximum)
        {
            if (PrintableText.FaultOf(text, maximum) is { } fault)
                faults.Add((member, fault));
        }
    }

    public MachineReport ToReport(string organization, string address, DateTimeOffset now) =>
        new(organization, address, Name, now.ToUnixTimeMilliseconds(), Open, Engines.Any(engine => engine?.FallsBack == true), JsonSerializer.Serialize(this, Json));
}

/// <param name="Engine">As <c>docker</c>, <c>containerd</c>.</param>
internal sealed record ReportedEngine(string Engine)
{
    /// <summary>Whether it turns to Docker Hub by an open way when no mirror serves it; null where its configuration names no mirror.</summary>
    public bool? FallsBack { get; init; }
}

/// <param name="Verdict"><c>open</c>, <c>enforced</c> or <c>not reachable</c>.</param>
/// <param name="Way">As <c>direct IPv4</c>, <c>mirror</c>.</param>
/// <param name="Host">Where it leads.</param>
internal sealed record ReportedWay(string Verdict, string Way, string Host)
{
    public const string Open = "open";

    public const string Enforced = "enforced";

    public const string NotReachable = "not reachable";
}
