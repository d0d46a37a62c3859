using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Administration.Usage;

/// <summary>How long decisions can be asked about: the section <c>Usage</c>.</summary>
internal sealed class UsageOptions
{
    public const string Section = "Usage";

    /// <summary><c>Usage:Keep</c>: how long single decisions are kept.</summary>
    public TimeSpan Keep { get; set; } = TimeSpan.FromDays(180);

    /// <summary><c>Usage:KeepCounts</c>: how long the counts of a day are kept.</summary>
    public TimeSpan KeepCounts { get; set; } = TimeSpan.FromDays(3 * 365);

    public static UsageOptions Of(IConfiguration configuration) => configuration.GetSection(Section).Get<UsageOptions>() ?? new UsageOptions();

    public IEnumerable<string> Faults()
    {
        if (Keep < TimeSpan.FromDays(1))
            yield return "Usage:Keep: choose 1d or more, as 180d";
        if (KeepCounts < Keep)
            yield return "Usage:KeepCounts: choose as much as Usage:Keep or more, as 1095d";
    }
}

internal sealed class UsageOptionsValidation : IValidateOptions<UsageOptions>
{
    public ValidateOptionsResult Validate(string? name, UsageOptions options) =>
        options.Faults().ToList() is { Count: > 0 } faults ? ValidateOptionsResult.Fail(faults) : ValidateOptionsResult.Success;
}

/// <summary>Which days are kept at this moment. A day is its number since 1970, in UTC.</summary>
/// <param name="Today">This day.</param>
/// <param name="First">The first day of single decisions.</param>
/// <param name="FirstCounted">The first day of counts.</param>
internal sealed record UsageDays(int Today, int First, int FirstCounted)
{
    public const long Milliseconds = 86_400_000;

    /// <summary>Another replica's clock may be ahead; what is beyond has a clock that is wrong.</summary>
    public int Last => Today + 1;

    public static UsageDays At(DateTimeOffset now, UsageOptions options)
    {
        var today = Of(now.ToUnixTimeMilliseconds());
        return new UsageDays(today, Math.Max(0, today - (int)options.Keep.TotalDays), Math.Max(0, today - (int)options.KeepCounts.TotalDays));
    }

    public static int Of(long milliseconds) => (int)Math.Floor(milliseconds / (double)Milliseconds);

    public static DateTime DateOf(int day) => DateTime.UnixEpoch.AddDays(day);
}
