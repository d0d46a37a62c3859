using System.Text.RegularExpressions;

namespace ImageAccess.Proxy.Tests.HouseRules;

/// <summary>Imports go down only: each room of the proxy may use the rooms of the floors below its own, and Core.</summary>
public sealed partial class FloorsTests
{
    private static readonly Dictionary<string, int> Floors = new()
    {
        ["Transport"] = 1,
        ["Ingress"] = 1,
        ["Certificates"] = 1,
        ["Identity"] = 1,
        ["Catalog"] = 1,
        ["PolicyStore"] = 1,
        ["Upstream"] = 1,
        ["Cache"] = 1,
        ["Audit"] = 1,
        ["Content"] = 2,
        ["Registry"] = 3,
        ["Hosting"] = 4,
        ["Console"] = 4,
        ["Cli"] = 4,
    };

    [Fact]
    public void Rooms_use_lower_floors_only()
    {
        var files = Directory.GetFiles(Source(), "*.cs", SearchOption.AllDirectories)
            .Select(file => (Room: Path.GetRelativePath(Source(), file).Split('/')[0], File: file))
            .Where(pair => pair.Room is not ("bin" or "obj" or "Program.cs"))
            .ToList();
        Assert.NotEmpty(files);

        Assert.All(files, pair => Assert.True(Floors.ContainsKey(pair.Room), $"{pair.Room} is on no floor"));
        var upwards = files.SelectMany(pair => Uses().Matches(File.ReadAllText(pair.File))
            .Select(match => match.Groups["room"].Value)
            .Where(used => used != pair.Room && !(Floors[used] < Floors[pair.Room]) && !(Floors[pair.Room] == 4 && Floors[used] == 4))
            .Select(used => $"{pair.Room}/{Path.GetFileName(pair.File)} uses {used}"));
        Assert.Empty(upwards);
    }

    [Fact]
    public void Each_room_has_one_setup()
    {
        var rooms = Directory.GetDirectories(Source()).Select(room => Path.GetFileName(room)!).Where(room => Floors.TryGetValue(room, out var floor) && floor < 4);
        Assert.All(rooms, room => Assert.True(File.Exists(Path.Combine(Source(), room, room + "Setup.cs")), $"{room} has no {room}Setup.cs"));
    }

    private static string Source() => RepositoryRoot.Find("src/ImageAccess.Proxy");

    [GeneratedRegex(@"ImageAccess\.Proxy\.(?<room>Transport|Ingress|Certificates|Identity|Catalog|PolicyStore|Upstream|Cache|Audit|Content|Registry|Hosting|Console|Cli)\b(?<!namespace [\w.]+)", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Uses();
}
