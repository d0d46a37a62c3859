using System.Text.Json;
using System.Text.Json.Serialization;
using ImageAccess.Core.Policies;

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
        try
        {
            using var file = File.OpenRead(Path);
            if (file.Length > MaximumSize)
                throw new IOException("it is larger than 512 MiB");
            var kept = JsonSerializer.Deserialize<Document>(file, Json) ?? throw new IOException("it holds nothing");
            var lists = kept.Lists.DistinctBy(list => list.Organization).ToLookup(list => organizations.Contains(list.Organization));
            var left = lists[false].SelectMany(
                list => list.Members, (list, member) => new FormerAccount(member.Username, member.Id, list.ReadAt));
            var former = kept.Former.Concat(left).DistinctBy(account => account.Username);
            return MemberBook.Of(
                lists[true],
                former.Select(account => new Account(account.Username, account.Id, [], account.LeftAt)),
                kept.Takeovers.DistinctBy(takeover => (takeover.Username, takeover.Id)));
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            return null;
        }
        catch (JsonException e)
        {
            throw new IOException("it is not what was written", e);
        }
        catch (UnauthorizedAccessException e)
        {
            throw new IOException(e.Message, e);
        }
    }

    /// <summary>Old or new, never a part: written aside, brought to disk, renamed.</summary>
    /// <exception cref="IOException">It could not be written.</exception>
    public void Write(MemberBook book)
    {
        try
        {
            Directory.CreateDirectory(System.IO.Path.GetDirectoryName(Path)!);
            var aside = Path + ".new";
            File.Delete(aside);
            using (var file = new FileStream(aside, CreateOptions()))
            {
                var former = book.Former.Select(account => new FormerAccount(account.Username, account.Id, account.LeftAt!.Value));
                JsonSerializer.Serialize(file, new Document([.. book.Lists.Values], [.. former], [.. book.Takeovers]), Json);
                file.Flush(flushToDisk: true);
            }

            File.Move(aside, Path, overwrite: true);
        }
        catch (UnauthorizedAccessException e)
        {
            throw new IOException(e.Message, e);
        }
    }

    private static FileStreamOptions CreateOptions()
    {
        var create = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write };
        if (!OperatingSystem.IsWindows())
            create.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        return create;
    }

    private sealed record Document(IReadOnlyList<MemberList> Lists, IReadOnlyList<FormerAccount> Former, IReadOnlyList<Takeover> Takeovers);

    private sealed record FormerAccount(string Username, string Id, DateTimeOffset LeftAt);
}
