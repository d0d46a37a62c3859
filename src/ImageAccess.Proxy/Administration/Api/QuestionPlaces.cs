namespace ImageAccess.Proxy.Administration.Api;

/// <summary>Questions that may read millions of rows: few are answered at once, and who would wait long is told to come again.</summary>
/// <param name="atOnce">How many.</param>
/// <param name="busy">What the others are, in a sentence.</param>
internal sealed class QuestionPlaces(int atOnce, string busy) : IDisposable
{
    private static readonly TimeSpan LongestWait = TimeSpan.FromSeconds(5);

    private readonly SemaphoreSlim _places = new(atOnce);

    /// <exception cref="ProblemException">503: the others have not ended in time.</exception>
    public async Task<T> AskAsync<T>(Func<Task<T>> ask, CancellationToken cancellationToken)
    {
        if (!await _places.WaitAsync(LongestWait, cancellationToken))
            throw new ProblemException(new Problem(503, $"{busy}, try again")) { RetryAfter = LongestWait };
        try
        {
            return await ask();
        }
        finally
        {
            _places.Release();
        }
    }

    public void Dispose() => _places.Dispose();
}
