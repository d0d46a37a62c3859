using System.Collections.Immutable;
using System.Text.Json;
using System.Text.Json.Serialization;
using ImageAccess.Core.Hosts;
using ImageAccess.Core.Oci;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Foundation.Files;

namespace ImageAccess.Proxy.Policies.Following;

/// <summary>What was read last of each organization, in a file of the data directory. A person does not edit it.</summary>
internal sealed record FollowedCopy(ImmutableDictionary<string, KnownSwitches> Known)
{
    private const long MaximumSize = 4 * 1024 * 1024;

    private static readonly JsonSerializerOptions Json = new(ReadableJson.Web)
    {
        WriteIndented = true,
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
        AllowDuplicateProperties = false,
        RespectNullableAnnotations = true,
        RespectRequiredConstructorParameters = true,
    };

    /// <summary>What a start would begin with; what was kept and cannot be read allows nothing.</summary>
    public static FollowedSwitches Find(string dataDirectory, Policy policy)
    {
        var kept = Read(new FollowOptions { DataDirectory = dataDirectory }.CopyPath);
        return kept.Value is { } copy ? SwitchesOf(copy.Known)
            : kept.IsMissing ? FollowedSwitches.None
            : new(policy.Written.Organizations.Where(one => one.FollowsDockerHub).ToImmutableDictionary(one => one.Name, _ => HubSwitches.Closed));
    }

    public static ParsedFile<FollowedCopy> Read(string path) => new(new WholeFile(path, MaximumSize).Read(), Parse);

    public static FollowedSwitches SwitchesOf(ImmutableDictionary<string, KnownSwitches> known) => new(known.ToImmutableDictionary(one => one.Key, one => one.Value.Switches));

    public byte[] ToBytes() => JsonSerializer.SerializeToUtf8Bytes(
        new Written([.. Known.OrderBy(one => one.Key, StringComparer.Ordinal).Select(one => new Entry(one.Key, one.Value.Switches) { ReadAt = one.Value.ReadAt })]), Json);

    private static FollowedCopy? Parse(ReadOnlyMemory<byte> content, out IReadOnlyList<string> problems)
    {
        problems = [];
        try
        {
            var written = JsonSerializer.Deserialize<Written>(content.Span, Json) ?? throw new JsonException();
            if (written.Organizations.Any(entry => entry is null || !AccountName.IsNamespace(entry.Organization) || entry.Switches.Registries is { } registries && !IsOne(registries)))
                throw new JsonException();
            return new FollowedCopy(written.Organizations.ToImmutableDictionary(entry => entry!.Organization, entry => new KnownSwitches(entry!.Switches, entry.ReadAt)));
        }
        catch (Exception exception) when (exception is JsonException or ArgumentException)
        {
            problems = ["it is not what was written"];
            return null;
        }
    }

    private static bool IsOne(RegistriesDocument registries) =>
        registries.Custom.Count <= RegistriesDocument.Maximum && registries.Custom.All(one => one is not null && RegistryPattern.TryParse(one.Address, out _));

    private sealed record Written(IReadOnlyList<Entry?> Organizations);

    private sealed record Entry(string Organization, HubSwitches Switches)
    {
        public DateTimeOffset? ReadAt { get; init; }
    }
}

/// <summary>An organization's switches as they are known.</summary>
/// <param name="ReadAt">When they were read; null where what was read is lost, and nothing is allowed that they could allow.</param>
internal sealed record KnownSwitches(HubSwitches Switches, DateTimeOffset? ReadAt);
