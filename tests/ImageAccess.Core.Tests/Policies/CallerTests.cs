using ImageAccess.Core.Policies;

namespace ImageAccess.Core.Tests.Policies;

public sealed class CallerTests
{
    [Fact]
    public void An_anonymous_caller_is_nobody()
    {
        Assert.True(Caller.Anonymous.IsAnonymous);
        Assert.Equal((null, null, "anonymous"), (Caller.Anonymous.Name, Caller.Anonymous.Subject, Caller.Anonymous.DisplayName));
        Assert.Empty(Caller.Anonymous.Memberships);
    }

    [Theory]
    [InlineData("alice", "0ab7", "alice", "alice")]
    [InlineData("Alice", "0ab7", "alice", "alice")]
    [InlineData(null, "0ab7", null, "0ab7")]
    [InlineData("", "0ab7", null, "0ab7")]
    public void Who_signed_in_has_a_name_or_at_least_a_subject(string? name, string subject, string? known, string display)
    {
        var caller = Caller.SignedIn(name, subject);
        Assert.False(caller.IsAnonymous);
        Assert.Equal((known, subject, display), (caller.Name, caller.Subject, caller.DisplayName));
        Assert.Empty(caller.Memberships);
    }

    [Theory]
    [InlineData("")]
    [InlineData(null)]
    public void Without_a_subject_nobody_is_signed_in(string? subject) =>
        Assert.ThrowsAny<ArgumentException>(() => Caller.SignedIn("alice", subject!));
}
