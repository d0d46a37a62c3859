using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Text.Json;
using ImageAccess.Core.Classification;
using ImageAccess.Core.Oci;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Foundation.Configuration;
using ImageAccess.Proxy.Policies.Decisions;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Registry;

/// <summary>
/// Answers a denied request in the form that its client understands. Every client gets the message in the reason phrase and in the body,
/// or in a warning where no body says it. A mirror's client falls back to Docker Hub after most errors, and would pull the denied image
/// there; so it gets the answer, where one is known, after which it gives up: it is held. Under Docker Hub's own names a client has no
/// other registry, and nothing is held.
/// </summary>
public sealed class DenialResponses(IOptions<MirrorOptions> options, IOptions<ConsoleOptions> console)
{
    public const string DecisionHeader = "X-ImageAccess-Decision";

    private const string Denied = "DENIED";
    private const string Unknown = "UNKNOWN";

    private readonly HeldTags _held = new();

    public Task WriteAsync(
        HttpContext http, RegistryAddress address, RepositoryRequest request, AccessDecision decision, string decisionId, string policyVersion, bool isOfContent = false)
    {
        http.Response.Headers[DecisionHeader] = decisionId;
        var denial = new Denial(request.Repository, decision, decisionId, policyVersion, PageOf(decisionId)) { MayBeWithinPull = isOfContent || decision.Rule == PolicyRule.Block };
        var family = ClientFamilies.Of(http.Request.Headers.UserAgent, request);
        if (HttpMethods.IsHead(request.Method) || SwallowsErrors(request, family))
            RegistryWarning.Add(http.Response, denial.Text.ToString());
        var holds = options.Value.Holds(family) && !address.IsDockerHub;
        if (holds && TryHold(http, request, family, denial, out var held))
            return held;

        var status = IsQuestionOfPush(request, family) ? 404
            : decision.Rule == PolicyRule.Unknown && !(holds && EndsHold(request, family)) ? 503
            : 403;
        var code = family == ClientFamily.ClassicDocker && request is ManifestRequest or TagsRequest ? Unknown : Denied; // for anything else it would try six times
        return DenyAsync(http, denial, status, code);
    }

    /// <summary>How the tag was denied, where this request is for what stands in for it; null where that is not known.</summary>
    public AccessDecision? FindHeld(RepositoryRequest request) => _held.Find(request.Subject);

    /// <summary>Answers a request for a token of a denied repository; the client shows the message and asks no further.</summary>
    public Task WriteTokenAsync(HttpContext http, RepositoryName repository, AccessDecision decision, string decisionId, string policyVersion)
    {
        http.Response.Headers[DecisionHeader] = decisionId;
        return DenyAsync(
            http, new Denial(repository, decision, decisionId, policyVersion, PageOf(decisionId)), decision.Rule == PolicyRule.Unknown ? 503 : 403, Denied);
    }

    private string? PageOf(string decisionId) => console.Value.PageOfDenial(decisionId);

    /// <param name="http">The exchange with the client.</param>
    /// <param name="denial">What is denied, and why.</param>
    /// <param name="status">503 when the publisher could not be verified for now: the client may try again.</param>
    /// <param name="code">The error's code when the status is not 503.</param>
    /// <param name="suffix">What the reason phrase ends with.</param>
    private static Task DenyAsync(HttpContext http, Denial denial, int status, string code, string suffix = "")
    {
        SetPhrase(http, denial, suffix);
        return ErrorBody.WriteAsync(http, status, status == 503 ? "UNAVAILABLE" : code, denial.Text.ToString(), denial.WriteDetail);
    }

    private static void SetPhrase(HttpContext http, Denial denial, string suffix = "") =>
        ErrorBody.SetPhrase(http, denial.Text.Within(ErrorBody.MaximumPhrase - suffix.Length), suffix);

    /// <summary>
    /// The answer after which this family of clients gives up and does not fall back to Docker Hub, where one is known. A block, and a denial of
    /// what is not approved of a repository, may come in the middle of a pull, or be for a part of an image: then classic docker tries a blob six times, and the containerd family gets nothing
    /// in the place of the content that it asks for by digest, and refuses that.
    /// </summary>
    private bool TryHold(
        HttpContext http, RepositoryRequest request, ClientFamily family, Denial denial, [NotNullWhen(true)] out Task? answer)
    {
        answer = (family, request) switch
        {
            (ClientFamily.ClassicDocker, ManifestRequest { Action: RegistryAction.Pull } or TagsRequest) => DenyAsync(http, denial, 500, Unknown, " (no such process)"),
            (ClientFamily.Containerd, ManifestRequest { NamesDockerHub: true, Method: "HEAD", Reference.IsTag: true }) => AnswerUnknownIndexAsync(),
            (ClientFamily.Containerd, ManifestRequest { NamesDockerHub: true, Method: "HEAD" }) => DenyAsync(http, denial, 300, Unknown),
            (ClientFamily.Containers, ManifestRequest { Method: "GET" } manifest) when !NamesNoContent(manifest) => AnswerStandInIndexAsync(),
            (ClientFamily.ClassicDocker, BlobRequest) when denial.MayBeWithinPull => DenyAsync(http, denial, 500, Unknown, " (no such process)"),
            (ClientFamily.Containerd, { NamesDockerHub: true, Method: "GET" } and (BlobRequest or ManifestRequest { Reference.IsTag: false }))
                when denial.MayBeWithinPull && !NamesNoContent(request) => AnswerNothingAsync(),
            _ => null,
        };
        return answer is not null;

        // An index with a digest that no content has: the client asks for it by GET, which is denied. By tag only: after a 200 for a digest
        // the client would use the content that it has already.
        Task AnswerUnknownIndexAsync()
        {
            http.Response.Headers["Docker-Content-Digest"] = _held.Hold(denial.Decision);
            SetPhrase(http, denial);
            return ErrorBody.WriteAsync(http, 200, StandInIndex.MediaType, new byte[512]);
        }

        // No byte of other content either: the client would keep it, and ask for the rest when the block is lifted.
        Task AnswerNothingAsync()
        {
            SetPhrase(http, denial);
            return ErrorBody.WriteAsync(http, 200, "application/octet-stream", ReadOnlyMemory<byte>.Empty);
        }

        // By digest too: the client takes this registry for the one that has the image, and refuses an index with another digest.
        Task AnswerStandInIndexAsync()
        {
            var index = new StandInIndex(_held.Hold(denial.Decision), denial.Text.ToString(), denial.DecisionId);
            http.Response.Headers["Docker-Content-Digest"] = index.Digest;
            return ErrorBody.WriteAsync(http, 200, StandInIndex.MediaType, index.Bytes);
        }
    }

    /// <summary>Whether this is what a held client asks for next. The answer must be a 403, which ends the pull: after a 503 the client may try again.</summary>
    private static bool EndsHold(RepositoryRequest request, ClientFamily family) => (family, request) is
        (ClientFamily.Containerd, ManifestRequest { NamesDockerHub: true, Method: "GET" }) or (ClientFamily.Containers, ManifestRequest { Method: "GET" });

    /// <summary>Whether it asks for the image that a stand-in index names.</summary>
    private static bool NamesNoContent(RepositoryRequest request) => HeldTags.IsStandIn(request.Subject);

    /// <summary>Whether some command of the client drops the error of this request, as <c>COPY --from=IMAGE</c> of buildah does. A warning is shown nevertheless.</summary>
    private static bool SwallowsErrors(RepositoryRequest request, ClientFamily family) =>
        family == ClientFamily.Containers && request is ManifestRequest { Method: "GET" };

    /// <summary>
    /// Whether a client that pushes asks so which blobs are there already. After 403 it shows the status alone; after 404 it begins to upload,
    /// and shows the message with which that is denied. Every blob of the repository is answered so, whether it exists or not.
    /// </summary>
    private static bool IsQuestionOfPush(RepositoryRequest request, ClientFamily family) =>
        request is BlobRequest { Method: "HEAD" } && family is ClientFamily.Containers or ClientFamily.GoContainerRegistry;

    private sealed record Denial(RepositoryName Repository, AccessDecision Decision, string DecisionId, string PolicyVersion, string? Page)
    {
        public DenialText Text { get; } = DenialText.Of(Decision) with { Page = Page };

        /// <summary>It may come in the middle of a pull, or for a part of an image.</summary>
        public bool MayBeWithinPull { get; init; }

        public void WriteDetail(Utf8JsonWriter json)
        {
            json.WriteStartObject();
            json.WriteString("decision"u8, DecisionId);
            json.WriteString("repository"u8, Repository.Value);
            json.WriteString("category"u8, Decision.Classification.Category.ToWireName());
            json.WriteString("rule"u8, Decision.Rule);
            json.WriteString("policyVersion"u8, PolicyVersion);
            if (Decision.ApprovalEnded is { } day)
                json.WriteString("approvalEnded"u8, day.ToString("yyyy-MM-dd", CultureInfo.InvariantCulture));
            json.WriteEndObject();
        }
    }
}
