using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace ImageAccess.Proxy.Foundation.Database;

/// <summary>A notification on its way to one receiver, and for some time after it: so that it is told once.</summary>
internal sealed record OutboxRow
{
    public const string Waiting = "waiting", Sent = "sent", GivenUp = "given-up";

    /// <summary>The order in which they were written.</summary>
    public long Number { get; init; }

    /// <summary>What receivers know it by; the same for all of them and for every try.</summary>
    public required string Id { get; init; }

    /// <summary>What it tells: no second row of the receiver has the same.</summary>
    public required string Key { get; init; }

    /// <summary>The process that learnt of it.</summary>
    public required string Origin { get; init; }

    /// <summary>The receiver, by its place in the configuration.</summary>
    public required string Receiver { get; init; }

    /// <summary>The notification itself, as JSON; empty once it waits no longer.</summary>
    public required string Content { get; set; }

    /// <summary>In milliseconds since 1970, as all times here: SQLite compares no times.</summary>
    public long CreatedMilliseconds { get; init; }

    /// <summary><see cref="Waiting"/>, <see cref="Sent"/> or <see cref="GivenUp"/>.</summary>
    public required string State { get; set; }

    /// <summary>Tries that have begun.</summary>
    public int Tries { get; set; }

    /// <summary>Nobody tries before: after a failure, or because somebody tries just now.</summary>
    public long NextMilliseconds { get; set; }

    /// <summary>The try that runs; another one's outcome does not count.</summary>
    public string? Lease { get; set; }

    public long? SettledMilliseconds { get; set; }

    internal sealed class Table : IEntityTypeConfiguration<OutboxRow>
    {
        public void Configure(EntityTypeBuilder<OutboxRow> row)
        {
            row.ToTable("Outbox");
            row.HasKey(message => message.Number);
            row.HasIndex(message => new { message.Key, message.Receiver }).IsUnique();
            row.HasIndex(message => new { message.State, message.Receiver, message.NextMilliseconds });
            row.Property(message => message.Id).HasMaxLength(32);
            row.Property(message => message.Key).HasMaxLength(128);
            row.Property(message => message.Origin).HasMaxLength(32);
            row.Property(message => message.Receiver).HasMaxLength(32);
            row.Property(message => message.State).HasMaxLength(16);
            row.Property(message => message.Lease).HasMaxLength(32);
        }
    }
}
