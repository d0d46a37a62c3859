using System.Globalization;
using System.Text.Json.Nodes;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Administration.Api;

namespace ImageAccess.Proxy.Portal.Pages;

/// <summary>What an organization's owners choose on one page.</summary>
/// <param name="Mode"><c>off</c>, <c>observe</c> or <c>enforce</c>.</param>
/// <param name="Until">The last day of observing; null for no end, and where it is not observing.</param>
public sealed record Switches(string Mode, DateOnly? Until, bool Official, bool VerifiedPublisher, bool Community)
{
    private const string Day = "yyyy-MM-dd";

    /// <summary>As HTML's date input writes it.</summary>
    public string UntilText => Until?.ToString(Day, CultureInfo.InvariantCulture) ?? "";

    internal static Switches Of(OrganizationPolicy organization, OrganizationDocument document, DateOnly today)
    {
        var mode = organization.Mode(today);
        return new(mode, mode == "observe" ? document.ObserveUntil : null, organization.AllowsOfficial, organization.AllowsVerifiedPublisher, organization.AllowsCommunity);
    }

    /// <summary>As a form of the page sends it.</summary>
    /// <param name="field">The value of a field; null or empty where it was not sent, as a box that is not ticked.</param>
    /// <exception cref="ProblemException">A field has a value that the page does not offer.</exception>
    internal static Switches Read(Func<string, string?> field)
    {
        var (mode, until) = (field("mode"), field("until"));
        if (mode is not ("off" or "observe" or "enforce"))
            throw ProblemException.Bad([new Mistake("mode", "must be off, observe or enforce")]);
        DateOnly? day = null;
        if (mode == "observe" && !string.IsNullOrEmpty(until))
            day = DateOnly.TryParseExact(until, Day, CultureInfo.InvariantCulture, DateTimeStyles.None, out var read) ? read : throw ProblemException.Bad([new Mistake("until", "must be a day, as 2027-01-31")]);
        return new(mode, day, Has("official"), Has("verified-publisher"), Has("community"));

        bool Has(string name) => !string.IsNullOrEmpty(field(name));
    }

    /// <summary>Writes into a section what differs from what holds, and leaves all else of it as it is.</summary>
    internal void ApplyTo(JsonObject section, Switches before)
    {
        if ((Mode, Until) != (before.Mode, before.Until))
            ApplyModeTo(section);
        if ((Official, VerifiedPublisher, Community) == (before.Official, before.VerifiedPublisher, before.Community))
            return;
        if (section["allow"] is not JsonObject allow)
            section["allow"] = allow = [];
        allow["official"] = Official;
        allow["verifiedPublisher"] = VerifiedPublisher;
        allow["community"] = Community;
    }

    private void ApplyModeTo(JsonObject section)
    {
        section["enabled"] = Mode != "off";
        if (Mode == "off")
            return;
        section["mode"] = Mode;
        section.Remove("observeUntil");
        if (Until is not null)
            section["observeUntil"] = UntilText;
    }
}
