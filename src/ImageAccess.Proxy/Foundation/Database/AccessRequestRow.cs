using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace ImageAccess.Proxy.Foundation.Database;

/// <summary>An image that members of organizations ask for, also a request that is over.</summary>
internal sealed record AccessRequestRow
{
    public const string Open = "open", Approved = "approved", Declined = "declined", Withdrawn = "withdrawn", Ended = "ended";

    public long Id { get; init; }

    /// <summary>A repository, a tag or a digest, as people write it.</summary>
    public required string Image { get; init; }

    /// <summary>Those that deny it to who asks, in their order: each has to answer.</summary>
    public List<string> Organizations { get; init; } = [];

    public DateTimeOffset At { get; init; }

    /// <summary>From when on nobody can answer it, in milliseconds since 1970: SQLite compares no times.</summary>
    public long UntilMilliseconds { get; init; }

    public DateTimeOffset Until => DateTimeOffset.FromUnixTimeMilliseconds(UntilMilliseconds);

    /// <summary><see cref="Open"/>, <see cref="Approved"/> by every organization, <see cref="Declined"/> by one, <see cref="Withdrawn"/> by all who asked, or <see cref="Ended"/>.</summary>
    public required string State { get; set; }

    /// <summary>The change of the table that it ceased to be open with.</summary>
    public long? ClosedVersion { get; set; }

    public DateTimeOffset? Closed { get; set; }

    internal sealed class Table : IEntityTypeConfiguration<AccessRequestRow>
    {
        public void Configure(EntityTypeBuilder<AccessRequestRow> row)
        {
            row.ToTable("AccessRequests");
            row.HasKey(request => request.Id);
            row.HasIndex(request => new { request.State, request.UntilMilliseconds });
            row.HasIndex(request => request.ClosedVersion);
            row.Property(request => request.State).HasMaxLength(16);
            row.Ignore(request => request.Until);
        }
    }
}
