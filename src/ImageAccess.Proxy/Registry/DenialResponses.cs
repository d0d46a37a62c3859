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
/// The one place that words a denial for the client in front of it. Every client gets the message in the reason phrase
/// and in the body; a mirror's client also gets the answer at which it is known to give up, where one is known:
/// after any other it would quietly pull the denied image from Docker Hub. Under Docker Hub's own names there is nothing to hold.
/// </summary>
public sealed class DenialResponses(IOptions<MirrorOptions> options)
{
    public const string DecisionHeader = "X-ImageAccess-Decision";

    private const string Denied = "DENIED";
    private const string ImageIndex = "application/vnd.oci.image.index.v1+json";
    private const string ImageManifest = "application/vnd.oci.image.manifest.v1+json";

    private static readonly string ZeroDigest = "sha256:" + new string('0', 64);

    public Task WriteAsync(
        HttpContext http, RegistryFace face, RepositoryRequest request, AccessDecision decision, string decisionId, string policyVersion)
    {
        http.Response.Headers[DecisionHeader] = decisionId;
        var family = ClientFamilies.Of(http.Request.Headers.UserAgent);
        var holds = options.Value.Hold && !face.IsDockerHub;
        if (holds && request is ManifestRequest { Action: RegistryAction.Pull } manifest && TryHold(http, manifest, family, MessageOf(decision), out var held))
            return held;

        var code = family == ClientFamily.ClassicDocker && request is ManifestRequest ? "UNKNOWN" : Denied; // for anything else it would try six times
        return DenyAsync(http, request.Repository, decision, decisionId, policyVersion, code, isFinal: holds && EndsHold(request, family));
    }

    /// <summary>A token for a denied repository: the client shows this of it, and asks for nothing more.</summary>
    public static Task WriteTokenAsync(HttpContext http, RepositoryName repository, AccessDecision decision, string decisionId, string policyVersion)
    {
        http.Response.Headers[DecisionHeader] = decisionId;
        return DenyAsync(http, repository, decision, decisionId, policyVersion, Denied, isFinal: false);
    }

    /// <param name="code">The code of a denial that is one.</param>
    /// <param name="isFinal">Also what cannot be told for now is denied.</param>
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

    /// <summary>The answer at which a family gives up on a mirror's image, where one is known.</summary>
    private static bool TryHold(
        HttpContext http, ManifestRequest request, ClientFamily family, string message, [NotNullWhen(true)] out Task? answer)
    {
        answer = (family, request) switch
        {
            (ClientFamily.ClassicDocker, _) => RefuseAsync(500, " (no such process)"),
            (ClientFamily.Containerd, { NamesDockerHub: true, Method: "HEAD", Reference.IsTag: true }) => PromiseIndexAsync(),
            (ClientFamily.Containerd, { NamesDockerHub: true, Method: "HEAD" }) => RefuseAsync(300, ""),
            (ClientFamily.Containers, { Method: "GET", Reference.IsTag: true }) => WriteHollowManifestAsync(http),
            _ => null,
        };
        return answer is not null;

        Task RefuseAsync(int status, string suffix)
        {
            ErrorBody.SetPhrase(http, message, suffix);
            return ErrorBody.WriteAsync(http, status, "UNKNOWN", message, null);
        }

        // By tag only: a client that is told 200 for a digest would use the content that it has.
        Task PromiseIndexAsync()
        {
            http.Response.Headers["Docker-Content-Digest"] = ZeroDigest;
            ErrorBody.SetPhrase(http, message);
            return ErrorBody.WriteAsync(http, 200, ImageIndex, new byte[512]);
        }
    }

    /// <summary>What a held client asks for next: a 403 ends its pull, whatever the rule; after a 503 it may try again.</summary>
    private static bool EndsHold(RepositoryRequest request, ClientFamily family) => (family, request) is
        (ClientFamily.Containerd, ManifestRequest { NamesDockerHub: true, Method: "GET" }) or (ClientFamily.Containers, BlobRequest { Method: "GET" });

    /// <summary>A valid manifest of content that nobody has: its blobs are denied when they are asked for, with the message.</summary>
    private static Task WriteHollowManifestAsync(HttpContext http)
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
