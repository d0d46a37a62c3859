using Microsoft.EntityFrameworkCore.Migrations;

#nullable disable

namespace ImageAccess.Proxy.Foundation.Database.Migrations.Sqlite;

internal sealed partial class Exceptions : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder)
    {
        migrationBuilder.CreateTable(
            name: "Exceptions",
            columns: table => new
            {
                Id = table.Column<long>(type: "INTEGER", nullable: false)
                    .Annotation("Sqlite:Autoincrement", true),
                Organization = table.Column<string>(type: "TEXT", nullable: false),
                Image = table.Column<string>(type: "TEXT", nullable: false),
                Digest = table.Column<string>(type: "TEXT", nullable: true),
                Follow = table.Column<bool>(type: "INTEGER", nullable: false),
                Reason = table.Column<string>(type: "TEXT", nullable: false),
                AskedBy = table.Column<string>(type: "TEXT", nullable: true),
                ApprovedBy = table.Column<string>(type: "TEXT", nullable: false),
                Since = table.Column<DateTimeOffset>(type: "TEXT", nullable: false),
                UntilMilliseconds = table.Column<long>(type: "INTEGER", nullable: true),
                Version = table.Column<long>(type: "INTEGER", nullable: false),
                EndedVersion = table.Column<long>(type: "INTEGER", nullable: true),
                Ended = table.Column<DateTimeOffset>(type: "TEXT", nullable: true),
                EndedBy = table.Column<string>(type: "TEXT", nullable: true),
                EndedReason = table.Column<string>(type: "TEXT", nullable: true),
                LastUsed = table.Column<DateTimeOffset>(type: "TEXT", nullable: true),
                Uses = table.Column<long>(type: "INTEGER", nullable: false)
            },
            constraints: table =>
            {
                table.PrimaryKey("PK_Exceptions", x => x.Id);
            });

        migrationBuilder.CreateTable(
            name: "Sequences",
            columns: table => new
            {
                Name = table.Column<string>(type: "TEXT", maxLength: 32, nullable: false),
                Value = table.Column<long>(type: "INTEGER", nullable: false),
                Change = table.Column<string>(type: "TEXT", maxLength: 32, nullable: false)
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
