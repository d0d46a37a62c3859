using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace ImageAccess.Proxy.Foundation.Database;

/// <summary>One person who asks for what a request is about.</summary>
internal sealed record RequestVoiceRow
{
    public long Id { get; init; }

    public long Request { get; init; }

    /// <summary>The user name in lower case.</summary>
    public required string Person { get; init; }

    public required string Reason { get; init; }

    /// <summary>How long it is needed.</summary>
    public int Days { get; init; }

    public string? Ticket { get; init; }

    /// <summary>The denial that it began with.</summary>
    public string? Denial { get; init; }

    /// <summary>In milliseconds since 1970: SQLite compares no times.</summary>
    public long AtMilliseconds { get; init; }

    public DateTimeOffset At => DateTimeOffset.FromUnixTimeMilliseconds(AtMilliseconds);

    public DateTimeOffset? Withdrawn { get; set; }

    internal sealed class Table : IEntityTypeConfiguration<RequestVoiceRow>
    {
        public void Configure(EntityTypeBuilder<RequestVoiceRow> row)
        {
            row.ToTable("RequestVoices");
            row.HasKey(voice => voice.Id);
            row.HasIndex(voice => new { voice.Request, voice.Person }); // who has withdrawn may ask again
            row.HasIndex(voice => new { voice.Person, voice.AtMilliseconds });
            row.Ignore(voice => voice.At);
        }
    }
}
