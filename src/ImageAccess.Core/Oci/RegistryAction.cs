namespace ImageAccess.Core.Oci;

/// <summary>What a token must grant on a repository (distribution specification, token scope documentation).</summary>
public enum RegistryAction
{
    None,
    Pull,
    Push,
    Delete,
}

public static class RegistryActionNames
{
    /// <summary>The action as scopes and access lists write it.</summary>
    public static string ToScope(this RegistryAction action) => action switch
    {
        RegistryAction.Pull => "pull",
        RegistryAction.Push => "pull,push",
        RegistryAction.Delete => "delete",
        _ => throw new ArgumentOutOfRangeException(nameof(action), action, "no scope names this action"),
    };
}
