using System.Text.Json;

namespace ImageAccess.Proxy.Callers.Identity;

/// <summary>
/// The <c>access</c> claim: for each repository the actions granted (distribution, "Docker Registry v2 authentication via
/// central service"). A list that is null is empty: Go writes one so.
/// </summary>
internal static class AccessList
{
    public static bool TryRead(JsonElement payload, out IReadOnlyDictionary<string, GrantedActions> grants)
    {
        var found = new Dictionary<string, GrantedActions>(StringComparer.Ordinal);
        grants = found;
        if (!payload.TryGetProperty("access", out var list) || list.ValueKind == JsonValueKind.Null)
            return true;
        if (list.ValueKind != JsonValueKind.Array)
            return false;

        foreach (var entry in list.EnumerateArray())
        {
            if (entry.ValueKind != JsonValueKind.Object
                || !entry.TryGetProperty("type", out var type)
                || type.ValueKind != JsonValueKind.String
                || !entry.TryGetProperty("name", out var name)
                || name.ValueKind != JsonValueKind.String
                || !TryReadActions(entry, out var actions))
            {
                return false;
            }

            if (!type.ValueEquals("repository") || actions == GrantedActions.None)
                continue;
            var repository = name.GetString()!;
            found[repository] = found.GetValueOrDefault(repository) | actions;
        }

        return true;
    }

    private static bool TryReadActions(JsonElement entry, out GrantedActions actions)
    {
        actions = GrantedActions.None;
        if (!entry.TryGetProperty("actions", out var list) || list.ValueKind == JsonValueKind.Null)
            return true;
        if (list.ValueKind != JsonValueKind.Array)
            return false;

        foreach (var action in list.EnumerateArray())
        {
            if (action.ValueKind != JsonValueKind.String)
                return false;
            actions |= action.GetString() switch
            {
                "pull" => GrantedActions.Pull,
                "push" => GrantedActions.Push,
                "delete" => GrantedActions.Delete,
                "*" => GrantedActions.All,
                _ => GrantedActions.None,
            };
        }

        return true;
    }
}
