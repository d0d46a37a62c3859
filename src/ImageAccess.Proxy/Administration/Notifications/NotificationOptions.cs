using System.Text;
using ImageAccess.Proxy.Foundation.Configuration;
using ImageAccess.Proxy.Foundation.Files;
using Microsoft.Extensions.Options;
using MimeKit;

namespace ImageAccess.Proxy.Administration.Notifications;

/// <summary>Who is told: the section <c>Notifications</c>. Nobody else is, whoever asks for it.</summary>
internal sealed class NotificationOptions
{
    public const string Section = "Notifications";

    /// <summary>By their numbers.</summary>
    public IDictionary<string, WebhookOptions> Webhooks { get; } = new SortedDictionary<string, WebhookOptions>(StringComparer.Ordinal);

    public MailOptions Mail { get; set; } = new();

    /// <summary><c>Data:Directory</c>.</summary>
    public string DataDirectory { get; set; } = "";

    /// <summary>How people reach the console; without it a notification has no link.</summary>
    public ConsoleOptions Console { get; set; } = new();

    public string SpoolPath => Path.Combine(DataDirectory, "notifications.jsonl");

    public string HealthPath => Path.Combine(DataDirectory, "notifications.degraded.json");

    /// <summary>The link to a path of the console, which may itself be below a path.</summary>
    public string? LinkTo(string? path) => path is null ? null : Console.LinkTo(path);

    public IEnumerable<string> Faults() => Webhooks.SelectMany(webhook => webhook.Value.Faults($"{Section}:Webhooks:{webhook.Key}")).Concat(Mail.Faults($"{Section}:Mail"));

    internal static IEnumerable<string> KindFaults(string key, IEnumerable<string> kinds) => kinds
        .Where(kind => !NoticeKinds.Names.Contains(kind))
        .Select(kind => $"{key}:Kinds: '{PrintableText.Of(kind)}' is none of: {string.Join(", ", NoticeKinds.Names)}");
}

internal sealed class WebhookOptions
{
    /// <summary>With less than this nobody should sign.</summary>
    public const int ShortestSecret = 16;

    /// <summary>That of some receivers is a secret itself: no message and no line of the log has it.</summary>
    public string? Address { get; set; }

    public string? AddressFile { get; set; }

    /// <summary>Holds the key of the signatures; they are left out without one.</summary>
    public string? SecretFile { get; set; }

    public IList<string> Kinds { get; } = [];

    /// <summary>Its addresses need not be public, and it may be plain http.</summary>
    public bool Private { get; set; }

    /// <summary>The address; null and why there is none, in a sentence without any part of it.</summary>
    public Uri? ReadAddress(out string problem)
    {
        problem = "";
        var text = AddressFile is null ? Address : Foundation.Files.SecretFile.Read(AddressFile, "address", out problem);
        if (text is null)
            problem = problem.Length > 0 ? problem : "is missing: give the receiver's address, or name a file with it in AddressFile";
        else if (!Uri.TryCreate(text, UriKind.Absolute, out var address) || address is not { Scheme: "https" or "http", UserInfo.Length: 0 } || text.Any(char.IsControl))
            problem = "is not an address without a user name, as https://hooks.example.com/x";
        else if (address.Scheme == "http" && !Private)
            problem = "is plain http: use https, or say that the receiver is your own with Private";
        else
            return address;
        return null;
    }

    public IEnumerable<string> Faults(string key)
    {
        if (Address is not null && AddressFile is not null)
            yield return $"{key}:AddressFile: name a file, or give the address: one of the two";
        else if (ReadAddress(out var problem) is null)
            yield return $"{key}:Address{(AddressFile is null ? "" : "File")}: {problem}";
        if (SecretFile is not null && Foundation.Files.SecretFile.Read(SecretFile, "secret", out var fault) is var secret && !(secret?.Length >= ShortestSecret))
            yield return $"{key}:SecretFile: {(secret is null ? fault : $"{SecretFile} holds fewer than {ShortestSecret} characters")}";
        foreach (var each in NotificationOptions.KindFaults(key, Kinds))
            yield return each;
    }
}

internal sealed class MailOptions
{
    /// <summary>TLS is begun by STARTTLS, and demanded; TLS from the first byte; none, to this machine alone.</summary>
    public const string StartTls = "starttls", Implicit = "implicit", Off = "off";

    private const int LongestAddress = 254;

    /// <summary>No mail is sent where there is none.</summary>
    public string? Server { get; set; }

    public int? Port { get; set; }

    public string Tls { get; set; } = StartTls;

    public string? From { get; set; }

    public IList<string> To { get; } = [];

    public string? UsernameFile { get; set; }

    public string? PasswordFile { get; set; }

    public IList<string> Kinds { get; } = [];

    /// <summary>Who has asked for access is told the answer, at the address that the member list has.</summary>
    public bool Requesters { get; set; } = true;

    public bool IsWanted => Server is not null || From is not null || To.Count > 0;

    public int ActualPort => Port ?? (Tls == Implicit ? 465 : Tls == Off ? 25 : 587);

    public IEnumerable<string> Faults(string key)
    {
        if (!IsWanted)
            yield break;
        if (Server is null || Uri.CheckHostName(Server) == UriHostNameType.Unknown)
            yield return $"{key}:Server: name the mail server, as smtp.example.com";
        if (Tls is not (StartTls or Implicit or Off))
            yield return $"{key}:Tls: '{PrintableText.Of(Tls)}' is none of {StartTls}, {Implicit}, {Off}";
        if (Port is > 65535)
            yield return $"{key}:Port: {Port} is not a port";
        if (AddressFault(From) is { } fromFault)
            yield return $"{key}:From: {fromFault}";
        if (To.Count is 0 or > 50)
            yield return $"{key}:To: name 1 to 50 mail addresses";
        foreach (var fault in To.Select(AddressFault).OfType<string>())
            yield return $"{key}:To: {fault}";
        if (UsernameFile is null != PasswordFile is null)
            yield return $"{key}:PasswordFile: name both UsernameFile and PasswordFile, or neither";
        if (UsernameFile is not null && Foundation.Files.SecretFile.Read(UsernameFile, "user name", out var noName) is null)
            yield return $"{key}:UsernameFile: {noName}";
        if (PasswordFile is not null && Foundation.Files.SecretFile.Read(PasswordFile, "password", out var noPassword) is null)
            yield return $"{key}:PasswordFile: {noPassword}";
        foreach (var each in NotificationOptions.KindFaults(key, Kinds))
            yield return each;
    }

    /// <summary>One mailbox without anything around it: what is no address could become a header or a second recipient.</summary>
    private static string? AddressFault(string? text)
    {
        if (text is null)
            return "name a mail address";
        if (HasBlank(text))
            return $"'{PrintableText.Seen(PrintableText.Of(text))}' has a line end or a space, which no mail address has";
        return IsAddress(text) ? null : $"'{PrintableText.Seen(PrintableText.Of(text))}' is not a mail address, as security@example.com";
    }

    /// <summary>Whether it is one mailbox and nothing else.</summary>
    internal static bool IsAddress(string text) =>
        text.Length <= LongestAddress && !HasBlank(text) && MailboxAddress.TryParse(text, out var mailbox) && mailbox.Address == text
        && text.IndexOf('@') is > 0 and var at && at == text.LastIndexOf('@') && !text.Contains('"') && !text.EndsWith('@');

    private static bool HasBlank(string text) => text.EnumerateRunes().Any(rune => Rune.IsControl(rune) || Rune.IsWhiteSpace(rune));
}

internal sealed class NotificationOptionsValidation : IValidateOptions<NotificationOptions>
{
    public ValidateOptionsResult Validate(string? name, NotificationOptions options) =>
        options.Faults().ToList() is { Count: > 0 } faults ? ValidateOptionsResult.Fail(faults) : ValidateOptionsResult.Success;
}
