using System.Text.Json;
using System.Text.Json.Serialization;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Foundation.Files;

namespace ImageAccess.Proxy.Callers.Members;

/// <summary>The last good lists on disk, for a start without Docker Hub. Names, ids and roles; no secret.</summary>
internal sealed class KeptMembers(string path)
{
    private const long MaximumSize = 512L * 1024 * 1024;

    private static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web)
    {
        Converters = { new JsonStringEnumConverter<OrganizationRole>(JsonNamingPolicy.CamelCase, allowIntegerValues: false) },
        RespectNullableAnnotations = true,
        RespectRequiredConstructorParameters = true,
    };

    public string Path { get; } = path;

    /// <summary>What was kept of these organizations; null where nothing was.</summary>
    /// <exception cref="IOException">It cannot be read, or is not what was written.</exception>
    public MemberBook? Read(IReadOnlyList<string> organizations)
    {
        var reading = new WholeFile(Path, MaximumSize).Read();
        if (reading.IsMissing)
            return null;
        var bytes = reading.Bytes ?? throw new IOException($"it {reading.Failure}");
        try
        {
            var kept = JsonSerializer.Deserialize<Document>(bytes.Span, Json) ?? throw new IOException("it holds nothing");
            var lists = kept.Lists.DistinctBy(list => list.Organization).ToLookup(list => organizations.Contains(list.Organization));
            var left = lists[false].SelectMany(
                list => list.Members, (list, member) => new FormerAccount(member.Username, member.Id, list.ReadAt));
            var former = kept.Former.Concat(left).DistinctBy(account => account.Username);
            return MemberBook.Of(
                lists[true],
                former.Select(account => new Account(account.Username, account.Id, [], account.LeftAt)),
                kept.Takeovers.DistinctBy(takeover => (takeover.Username, takeover.Id)));
        }
        catch (JsonException e)
        {
            throw new IOException("it is not what was written", e);
        }
    }

    /// <exception cref="IOException">It could not be written.</exception>
    public void Write(MemberBook book)
    {
        var former = book.Former.Select(account => new FormerAccount(account.Username, account.Id, account.LeftAt!.Value));
        var document = new Document([.. book.Lists.Values], [.. former], [.. book.Takeovers]);
        AtomicFile.Write(Path, file => JsonSerializer.Serialize(file, document, Json));
    }

    private sealed record Document(IReadOnlyList<MemberList> Lists, IReadOnlyList<FormerAccount> Former, IReadOnlyList<Takeover> Takeovers);

    private sealed record FormerAccount(string Username, string Id, DateTimeOffset LeftAt);
}
