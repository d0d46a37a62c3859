using System.Globalization;

namespace ImageAccess.Core.Oci;

/// <summary>
/// A refusal in the words of the registry: a status and one entry of the <c>errors</c> list
/// (OCI distribution specification v1.1, "Error Codes").
/// </summary>
/// <param name="Status">The HTTP status.</param>
/// <param name="Code">The error's code.</param>
/// <param name="Message">What a person reads.</param>
public sealed record RegistryError(int Status, string Code, string Message)
{
    /// <summary>The methods that the endpoint knows, for a 405.</summary>
    public string? Allow { get; init; }

    public static RegistryError NameInvalid(string message) => new(400, "NAME_INVALID", message);

    public static RegistryError DigestInvalid(string message) => new(400, "DIGEST_INVALID", message);

    public static RegistryError TagInvalid(string message) => new(400, "TAG_INVALID", message);

    public static RegistryError Unsupported(string message) => new(400, "UNSUPPORTED", message);

    public static RegistryError TargetTooLong { get; } =
        new(414, "UNSUPPORTED", string.Create(CultureInfo.InvariantCulture, $"the request target is longer than {RegistryRequest.MaximumTarget / 1024} KiB"));

    public static RegistryError NoSuchEndpoint { get; } = new(404, "UNSUPPORTED", "no such endpoint");

    public static RegistryError MethodNotAllowed(string allow) =>
        new(405, "UNSUPPORTED", $"this endpoint answers {allow}") { Allow = allow };
}
