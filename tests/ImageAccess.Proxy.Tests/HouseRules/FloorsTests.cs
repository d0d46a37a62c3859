using System.Text.RegularExpressions;

namespace ImageAccess.Proxy.Tests.HouseRules;

/// <summary>Imports go down only: each room of the proxy may use the rooms of the floors below its own, and Core.</summary>
public sealed partial class FloorsTests
{
    private static readonly Dictionary<string, int> Floors = new()
    {
        ["Foundation/Files"] = 0,
        ["Foundation/Configuration"] = 0,
        ["Foundation/Limits"] = 0,
        ["Foundation/DockerHub"] = 1,
        ["Foundation/Audit"] = 2,
        ["Connections/Transport"] = 3,
        ["Connections/Ingress"] = 3,
        ["Connections/Certificates"] = 3,
        ["Policies/Catalog"] = 3,
        ["Policies/Store"] = 3,
        ["Content/Cache"] = 3,
        ["Content/Upstream"] = 3,
        ["Content/Serving"] = 4,
        ["Callers/Members"] = 4,
        ["Callers/Identity"] = 4,
        ["Policies/Decisions"] = 5,
        ["Registry"] = 6,
        ["Tools/Verbs"] = 7,
        ["Tools/Scanning"] = 7,
        ["Tools/Engines"] = 7,
        ["Tools/Doctor"] = 7,
        ["Hosting"] = 8,
    };

    [Fact]
    public void Rooms_use_lower_floors_only()
    {
        var files = Directory.GetFiles(Source(), "*.cs", SearchOption.AllDirectories)
            .Where(file => Path.GetRelativePath(Source(), file).Split('/')[0] is not ("bin" or "obj" or "Program.cs"))
            .Select(file => (Room: RoomOf(Path.GetRelativePath(Source(), file)), File: file))
            .ToList();
        Assert.NotEmpty(files);

        Assert.All(files, pair => Assert.True(pair.Room is not null, $"{pair.File} is on no floor"));
        var upwards = files.SelectMany(pair => Uses().Matches(File.ReadAllText(pair.File))
            .Select(match => RoomOf(match.Groups["name"].Value.Replace('.', '/') + "/")!)
            .Where(used => used != pair.Room && !(Floors[used] < Floors[pair.Room!]) && !(Floors[pair.Room!] == Floors[used] && SameWing(used, pair.Room!)))
            .Select(used => $"{pair.Room}/{Path.GetFileName(pair.File)} uses {used}"));
        Assert.Empty(upwards);
    }

    [Fact]
    public void Each_room_has_one_setup()
    {
        var rooms = Floors.Where(room => room.Value is > 2 and < 7).Select(room => room.Key);
        Assert.All(rooms, room => Assert.Single(Directory.GetFiles(Path.Combine(Source(), room), "*Setup.cs")));
    }

    private static bool SameWing(string one, string other) => one.Split('/')[0] == other.Split('/')[0];

    private static string? RoomOf(string path) => Floors.Keys.FirstOrDefault(room => path.StartsWith(room + "/", StringComparison.Ordinal));

    private static string Source() => RepositoryRoot.Find("src/ImageAccess.Proxy");

    [GeneratedRegex(@"^using (static )?ImageAccess\.Proxy\.(?<name>[\w.]+);", RegexOptions.ExplicitCapture | RegexOptions.Multiline, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Uses();
}
