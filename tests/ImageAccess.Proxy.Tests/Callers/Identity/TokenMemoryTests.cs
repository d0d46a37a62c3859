using ImageAccess.Proxy.Callers.Identity;

namespace ImageAccess.Proxy.Tests.Callers.Identity;

public sealed class TokenMemoryTests
{
    private static readonly DateTimeOffset Now = IdentityRoom.Start;
    private static readonly DateTimeOffset Later = Now.AddMinutes(1);

    [Fact]
    public void It_never_holds_more_than_its_capacity()
    {
        var memory = new TokenMemory<string>(10_000);
        for (var i = 0; i < 50_000; i++)
        {
            memory.Add(Fingerprint.Of($"{i}"), $"{i}", Later);
            if (i % 1000 == 0)
                Assert.InRange(memory.Count, 1, 10_000);
        }

        Assert.InRange(memory.Count, 5_000, 10_000);
        Assert.False(memory.TryGet(Fingerprint.Of("0"), Now, out _));
        Assert.True(memory.TryGet(Fingerprint.Of("49999"), Now, out var last));
        Assert.Equal("49999", last);
    }

    [Fact]
    public void What_is_asked_for_stays()
    {
        var memory = new TokenMemory<string>(100);
        memory.Add(Fingerprint.Of("used"), "used", Later);
        for (var i = 0; i < 1000; i++)
        {
            memory.Add(Fingerprint.Of($"{i}"), $"{i}", Later);
            Assert.True(memory.TryGet(Fingerprint.Of("used"), Now, out _));
        }

        Assert.InRange(memory.Count, 50, 100);
    }

    [Fact]
    public void Nothing_is_remembered_past_its_end()
    {
        var memory = new TokenMemory<string>(2);
        memory.Add(Fingerprint.Of("a"), "a", Later);
        Assert.True(memory.TryGet(Fingerprint.Of("a"), Later.AddTicks(-1), out _));
        Assert.False(memory.TryGet(Fingerprint.Of("a"), Later, out _));

        memory.Add(Fingerprint.Of("b"), "b", Later); // now a is of the old generation
        Assert.False(memory.TryGet(Fingerprint.Of("a"), Later, out _));
        Assert.False(memory.TryGet(Fingerprint.Of("c"), Now, out _));
    }

    [Fact]
    public void What_is_added_again_is_as_added_last()
    {
        var memory = new TokenMemory<string>(10);
        memory.Add(Fingerprint.Of("a"), "first", Later);
        memory.Add(Fingerprint.Of("a"), "last", Later);

        Assert.True(memory.TryGet(Fingerprint.Of("a"), Now, out var value));
        Assert.Equal("last", value);
        Assert.Equal(1, memory.Count);
    }

    [Fact]
    public void A_fingerprint_is_the_hash_of_the_text()
    {
        // NIST's example: SHA-256 of "abc".
        Assert.Equal("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", Fingerprint.Of("abc").ToString());
        Assert.Equal(Fingerprint.Of("abc"), Fingerprint.Of("abc"u8));
        Assert.NotEqual(Fingerprint.Of("abc"), Fingerprint.Of("abd"));
    }

    [Fact]
    public async Task A_token_is_remembered_for_ten_minutes()
    {
        await using var room = await IdentityRoom.OpenAsync();
        var token = TokenForge.Docker.Token(room.Now, c => c["exp"] = room.Now.ToUnixTimeSeconds() + 3600);

        var first = await room.IdentifyAsync(token);
        room.Time.Advance(TimeSpan.FromMinutes(10) - TimeSpan.FromTicks(1));
        Assert.Same(first, await room.IdentifyAsync(token));
        Assert.Equal((1, 1), (room.Verified, room.Remembered));

        room.Time.Advance(TimeSpan.FromTicks(1));
        Assert.NotSame(first, await room.IdentifyAsync(token));
        Assert.Equal((2, 1), (room.Verified, room.Remembered));
    }

    [Fact]
    public async Task A_token_is_not_remembered_past_its_expiry()
    {
        await using var room = await IdentityRoom.OpenAsync();
        var token = TokenForge.Docker.Token(room.Now, c => c["exp"] = room.Now.ToUnixTimeSeconds() + 120);
        await room.IdentifyAsync(token);

        room.Time.Advance(TimeSpan.FromSeconds(119));
        await room.IdentifyAsync(token);
        Assert.Equal((1, 1), (room.Verified, room.Remembered));

        room.Time.Advance(TimeSpan.FromSeconds(1)); // expired, and good for the skew alone
        await room.IdentifyAsync(token);
        await room.IdentifyAsync(token);
        Assert.Equal((3, 1), (room.Verified, room.Remembered));

        room.Time.Advance(TimeSpan.FromSeconds(60));
        Assert.Equal(TokenFlaw.Expired, Assert.IsType<Identification.Invalid>(await room.IdentifyAsync(token)).Flaw);
    }

    [Fact]
    public async Task A_remembered_token_that_is_altered_is_another_token()
    {
        await using var room = await IdentityRoom.OpenAsync();
        var token = TokenForge.Docker.Token(room.Now);
        await room.IdentifyAsync(token);

        var altered = token[..^10] + (token[^10] == 'A' ? 'B' : 'A') + token[^9..];
        Assert.Equal(TokenFlaw.Signature, Assert.IsType<Identification.Invalid>(await room.IdentifyAsync(altered)).Flaw);
    }

    [Fact]
    public async Task A_refused_token_is_not_remembered_as_anything()
    {
        await using var room = await IdentityRoom.OpenAsync();
        await room.LearnAsync();
        var early = TokenForge.Docker.Token(room.Now, c => c["nbf"] = room.Now.ToUnixTimeSeconds() + 120);

        Assert.IsType<Identification.Invalid>(await room.IdentifyAsync(early));
        room.Time.Advance(TimeSpan.FromSeconds(60));
        Assert.IsType<Identification.Verified>(await room.IdentifyAsync(early));
    }

    [Fact]
    public async Task Another_key_empties_the_memory()
    {
        await using var room = await IdentityRoom.OpenAsync();
        var token = TokenForge.Docker.Token(room.Now);
        await room.IdentifyAsync(token);
        await room.IdentifyAsync(token);
        Assert.Equal((1, 1), (room.Verified, room.Remembered));

        room.Identifier.LearnFrom(TokenForge.Docker.Token(room.Now)); // the key that is known
        await room.IdentifyAsync(token);
        Assert.Equal((1, 2), (room.Verified, room.Remembered));

        room.Identifier.LearnFrom(TokenForge.Next.Token(room.Now));
        Assert.IsType<Identification.Verified>(await room.IdentifyAsync(token));
        Assert.Equal((2, 2), (room.Verified, room.Remembered));
    }

    [Fact]
    public async Task A_remembered_token_allocates_nothing()
    {
        await using var room = await IdentityRoom.OpenAsync();
        room.StopMeasuring(); // writing measurements down allocates
        var header = $"Bearer {TokenForge.Docker.Token(room.Now)}";
        await AllocatedByAsync(room.Identifier, header);

        Assert.InRange(await AllocatedByAsync(room.Identifier, header), 0, 1000);
    }

    /// <summary>By a thousand identifications; none of them waits, so all are on this thread.</summary>
    private static async Task<long> AllocatedByAsync(CallerIdentifier identifier, string header)
    {
        await identifier.IdentifyAsync(header, CancellationToken.None);
        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var i = 0; i < 1000; i++)
            await identifier.IdentifyAsync(header, CancellationToken.None);
        return GC.GetAllocatedBytesForCurrentThread() - before;
    }
}
