using ImageAccess.Proxy.Administration.Api;

namespace ImageAccess.Proxy.Tests.Administration.Api;

public sealed class QuestionPlacesTests : IDisposable
{
    private readonly QuestionPlaces _places = new(atOnce: 1, "others are being answered");

    public void Dispose() => _places.Dispose();

    [Fact]
    public async Task Equal_questions_have_one_answer_and_the_next_is_asked_anew()
    {
        var (asked, answer) = (0, new TaskCompletionSource<string>());
        Task<string> AskAsync() => _places.AskAsync("which", _ => Interlocked.Increment(ref asked) == 1 ? answer.Task : Task.FromResult("another"), default);
        var all = Enumerable.Range(0, 20).Select(_ => AskAsync()).ToList();
        answer.SetResult("one");
        Assert.All(await Task.WhenAll(all), one => Assert.Equal("one", one));
        Assert.Equal(1, asked);
        Assert.Equal("another", await AskAsync());
    }

    [Fact]
    public async Task Other_questions_wait_for_a_place()
    {
        var (first, second) = (new TaskCompletionSource<int>(), new TaskCompletionSource());
        var one = _places.AskAsync("one", _ => first.Task, default);
        var two = _places.AskAsync(
            "two",
            _ =>
            {
                second.SetResult();
                return Task.FromResult(2);
            },
            default);
        Assert.False(second.Task.IsCompleted);
        first.SetResult(1);
        Assert.Equal((1, 2), (await one, await two));
    }

    [Fact]
    public async Task Who_leaves_breaks_nothing_off_for_the_others_and_the_last_does()
    {
        using var leaves = new CancellationTokenSource();
        using var lastLeaves = new CancellationTokenSource();
        var (begun, ended) = (new TaskCompletionSource(), new TaskCompletionSource());
        async Task<int> AnswerAsync(CancellationToken end)
        {
            begun.SetResult();
            await using var _ = end.Register(ended.SetResult);
            await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, end);
            return 0;
        }

        var (one, last) = (_places.AskAsync("which", AnswerAsync, leaves.Token), _places.AskAsync("which", AnswerAsync, lastLeaves.Token));
        await begun.Task;
        await leaves.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => one);
        Assert.False(ended.Task.IsCompleted);
        await lastLeaves.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => last);
        await ended.Task;
        Assert.Equal(3, await _places.AskAsync("which", _ => Task.FromResult(3), default));
    }

    [Fact]
    public async Task A_failure_is_that_of_all_who_waited_and_of_nobody_else()
    {
        var answer = new TaskCompletionSource<int>();
        var all = Enumerable.Range(0, 3).Select(_ => _places.AskAsync("which", _ => answer.Task, default)).ToList();
        answer.SetException(new TimeoutException("no answer"));
        foreach (var one in all)
            Assert.Equal("no answer", (await Assert.ThrowsAsync<TimeoutException>(() => one)).Message);
        Assert.Equal(1, await _places.AskAsync("which", _ => Task.FromResult(1), default));
    }
}
