using System.Globalization;
using ImageAccess.Proxy.Policies.Decisions;

namespace ImageAccess.Proxy.Tests.Policies.Decisions;

public sealed class DenialTextTests
{
    private const string Message = "image access denied: community images not allowed";

    [Theory]
    [InlineData(null, null, Message)]
    [InlineData(null, "mail images@example.com", Message + " (mail images@example.com)")]
    [InlineData("2026-11-01", null, Message + " (approval ended 2026-11-01)")]
    [InlineData("2024-02-29", "问平台组", Message + " (approval ended 2024-02-29; 问平台组)")]
    public void It_says_why_since_when_and_whom_to_ask(string? ended, string? help, string text) => Assert.Equal(text, Text(ended, help).ToString());

    [Theory]
    [InlineData("mail images@example.com", "mail images@example.com")]
    [InlineData("see https://it.example.com/images?team=a#new.", "see https://it.example.com/images?team=a#new.")]
    // What is not printable ASCII has no place there; an address in it has.
    [InlineData("请到https://access.example.com/request申请", "https://access.example.com/request")]
    [InlineData("Frag Jürgen oder http://wiki.example.com/Images_(neu), Tür 4", "http://wiki.example.com/Images_")]
    [InlineData("línea 1\r\n<https://example.com/a?b=c>.", "https://example.com/a?b=c")]
    [InlineData("zuständig: https://example.com/.", "https://example.com/")]
    [InlineData("问平台组", null)]
    [InlineData("öffne https://", null)]
    [InlineData("one\nline", null)]
    public void A_short_place_has_whom_to_ask_or_the_address_alone(string help, string? there)
    {
        Assert.Equal(there is null ? Message : $"{Message} ({there})", Text(null, help).Within(200));
        Assert.Equal(there is null ? $"{Message} (approval ended 2026-11-01)" : $"{Message} (approval ended 2026-11-01; {there})", Text("2026-11-01", help).Within(200));
    }

    [Theory]
    [InlineData(null, "ask in #platform", 200, " (ask in #platform); see https://images.example.com/d/1")]
    [InlineData("2026-11-01", "ask in #platform", 200, " (approval ended 2026-11-01; ask in #platform); see https://images.example.com/d/1")]
    [InlineData("2026-11-01", "问平台组", 200, " (approval ended 2026-11-01); see https://images.example.com/d/1")]
    [InlineData(null, "ask in #platform", 104, " (ask in #platform); see https://images.example.com/d/1")]
    [InlineData(null, "ask in #platform", 103, "; see https://images.example.com/d/1")]
    [InlineData(null, null, 85, "; see https://images.example.com/d/1")]
    [InlineData(null, null, 84, "")]
    [InlineData(null, "ask in #platform", 84, " (ask in #platform)")]
    public void The_page_comes_before_whom_to_ask_where_both_do_not_fit(string? ended, string? help, int length, string after)
    {
        var text = Text(ended, help) with { Page = "https://images.example.com/d/1" };
        Assert.Equal(Message + after, text.Within(length));
        Assert.EndsWith("; see https://images.example.com/d/1", text.ToString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(200, "whole")]
    [InlineData(199, "address")]
    [InlineData(73, "address")]
    [InlineData(72, "message")]
    public void What_does_not_fit_gives_way_to_what_does(int length, string what)
    {
        const string Address = "https://a.example.com";
        var text = Text(null, new string('x', 126) + " " + Address);

        Assert.Equal(200, text.ToString().Length);
        Assert.Equal(what switch { "whole" => text.ToString(), "address" => $"{Message} ({Address})", _ => Message }, text.Within(length));
    }

    [Theory]
    [InlineData("CVE-2026-1", "ask in #platform", "CVE-2026-1; ask in #platform", "CVE-2026-1; ask in #platform")]
    [InlineData("CVE-2026-1", null, "CVE-2026-1", "CVE-2026-1")]
    [InlineData("供应链攻击", "ask in #platform", "供应链攻击; ask in #platform", "ask in #platform")]
    [InlineData("CVE-2026-1", "问平台组", "CVE-2026-1; 问平台组", "CVE-2026-1")]
    public void It_says_why_something_is_blocked_where_that_can_be_said(string reason, string? help, string all, string within)
    {
        var text = new DenialText("image access denied: nginx is blocked", reason, help);
        Assert.Equal($"image access denied: nginx is blocked ({all})", text.ToString());
        Assert.Equal($"image access denied: nginx is blocked ({within})", text.Within(200));
    }

    [Fact]
    public void A_reason_that_is_too_long_for_a_short_place_gives_way_to_whom_to_ask()
    {
        var text = new DenialText("image access denied: nginx is blocked", new string('x', 170), "ask in #platform");
        Assert.Equal("image access denied: nginx is blocked (ask in #platform)", text.Within(200));
        Assert.Equal("image access denied: nginx is blocked", text.Within(40));
    }

    private static DenialText Text(string? ended, string? help) =>
        new(Message, ended is null ? null : DateOnly.ParseExact(ended, "yyyy-MM-dd", CultureInfo.InvariantCulture), help);
}
