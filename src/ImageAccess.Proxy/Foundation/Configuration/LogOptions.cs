using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Foundation.Configuration;

/// <summary>How the log is written: the section <c>Log</c>.</summary>
public sealed class LogOptions
{
    public const string Section = "Log";

    /// <summary>A line as people read it.</summary>
    public const string Text = "text";

    /// <summary>A JSON object a line.</summary>
    public const string Json = "json";

    /// <summary><see cref="Text"/> or <see cref="Json"/>.</summary>
    public string Format { get; set; } = Text;
}

internal sealed class LogOptionsValidator : IValidateOptions<LogOptions>
{
    public ValidateOptionsResult Validate(string? name, LogOptions options) => options.Format is LogOptions.Text or LogOptions.Json
        ? ValidateOptionsResult.Success
        : ValidateOptionsResult.Fail($"Log:Format: '{options.Format}' is neither {LogOptions.Text} nor {LogOptions.Json}");
}
