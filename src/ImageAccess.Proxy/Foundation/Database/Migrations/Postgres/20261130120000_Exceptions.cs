using Microsoft.EntityFrameworkCore.Migrations;
using Npgsql.EntityFrameworkCore.PostgreSQL.Metadata;

#nullable disable

namespace ImageAccess.Proxy.Foundation.Database.Migrations.Postgres;

internal sealed partial class Exceptions : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder)
    {
        migrationBuilder.CreateTable(
            name: "Exceptions",
            columns: table => new
            {
                Id = table.Column<long>(type: "bigint", nullable: false)
                    .Annotation("Npgsql:ValueGenerationStrategy", NpgsqlValueGenerationStrategy.IdentityByDefaultColumn),
                Organization = table.Column<string>(type: "text", nullable: false),
                Image = table.Column<string>(type: "text", nullable: false),
                Digest = table.Column<string>(type: "text", nullable: true),
                Follow = table.Column<bool>(type: "boolean", nullable: false),
                Reason = table.Column<string>(type: "text", nullable: false),
                AskedBy = table.Column<string>(type: "text", nullable: true),
                ApprovedBy = table.Column<string>(type: "text", nullable: false),
                Since = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: false),
                UntilMilliseconds = table.Column<long>(type: "bigint", nullable: true),
                Version = table.Column<long>(type: "bigint", nullable: false),
                EndedVersion = table.Column<long>(type: "bigint", nullable: true),
                Ended = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: true),
                EndedBy = table.Column<string>(type: "text", nullable: true),
                EndedReason = table.Column<string>(type: "text", nullable: true),
                LastUsed = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: true),
                Uses = table.Column<long>(type: "bigint", nullable: false)
            },
            constraints: table =>
            {
                table.PrimaryKey("PK_Exceptions", x => x.Id);
            });

        migrationBuilder.CreateTable(
            name: "Sequences",
            columns: table => new
            {
                Name = table.Column<string>(type: "character varying(32)", maxLength: 32, nullable: false),
                Value = table.Column<long>(type: "bigint", nullable: false),
                Change = table.Column<string>(type: "character varying(32)", maxLength: 32, nullable: false)
            },
            constraints: table =>
            {
                table.PrimaryKey("PK_Sequences", x => x.Name);
            });

        migrationBuilder.CreateIndex(
            name: "IX_Exceptions_EndedVersion",
            table: "Exceptions",
            column: "EndedVersion");
    }

    protected override void Down(MigrationBuilder migrationBuilder)
    {
        migrationBuilder.DropTable(
            name: "Exceptions");

        migrationBuilder.DropTable(
            name: "Sequences");
    }
}
