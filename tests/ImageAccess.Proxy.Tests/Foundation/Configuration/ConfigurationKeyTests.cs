using ImageAccess.Proxy.Foundation.Configuration;

namespace ImageAccess.Proxy.Tests.Foundation.Configuration;

public sealed class ConfigurationKeyTests
{
    [Theory]
    [InlineData("30s", "00:00:30")]
    [InlineData("5m", "00:05:00")]
    [InlineData("12h", "12:00:00")]
    [InlineData("7d", "7.00:00:00")]
    public void A_duration_is_a_number_and_a_unit(string text, string duration) =>
        Assert.Equal(duration, new ConfigurationKey("Any:Time", ConfigurationKind.Duration).Normalize(text, "/"));

    [Theory]
    [InlineData("")]
    [InlineData("7")]
    [InlineData("0s")]
    [InlineData("d")]
    [InlineData("-7d")]
    [InlineData("7 d")]
    [InlineData("7D")]
    [InlineData("1.5h")]
    [InlineData("7.00:00:00")]
    [InlineData("1000000d")]
    public void Nothing_else_is_a_duration(string text)
    {
        var refused = Assert.Throws<FormatException>(() => new ConfigurationKey("Any:Time", ConfigurationKind.Duration).Normalize(text, "/"));
        Assert.Equal($"'{text}' is not a duration, as 30s, 5m, 12h or 7d", refused.Message);
    }
}
