using System.Collections.Frozen;
using System.Diagnostics.CodeAnalysis;
using System.Net;
using System.Text.Json;
using ImageAccess.Core.Classification;
using ImageAccess.Core.Oci;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Callers.Members;
using ImageAccess.Proxy.Policies.Catalog;
using ImageAccess.Proxy.Policies.Decisions;
using ImageAccess.Proxy.Policies.Store;

namespace ImageAccess.Proxy.Hosting;

/// <summary>
/// <c>GET /check?image=…&amp;as=…&amp;organization=…</c> on the admin listener: what the policy in force says about an image.
/// It tells what people may do, so it answers this machine alone. Nothing of it is audited or counted as a decision.
/// </summary>
internal sealed class CheckEndpoint(IPolicyStore policies, MembershipDirectory directory, PublisherCatalog catalog, TimeProvider time)
    : IDisposable
{
    /// <summary>Checks at once.</summary>
    private const int Room = 8;

    /// <summary>Characters of the query.</summary>
    private const int MaximumQuery = 2048;

    /// <summary>The catalog has an answer, or says that it has none, within this.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    private static readonly string[] Known = ["image", "as", "organization"];

    private static readonly FrozenSet<string> NoNamespaces = [];

    private readonly SemaphoreSlim _room = new(Room);

    public async Task HandleAsync(HttpContext http)
    {
        http.Response.Headers.CacheControl = "no-store";
        if (!IsOwnMachine(http))
        {
            await RefuseAsync(http, 403, "checks are answered on the machine of the proxy alone");
            return;
        }

        if (!TryRead(http.Request, out var image, out var caller, out var problem))
        {
            await RefuseAsync(http, 400, problem);
            return;
        }

        if (!await _room.WaitAsync(TimeSpan.Zero, http.RequestAborted))
        {
            await RefuseAsync(http, 503, "too many checks at once, try again");
            return;
        }

        try
        {
            await AnswerAsync(http, image, caller);
        }
        finally
        {
            _room.Release();
        }
    }

    public void Dispose() => _room.Dispose();

    private async Task AnswerAsync(HttpContext http, ImageName image, JudgedCaller judged)
    {
        if (policies.State?.Policy is not { } policy)
        {
            await RefuseAsync(http, 503, "no policy is in force yet");
            return;
        }

        if (!judged.TryResolve(policy, out var caller, out var problem))
        {
            await RefuseAsync(http, 400, $"{judged}: {problem}");
            return;
        }

        var verdict = ImageVerdict.OutsideOf(image);
        if (image.Repository is { } repository)
        {
            using var patience = new CancellationTokenSource(Patience, time);
            using var both = CancellationTokenSource.CreateLinkedTokenSource(patience.Token, http.RequestAborted);
            try
            {
                verdict = await JudgeAsync(policy, Describe(caller, policy), image, repository, both.Token);
            }
            catch (OperationCanceledException) when (patience.IsCancellationRequested)
            {
                await RefuseAsync(http, 503, $"the publisher of {repository.Namespace} could not be found in time, try again");
                return;
            }
        }

        await http.Response.WriteAsJsonAsync(
            new CheckAnswer(judged.ToString(), policy.IsEnabled, policy.Version, verdict), JsonSerializerOptions.Web, http.RequestAborted);
    }

    /// <summary>
    /// With what the directory says of the user. There is no token that names the account: it is the one that the directory knows
    /// by this name, and for a name that it does not know there is nothing to say.
    /// </summary>
    private Caller Describe(Caller caller, Policy policy) => caller.Name is { } name && directory.Book.Named(name) is { } account
        ? directory.Describe(Caller.SignedIn(name, account.Id, caller.Memberships), policy.Version)
        : caller;

    /// <summary>As a request is judged; but the category is found whether a rule needs it or not, for a person wants to know it.</summary>
    private async Task<ImageVerdict> JudgeAsync(
        Policy policy, Caller caller, ImageName image, RepositoryName repository, CancellationToken cancellationToken)
    {
        var today = DateOnly.FromDateTime(time.GetUtcNow().UtcDateTime);
        var decision = PolicyEngine.Decide(policy, caller, repository, PublisherFacts.NotAsked, today);
        var classification = decision.Classification;
        if (classification.Category == RepositoryCategory.Unknown && !repository.IsOfficial)
        {
            // Each question counts for itself: whoever asks here may ask for more than a client may.
            var publisher = await catalog.FindAsync(repository.Namespace, $"check of {repository.Namespace}", cancellationToken);
            decision = PolicyEngine.Decide(policy, caller, repository, publisher, today);
            classification = decision.Classification;
            if (classification.Category == RepositoryCategory.Unknown)
                classification = RepositoryClassifier.Classify(repository, NoNamespaces, publisher);
        }
        else if (classification.Category == RepositoryCategory.Unknown)
        {
            classification = RepositoryClassification.Official;
        }

        return ImageVerdict.Of(image, decision, classification, time.GetUtcNow());
    }

    /// <summary>
    /// A connection from this machine, addressed as such: a page of a browser here that had a name of its own lead to
    /// loopback would send that name.
    /// </summary>
    private static bool IsOwnMachine(HttpContext http)
    {
        var (remote, local) = (http.Connection.RemoteIpAddress, http.Connection.LocalIpAddress);
        var host = http.Request.Host.Host.Trim('[', ']');
        return remote is not null
            && (IPAddress.IsLoopback(remote) || remote.Equals(local))
            && (host == "localhost" || IPAddress.TryParse(host, out _));
    }

    private static bool TryRead(
        HttpRequest request, [NotNullWhen(true)] out ImageName? image, [NotNullWhen(true)] out JudgedCaller? caller, out string problem)
    {
        image = null;
        caller = null;
        problem = "";
        if (request.QueryString.Value is { Length: > MaximumQuery })
            problem = "the query is too long";
        else if (request.Query.Keys.FirstOrDefault(name => !Known.Contains(name)) is { } unknown)
            problem = $"unknown parameter {unknown}; known are {string.Join(", ", Known)}";
        else if (request.Query.FirstOrDefault(parameter => parameter.Value.Count > 1).Key is { } twice)
            problem = $"{twice} comes twice";
        else if (!ImageName.TryParse((string?)request.Query["image"], out image, out var flaw))
            problem = $"image {flaw}";
        else
            caller = new JudgedCaller((string?)request.Query["as"], (string?)request.Query["organization"]);
        return caller is not null;
    }

    private static Task RefuseAsync(HttpContext http, int status, string error)
    {
        http.Response.StatusCode = status;
        return http.Response.WriteAsJsonAsync(new CheckRefusal(error), JsonSerializerOptions.Web, http.RequestAborted);
    }
}
