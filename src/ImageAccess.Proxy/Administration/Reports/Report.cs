using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using ImageAccess.Proxy.Foundation.Files;

namespace ImageAccess.Proxy.Administration.Reports;

/// <summary>What an organization allowed, denied and changed in some days. The same facts give the same table, and the same digest.</summary>
/// <param name="Organization">Whose.</param>
/// <param name="From">The first day.</param>
/// <param name="To">The first day that is beyond.</param>
/// <param name="Sections">Each kind of fact, always in this order.</param>
internal sealed record Report(string Organization, DateOnly From, DateOnly To, IReadOnlyList<ReportSection> Sections)
{
    private static readonly string[] Columns = ["section", "name", "at", "until", "by", "why", "ticket", "state", "count", "details"];

    /// <summary>The SHA-256 of the table in CSV, in hexadecimal digits.</summary>
    public string Digest => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(string.Concat(ToRows().Select(Csv.LineOf)))));

    public IEnumerable<string[]> ToRows() =>
    [
        Columns,
        ["report", Organization, Day(From), Day(To), "", "", "", "", "", ""],
        .. Sections.SelectMany(section => section.Entries.Select(entry => Row(section.Name, entry))
            .Concat(section.Notes.Select(note => new[] { section.Name, "", "", "", "", "", "", "", "", note }))),
    ];

    private static string[] Row(string section, ReportEntry entry) =>
    [
        section, entry.Name, Time(entry.At), Time(entry.Until), entry.By ?? "", entry.Why ?? "", entry.Ticket ?? "", entry.State ?? "",
        entry.Count?.ToString(CultureInfo.InvariantCulture) ?? "", string.Join("; ", entry.Details),
    ];

    private static string Day(DateOnly day) => day.ToString("yyyy-MM-dd", CultureInfo.InvariantCulture);

    private static string Time(DateTime? time) => time?.ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture) ?? "";
}

/// <summary>Facts of one kind.</summary>
/// <param name="Name">Which kind.</param>
/// <param name="Entries">In an order that the facts alone give.</param>
/// <param name="Notes">What is not known of it.</param>
internal sealed record ReportSection(string Name, IReadOnlyList<ReportEntry> Entries, IReadOnlyList<string> Notes);

/// <summary>A fact.</summary>
/// <param name="Name">What it is about.</param>
internal sealed record ReportEntry(string Name)
{
    public DateTime? At { get; init; }

    public DateTime? Until { get; init; }

    public string? By { get; init; }

    public string? Why { get; init; }

    public string? Ticket { get; init; }

    public string? State { get; init; }

    public long? Count { get; init; }

    public IReadOnlyList<string> Details { get; init; } = [];
}

/// <summary>The days that a report is about, as people write them.</summary>
internal static class ReportDays
{
    private const int Maximum = 370;

    /// <summary>A quarter, as <c>2026Q4</c>, or from a day on and before another one.</summary>
    /// <param name="fault">What is wrong with which of them; null when nothing is.</param>
    public static (DateOnly From, DateOnly To) Read(string? quarter, string? from, string? to, out (string Member, string Text)? fault)
    {
        fault = null;
        var (first, end) = (default(DateOnly), default(DateOnly));
        if (quarter is null == (from ?? to) is null)
            fault = ("quarter", "or from and to: name the one or the other");
        else if (quarter is not null && (quarter.Length != 6 || quarter[4] != 'Q' || quarter[5] is < '1' or > '4' || !TryDay($"{quarter[..4]}-{((quarter[5] - '1') * 3) + 1:00}-01", out first)))
            fault = ("quarter", $"is '{PrintableText.Of(quarter)}': write one as 2026Q4");
        else if (quarter is not null)
            end = first.Year == 9999 ? DateOnly.MaxValue : first.AddMonths(3);
        else if (!TryDay(from, out first))
            fault = ("from", $"is '{PrintableText.Of(from ?? "")}': write a day as 2026-10-01");
        else if (!TryDay(to, out end))
            fault = ("to", $"is '{PrintableText.Of(to ?? "")}': write a day as 2027-01-01");
        else if (end <= first || end.DayNumber - first.DayNumber > Maximum)
            fault = ("to", $"must be 1 to {Maximum} days after from");
        return (first, end);
    }

    private static bool TryDay(string? text, out DateOnly day) => DateOnly.TryParseExact(text, "yyyy-MM-dd", CultureInfo.InvariantCulture, DateTimeStyles.None, out day);
}
