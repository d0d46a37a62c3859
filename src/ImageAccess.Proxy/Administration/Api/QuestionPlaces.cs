namespace ImageAccess.Proxy.Administration.Api;

/// <summary>
/// Questions that may read millions of rows: few are answered at once, and who would wait long is told to come again. Who asks what is being answered to
/// another at this moment gets the same answer.
/// </summary>
/// <param name="atOnce">How many.</param>
/// <param name="busy">What the others are, in a sentence.</param>
internal sealed class QuestionPlaces(int atOnce, string busy) : IDisposable
{
    private static readonly TimeSpan LongestWait = TimeSpan.FromSeconds(5);

    private readonly SemaphoreSlim _places = new(atOnce);
    private readonly Dictionary<string, Shared> _open = [];
    private readonly Lock _gate = new();

    /// <exception cref="ProblemException">503: the others have not ended in time.</exception>
    public async Task<T> AskAsync<T>(Func<CancellationToken, Task<T>> ask, CancellationToken cancellationToken)
    {
        if (!await _places.WaitAsync(LongestWait, cancellationToken))
            throw new ProblemException(new Problem(503, $"{busy}, try again")) { RetryAfter = LongestWait };
        try
        {
            return await ask(cancellationToken);
        }
        finally
        {
            _places.Release();
        }
    }

    /// <param name="question">All on which the answer depends, whoever may see what included: equal questions have one answer.</param>
    /// <param name="ask">Ends with the last who waits for it.</param>
    /// <param name="cancellationToken">Of one who waits.</param>
    /// <exception cref="ProblemException">503: the others have not ended in time.</exception>
    public async Task<T> AskAsync<T>(string question, Func<CancellationToken, Task<T>> ask, CancellationToken cancellationToken)
        where T : notnull
    {
        var shared = Join(question, async token => await AskAsync(ask, token));
        try
        {
            return (T)await shared.Answer.WaitAsync(cancellationToken);
        }
        finally
        {
            Leave(question, shared);
        }
    }

    public void Dispose() => _places.Dispose();

    private Shared Join(string question, Func<CancellationToken, Task<object>> ask)
    {
        lock (_gate)
        {
            if (!_open.TryGetValue(question, out var shared) || shared.Answer.IsCompleted)
                _open[question] = shared = new Shared(ask);
            shared.Readers++;
            return shared;
        }
    }

    private void Leave(string question, Shared shared)
    {
        lock (_gate)
        {
            if (--shared.Readers > 0)
                return;
            if (_open.GetValueOrDefault(question) == shared)
                _open.Remove(question);
        }

        shared.End.Cancel();
    }

    private sealed class Shared
    {
        public Shared(Func<CancellationToken, Task<object>> ask) => Answer = Task.Run(() => ask(End.Token));

        public CancellationTokenSource End { get; } = new();

        public Task<object> Answer { get; }

        public int Readers { get; set; }
    }
}
