using System.Net;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Foundation.Limits;

namespace ImageAccess.Proxy.Policies.Catalog;

/// <summary>Whose allowance of questions to the catalog a decision may use up, and whose turn it is where questions wait.</summary>
public readonly record struct CatalogPayer
{
    private string? User { get; init; }

    private IPAddress? Address { get; init; }

    private bool IsNamespace { get; init; }

    /// <summary>Nobody knows who is behind it, nor how many.</summary>
    internal bool IsAddress => User is null && !IsNamespace;

    /// <summary>Each namespace has an allowance of its own: an administrator who checks images may ask for more than a client may.</summary>
    public static CatalogPayer Namespace => new() { IsNamespace = true };

    /// <summary>Whoever asks by the HTTP API: with a member's token nobody uses up what all pulls share.</summary>
    public static CatalogPayer Api(string name) => new() { User = $"api {name}" };

    /// <summary>For questions that no request caused.</summary>
    internal static CatalogPayer Refresh => new() { User = "refresh" };

    /// <summary>The user; for an anonymous caller the address.</summary>
    public static CatalogPayer Client(Caller caller, IPAddress? address) => new() { User = caller.Subject, Address = address };

    /// <summary>Made when a question is to be asked: most requests ask none.</summary>
    internal ClientShare ShareFor(string @namespace) => this switch
    {
        { IsNamespace: true } => ClientShare.OfUser($"check of {@namespace}"),
        { User: { } user } => ClientShare.OfUser($"user {user}"),
        _ => ClientShare.Of(Address),
    };
}
