using Microsoft.EntityFrameworkCore.Migrations;

#nullable disable

namespace ImageAccess.Proxy.Foundation.Database.Migrations.Sqlite;

internal sealed partial class Pseudonyms : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder)
    {
        migrationBuilder.CreateTable(
            name: "Pseudonyms",
            columns: table => new
            {
                Id = table.Column<long>(type: "INTEGER", nullable: false)
                    .Annotation("Sqlite:Autoincrement", true),
                Pseudonym = table.Column<string>(type: "TEXT", maxLength: 32, nullable: false),
                Wrapped = table.Column<byte[]>(type: "BLOB", nullable: false),
                WrappedBy = table.Column<string>(type: "TEXT", maxLength: 16, nullable: false)
            },
            constraints: table =>
            {
                table.PrimaryKey("PK_Pseudonyms", x => x.Id);
            });

        migrationBuilder.CreateIndex(
            name: "IX_Pseudonyms_Pseudonym",
            table: "Pseudonyms",
            column: "Pseudonym",
            unique: true);
    }

    protected override void Down(MigrationBuilder migrationBuilder)
    {
        migrationBuilder.DropTable(
            name: "Pseudonyms");
    }
}
