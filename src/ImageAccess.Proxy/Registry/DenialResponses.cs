using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using ImageAccess.Core.Classification;
using ImageAccess.Core.Oci;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Policies.Decisions;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Registry;

/// <summary>
/// Answers a denied request in the form that its client understands. Every client gets the message in the reason phrase and in the body.
/// A mirror's client falls back to Docker Hub after most errors, and would pull the denied image there; so it gets the answer, where one
/// is known, after which it gives up: it is held. Under Docker Hub's own names a client has no other registry, and nothing is held.
/// </summary>
public sealed class DenialResponses(IOptions<MirrorOptions> options)
{
    public const string DecisionHeader = "X-ImageAccess-Decision";

    private const string Denied = "DENIED";
    private const string ImageIndex = "application/vnd.oci.image.index.v1+json";
    private const string ImageManifest = "application/vnd.oci.image.manifest.v1+json";

    private static readonly string ZeroDigest = "sha256:" + new string('0', 64);

    public Task WriteAsync(
        HttpContext http, RegistryAddress address, RepositoryRequest request, AccessDecision decision, string decisionId, string policyVersion)
    {
        http.Response.Headers[DecisionHeader] = decisionId;
        var family = ClientFamilies.Of(http.Request.Headers.UserAgent);
        var holds = options.Value.Hold && !address.IsDockerHub;
        if (holds && request is ManifestRequest { Action: RegistryAction.Pull } manifest && TryHold(http, manifest, family, MessageOf(decision), out var held))
            return held;

        var code = family == ClientFamily.ClassicDocker && request is ManifestRequest ? "UNKNOWN" : Denied; // for anything else it would try six times
        return DenyAsync(http, request.Repository, decision, decisionId, policyVersion, code, isFinal: holds && EndsHold(request, family));
    }

    /// <summary>Answers a request for a token of a denied repository; the client shows the message and asks no further.</summary>
    public static Task WriteTokenAsync(HttpContext http, RepositoryName repository, AccessDecision decision, string decisionId, string policyVersion)
    {
        http.Response.Headers[DecisionHeader] = decisionId;
        return DenyAsync(http, repository, decision, decisionId, policyVersion, Denied, isFinal: false);
    }

    /// <param name="code">The error's code when the answer is 403.</param>
    /// <param name="isFinal">The answer is 403 even when the publisher could not be verified for now, which is 503 otherwise.</param>
    private static Task DenyAsync(
        HttpContext http, RepositoryName repository, AccessDecision decision, string decisionId, string policyVersion, string code, bool isFinal)
    {
        var message = MessageOf(decision);
        var unavailable = decision.Rule == PolicyRule.Unknown && !isFinal;
        ErrorBody.SetPhrase(http, message);
        return ErrorBody.WriteAsync(
            http,
            unavailable ? 503 : 403,
            unavailable ? "UNAVAILABLE" : code,
            DenialText.Explain(message, decision.Help),
            json => WriteDetail(json, repository, decision, decisionId, policyVersion));
    }

    private static string MessageOf(AccessDecision decision) => decision.Message ?? throw new InvalidOperationException("A denial has a message.");

    /// <summary>The answer after which this family of clients gives up and does not fall back to Docker Hub, where one is known.</summary>
    private static bool TryHold(
        HttpContext http, ManifestRequest request, ClientFamily family, string message, [NotNullWhen(true)] out Task? answer)
    {
        answer = (family, request) switch
        {
            (ClientFamily.ClassicDocker, _) => RefuseAsync(500, " (no such process)"),
            (ClientFamily.Containerd, { NamesDockerHub: true, Method: "HEAD", Reference.IsTag: true }) => AnswerUnknownIndexAsync(),
            (ClientFamily.Containerd, { NamesDockerHub: true, Method: "HEAD" }) => RefuseAsync(300, ""),
            (ClientFamily.Containers, { Method: "GET", Reference.IsTag: true }) => WriteManifestWithoutContentAsync(http),
            _ => null,
        };
        return answer is not null;

        Task RefuseAsync(int status, string suffix)
        {
            ErrorBody.SetPhrase(http, message, suffix);
            return ErrorBody.WriteAsync(http, status, "UNKNOWN", message, null);
        }

        // An index with a digest that no content has: the client asks for it by GET, which is denied. By tag only: after a 200 for a digest
        // the client would use the content that it has already.
        Task AnswerUnknownIndexAsync()
        {
            http.Response.Headers["Docker-Content-Digest"] = ZeroDigest;
            ErrorBody.SetPhrase(http, message);
            return ErrorBody.WriteAsync(http, 200, ImageIndex, new byte[512]);
        }
    }

    /// <summary>Whether this is what a held client asks for next. The answer must be a 403, which ends the pull: after a 503 the client may try again.</summary>
    private static bool EndsHold(RepositoryRequest request, ClientFamily family) => (family, request) is
        (ClientFamily.Containerd, ManifestRequest { NamesDockerHub: true, Method: "GET" }) or (ClientFamily.Containers, BlobRequest { Method: "GET" });

    /// <summary>Answers with a valid manifest whose blobs do not exist: the client asks for them, and that is denied with the message.</summary>
    private static Task WriteManifestWithoutContentAsync(HttpContext http)
    {
        var manifest = Encoding.ASCII.GetBytes(string.Create(
            CultureInfo.InvariantCulture,
            $$"""
            {"schemaVersion":2,"mediaType":"{{ImageManifest}}","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{{RandomDigest()}}","size":512},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":"{{RandomDigest()}}","size":512}]}
            """));
        http.Response.Headers["Docker-Content-Digest"] = $"sha256:{Convert.ToHexStringLower(SHA256.HashData(manifest))}";
        return ErrorBody.WriteAsync(http, 200, ImageManifest, manifest);
    }

    private static string RandomDigest() => $"sha256:{RandomNumberGenerator.GetHexString(64, lowercase: true)}";

    private static void WriteDetail(Utf8JsonWriter json, RepositoryName repository, AccessDecision decision, string decisionId, string policyVersion)
    {
        json.WriteStartObject();
        json.WriteString("decision"u8, decisionId);
        json.WriteString("repository"u8, repository.Value);
        json.WriteString("category"u8, decision.Classification.Category.ToWireName());
        json.WriteString("rule"u8, decision.Rule);
        json.WriteString("policyVersion"u8, policyVersion);
        json.WriteEndObject();
    }
}
