using System.Text.RegularExpressions;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Hosting;

namespace ImageAccess.Proxy.Tests.HouseRules;

/// <summary>
/// The house: each room has a floor, and uses rooms of lower floors only. A new room is added here and in <c>docs/architecture.md</c>.
/// </summary>
public sealed partial class FloorsTests
{
    private const string Proxy = "ImageAccess.Proxy";
    private const string Core = "ImageAccess.Core";

    private static readonly Dictionary<string, int> Floors = new()
    {
        ["Foundation/Files"] = 0,
        ["Foundation/Configuration"] = 0,
        ["Foundation/Limits"] = 0,
        ["Foundation/Database"] = 1,
        ["Foundation/DockerHub"] = 1,
        ["Foundation/Audit"] = 2,
        ["Connections/Transport"] = 3,
        ["Connections/Ingress"] = 3,
        ["Connections/Certificates"] = 3,
        ["Policies/Catalog"] = 3,
        ["Policies/Exceptions"] = 3,
        ["Policies/Following"] = 3,
        ["Policies/Store"] = 3,
        ["Content/Cache"] = 3,
        ["Content/Upstream"] = 3,
        ["Content/Serving"] = 4,
        ["Callers/Members"] = 4,
        ["Callers/Identity"] = 4,
        ["Policies/Decisions"] = 5,
        ["Registry"] = 6,
        ["Administration/Denials"] = 6,
        ["Administration/Roles"] = 6,
        ["Administration/Tokens"] = 6,
        ["Administration/Changes"] = 6,
        ["Administration/Requests"] = 6,
        ["Administration/Notifications"] = 6,
        ["Administration/Usage"] = 6,
        ["Administration/Export"] = 6,
        ["Administration/Activity"] = 6,
        ["Administration/Incidents"] = 6,
        ["Administration/Reports"] = 6,
        ["Administration/Api"] = 6,
        ["Administration/DockerApi"] = 6,
        ["Portal/Words"] = 7,
        ["Portal/SignIn"] = 7,
        ["Portal/Pages"] = 7,
        ["Tools/Verbs"] = 7,
        ["Tools/Scanning"] = 7,
        ["Tools/Engines"] = 7,
        ["Tools/Doctor"] = 7,
        ["Hosting"] = 8,
    };

    private static readonly Dictionary<string, int> CoreFloors = new()
    {
        ["Hosts"] = 0,
        ["Oci"] = 1,
        ["Classification"] = 2,
        ["Policies"] = 3,
    };

    /// <summary>On one floor: the second may use the first.</summary>
    private static readonly HashSet<(string Lower, string Upper)> Neighbours =
    [
        ("Policies/Exceptions", "Policies/Store"),
        ("Policies/Following", "Policies/Store"),
        ("Policies/Store", "Connections/Ingress"), // where tunnels may lead is a part of the policy
        ("Callers/Members", "Callers/Identity"),
        ("Administration/Denials", "Administration/Api"),
        ("Administration/Roles", "Administration/Tokens"),
        ("Administration/Roles", "Administration/Changes"),
        ("Administration/Roles", "Administration/Api"),
        ("Administration/Tokens", "Administration/Changes"),
        ("Administration/Tokens", "Administration/Api"),
        ("Administration/Changes", "Administration/Api"),
        ("Administration/Denials", "Administration/Api"),
        ("Administration/Denials", "Administration/Requests"),
        ("Administration/Roles", "Administration/Requests"),
        ("Administration/Changes", "Administration/Requests"),
        ("Administration/Requests", "Administration/Api"),
        ("Administration/Usage", "Administration/Api"),
        ("Administration/Activity", "Administration/Api"),
        ("Administration/Usage", "Administration/Incidents"),
        ("Administration/Roles", "Administration/Incidents"),
        ("Administration/Changes", "Administration/Incidents"),
        ("Administration/Notifications", "Administration/Incidents"),
        ("Administration/Incidents", "Administration/Api"),
        ("Administration/Roles", "Administration/Reports"),
        ("Administration/Tokens", "Administration/Reports"),
        ("Administration/Usage", "Administration/Reports"),
        ("Administration/Reports", "Administration/Api"),
        ("Administration/Roles", "Administration/DockerApi"),
        ("Administration/Tokens", "Administration/DockerApi"),
        ("Administration/Changes", "Administration/DockerApi"),
        ("Administration/Api", "Administration/DockerApi"),
        ("Administration/Activity", "Administration/DockerApi"),
        ("Portal/Words", "Portal/Pages"),
        ("Portal/SignIn", "Portal/Pages"),
        ("Tools/Verbs", "Tools/Scanning"),
        ("Tools/Verbs", "Tools/Engines"),
        ("Tools/Verbs", "Tools/Doctor"),
        ("Tools/Scanning", "Tools/Engines"), // an engine's YAML is read as a manifest's is
        ("Tools/Engines", "Tools/Doctor"),
    ];

    [Fact]
    public void Rooms_use_lower_floors_only() => AssertNone(Upwards(typeof(ProxyHost), Proxy, Floors));

    [Fact]
    public void Rooms_of_Core_use_lower_floors_only() => AssertNone(Upwards(typeof(PolicyEngine), Core, CoreFloors));

    /// <summary>A default for all clients, or for all of an options type, is a way from room to room that no import shows.</summary>
    [Fact]
    public void No_room_sets_a_default_for_the_others()
    {
        using var types = new CompiledTypes(typeof(ProxyHost));
        string[] defaults = ["ConfigureHttpClientDefaults", "ConfigureAll", "PostConfigureAll", "ConfigureOptions"];
        AssertNone(types.Calls()
            .Where(call => defaults.Contains(call.Method.Name))
            .Select(call => $"{call.User} calls {call.Method.Name}"));
        AssertNone(types.Uses().Where(use => use.Used.Name == "IHttpMessageHandlerBuilderFilter").Select(use => $"{use.User} filters every client"));
    }

    [Fact]
    public void Each_client_is_configured_by_one_room()
    {
        using var types = new CompiledTypes(typeof(ProxyHost));
        var clients = types.TextsGivenTo("AddHttpClient").Select(call => (Client: call.Text, Room: RoomOf(Proxy, Floors, call.User))).Distinct().ToList();
        AssertNone(clients.Where(client => client.Client.Length == 0).Select(client => $"{client.Room} adds a client without a name"));
        AssertNone(clients.GroupBy(client => client.Client).Where(rooms => rooms.Count() > 1).Select(rooms => $"{rooms.Key}: {string.Join(", ", rooms)}"));
    }

    [Fact]
    public void Each_file_lies_in_a_room_and_its_namespace_is_its_folder()
    {
        var files = SourceFiles(Proxy).Where(file => file != "Program.cs").Select(file => (Project: Proxy, Rooms: Floors, File: file))
            .Concat(SourceFiles(Core).Select(file => (Project: Core, Rooms: CoreFloors, File: file))).ToList();
        Assert.NotEmpty(files);
        AssertNone(files.Where(each => RoomOf(each.Rooms, each.File) is null).Select(each => $"{each.Project}/{each.File} lies in no room"));
        AssertNone(files.Where(each => Namespace().Match(File.ReadAllText(Source(each.Project, each.File))).Groups["name"].Value
                != $"{each.Project}.{Path.GetDirectoryName(each.File)!.Replace('/', '.')}")
            .Select(each => $"{each.Project}/{each.File} has another namespace than its folder"));
    }

    [Fact]
    public void Each_room_of_the_walk_has_one_setup()
    {
        var rooms = Floors.Where(room => room.Value is > 2 and < 7 && Directory.Exists(Source(Proxy, room.Key))).Select(room => room.Key);
        Assert.All(rooms, room => Assert.Single(Directory.GetFiles(Source(Proxy, room), "*Setup.cs", SearchOption.AllDirectories)));
    }

    private static void AssertNone(IEnumerable<string> offences)
    {
        var all = string.Join('\n', offences);
        Assert.True(all.Length == 0, all);
    }

    private static List<string> Upwards(Type marker, string project, Dictionary<string, int> floors)
    {
        using var types = new CompiledTypes(marker);
        var between = types.Uses()
            .Where(use => IsOf(project, use.User) && IsOf(project, use.Used))
            .Select(use => (Use: use, User: RoomOf(project, floors, use.User), Used: RoomOf(project, floors, use.Used)))
            .Where(use => use.User != use.Used)
            .ToList();
        Assert.NotEmpty(between);
        return between
            .Where(use => FloorOf(use.Used) >= FloorOf(use.User) && !Neighbours.Contains((use.Used, use.User)))
            .Select(use => $"{use.Use.User} uses {use.Use.Used}")
            .Order(StringComparer.Ordinal)
            .ToList();

        int FloorOf(string room) => floors.GetValueOrDefault(room, int.MaxValue);
    }

    private static bool IsOf(string project, TypeName type) => type.Namespace == project || type.Namespace.StartsWith(project + ".", StringComparison.Ordinal);

    /// <summary>A type's room; its namespace where it has none.</summary>
    private static string RoomOf(string project, Dictionary<string, int> floors, TypeName type) =>
        RoomOf(floors, $"{type.Namespace}."[(project.Length + 1)..].Replace('.', '/')) ?? type.Namespace;

    private static string? RoomOf(Dictionary<string, int> floors, string path) =>
        floors.Keys.FirstOrDefault(room => path.StartsWith(room + "/", StringComparison.Ordinal));

    private static IEnumerable<string> SourceFiles(string project) => Directory.GetFiles(Source(project), "*.cs", SearchOption.AllDirectories)
        .Select(file => Path.GetRelativePath(Source(project), file))
        .Where(file => file.Split('/')[0] is not ("bin" or "obj"));

    private static string Source(string project, string relative = "") => RepositoryRoot.Find(Path.Combine("src", project, relative));

    [GeneratedRegex("^namespace (?<name>[A-Za-z.]+);", RegexOptions.ExplicitCapture | RegexOptions.Multiline, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Namespace();
}
