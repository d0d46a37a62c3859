using ImageAccess.Proxy.Foundation.Files;
using Microsoft.AspNetCore.WebUtilities;

namespace ImageAccess.Proxy.Administration.Api;

/// <summary>Why there is no answer (RFC 9457). Its type is <c>about:blank</c>: the status says what kind it is.</summary>
/// <param name="Status">The HTTP status.</param>
/// <param name="Detail">What is wrong, in a sentence, and what to do.</param>
internal sealed record Problem(int Status, string Detail)
{
    public const string MediaType = "application/problem+json";

    public string Title => ReasonPhrases.GetReasonPhrase(Status);

    /// <summary>What is wrong with which member of the body or parameter of the query.</summary>
    public IReadOnlyList<Mistake>? Errors { get; init; }

    public async Task WriteAsync(HttpResponse response)
    {
        response.StatusCode = Status;
        if (ApiRoutes.IsDockers(response.HttpContext.Request.Path))
            await response.WriteAsJsonAsync(new DockersError(Detail, Detail), JsonBody.Options, JsonBody.MediaType, CancellationToken.None);
        else
            await response.WriteAsJsonAsync(this, JsonBody.Options, MediaType, CancellationToken.None);
    }
}

/// <summary>The same in the shape of Docker's own API: of its two members some clients read the one, some the other.</summary>
internal sealed record DockersError(string Message, string Detail);

/// <param name="Member">As the request writes it.</param>
/// <param name="Detail">What is wrong with it.</param>
internal sealed record Mistake(string Member, string Detail);

/// <summary>There is no answer, and why.</summary>
internal sealed class ProblemException(Problem problem) : Exception(problem.Detail)
{
    public Problem Problem { get; } = problem;

    /// <summary>Null where trying again does not help.</summary>
    public TimeSpan? RetryAfter { get; init; }

    /// <summary>What signs people and programs in is in the database.</summary>
    public static ProblemException NotReady() =>
        new(new Problem(503, "the database is not ready yet: /readyz of the admin listener says why")) { RetryAfter = TimeSpan.FromSeconds(5) };

    /// <summary>What is not there, and what belongs to others, is answered alike.</summary>
    public static ProblemException NotFound(string what) => new(new Problem(404, $"there is no {what}"));

    public static ProblemException Bad(string detail) => new(new Problem(400, detail));

    public static ProblemException Bad(IReadOnlyList<Mistake> mistakes) =>
        new(new Problem(400, PrintableText.ListOf([.. mistakes.Select(mistake => $"{mistake.Member} {mistake.Detail}")], 3)) { Errors = mistakes });
}
