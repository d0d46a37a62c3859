using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace ImageAccess.Proxy.Foundation.Database;

/// <summary>Somebody who is signed in to the console by a browser. It says who it is, never what they may; whoever signs out has no row any more.</summary>
internal sealed record SignInRow
{
    public long Id { get; init; }

    /// <summary>Of the secret that the browser has.</summary>
    public required byte[] Hash { get; init; }

    /// <summary>The user name.</summary>
    public required string Person { get; init; }

    /// <summary>Docker Hub's id of the account.</summary>
    public required string Account { get; init; }

    public long StartedMilliseconds { get; init; }

    /// <summary>When it was used last, to some minutes.</summary>
    public long UsedMilliseconds { get; set; }

    public DateTimeOffset Started => DateTimeOffset.FromUnixTimeMilliseconds(StartedMilliseconds);

    public DateTimeOffset Used => DateTimeOffset.FromUnixTimeMilliseconds(UsedMilliseconds);

    internal sealed class Table : IEntityTypeConfiguration<SignInRow>
    {
        public void Configure(EntityTypeBuilder<SignInRow> row)
        {
            row.ToTable("SignIns");
            row.HasKey(signIn => signIn.Id);
            row.HasIndex(signIn => signIn.Hash).IsUnique();
            row.HasIndex(signIn => signIn.Person);
            row.Property(signIn => signIn.Hash).HasMaxLength(32);
            row.Property(signIn => signIn.Person).HasMaxLength(255);
            row.Property(signIn => signIn.Account).HasMaxLength(255);
            row.Ignore(signIn => signIn.Started);
            row.Ignore(signIn => signIn.Used);
        }
    }
}
