using System.Text.Json;
using System.Text.Json.Serialization;

namespace ImageAccess.FakeHubs;

/// <summary>Users, organizations and images in a JSON file; <c>hub.json</c> beside this file is what is built in.</summary>
internal sealed record HubDocument(
    IReadOnlyList<HubDocument.User>? Users = null,
    IReadOnlyList<HubDocument.Organization>? Organizations = null,
    IReadOnlyList<HubDocument.Image>? Images = null)
{
    private static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web)
    {
        UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
        ReadCommentHandling = JsonCommentHandling.Skip,
        AllowTrailingCommas = true,
        RespectNullableAnnotations = true,
        RespectRequiredConstructorParameters = true,
    };

    /// <summary>The file's document; without a file, the one that is built in.</summary>
    public static async Task<HubDocument> ReadAsync(string? file)
    {
        await using var stream = file is not null
            ? File.OpenRead(file)
            : typeof(HubDocument).Assembly.GetManifestResourceStream("hub.json")!;
        return await JsonSerializer.DeserializeAsync<HubDocument>(stream, Json) ?? throw new JsonException("the document is null");
    }

    public async Task FillAsync(FakeHub hub)
    {
        foreach (var user in Users ?? [])
            hub.Users.Add(user.Name, user.Password, [.. user.AccessTokens ?? []]).Plan = user.Plan;

        foreach (var organization in Organizations ?? [])
        {
            hub.Users.AddOrganization(organization.Name, organization.Badge, [.. organization.AccessTokens ?? []]);
            foreach (var (member, role) in organization.Members ?? [])
                hub.Namespaces.Find(organization.Name)!.AddMember(member, role);
        }

        foreach (var image in Images ?? [])
        {
            var built = image.Build();
            foreach (var tag in image.Tags)
                await hub.PushAsync(image.Repository, tag, built);
            if (image.Private)
                hub.Images.MakePrivate(image.Repository, [.. image.Readers ?? []]);
        }
    }

    internal sealed record User(string Name, string Password, IReadOnlyList<string>? AccessTokens = null, string Plan = "free");

    internal sealed record Organization(
        string Name,
        string Badge = "",
        IReadOnlyList<string>? AccessTokens = null,
        Dictionary<string, string>? Members = null);

    internal sealed record Image(
        string Repository,
        IReadOnlyList<string> Tags,
        Dictionary<string, string> Files,
        IReadOnlyList<string>? Architectures = null,
        bool DockerMediaTypes = false,
        bool Private = false,
        IReadOnlyList<string>? Readers = null)
    {
        public BuiltImage Build()
        {
            var builder = new ImageBuilder().Command("/bin/sh").Label("org.opencontainers.image.title", Repository);
            foreach (var (path, text) in Files)
                builder.AddFile(path, text);
            if (DockerMediaTypes)
                builder.WithDockerMediaTypes();
            return Architectures is null ? builder.Build() : builder.BuildIndex(Architectures);
        }
    }
}
