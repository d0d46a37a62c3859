using Microsoft.EntityFrameworkCore.Migrations;

#nullable disable

namespace ImageAccess.Proxy.Foundation.Database.Migrations.Sqlite;

internal sealed partial class PolicyHistory : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder)
    {
        migrationBuilder.CreateTable(
            name: "PolicyVersions",
            columns: table => new
            {
                Sequence = table.Column<long>(type: "INTEGER", nullable: false)
                    .Annotation("Sqlite:Autoincrement", true),
                Id = table.Column<string>(type: "TEXT", maxLength: 32, nullable: false),
                Version = table.Column<string>(type: "TEXT", maxLength: 64, nullable: false),
                PreviousVersion = table.Column<string>(type: "TEXT", maxLength: 64, nullable: true),
                Since = table.Column<DateTimeOffset>(type: "TEXT", nullable: false),
                Document = table.Column<byte[]>(type: "BLOB", nullable: false),
                Who = table.Column<string>(type: "TEXT", nullable: true),
                Why = table.Column<string>(type: "TEXT", nullable: false),
                Opens = table.Column<string>(type: "TEXT", nullable: false),
                TakesBack = table.Column<string>(type: "TEXT", nullable: false)
            },
            constraints: table =>
            {
                table.PrimaryKey("PK_PolicyVersions", x => x.Sequence);
            });

        migrationBuilder.CreateIndex(
            name: "IX_PolicyVersions_Id",
            table: "PolicyVersions",
            column: "Id",
            unique: true);

        migrationBuilder.CreateIndex(
            name: "IX_PolicyVersions_Version",
            table: "PolicyVersions",
            column: "Version");
    }

    protected override void Down(MigrationBuilder migrationBuilder)
    {
        migrationBuilder.DropTable(
            name: "PolicyVersions");
    }
}
