using Microsoft.EntityFrameworkCore.Migrations;

#nullable disable

namespace ImageAccess.Proxy.Foundation.Database.Migrations.Sqlite;

internal sealed partial class SignIns : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder)
    {
        migrationBuilder.CreateTable(
            name: "SignIns",
            columns: table => new
            {
                Id = table.Column<long>(type: "INTEGER", nullable: false)
                    .Annotation("Sqlite:Autoincrement", true),
                Hash = table.Column<byte[]>(type: "BLOB", maxLength: 32, nullable: false),
                Person = table.Column<string>(type: "TEXT", maxLength: 255, nullable: false),
                Account = table.Column<string>(type: "TEXT", maxLength: 255, nullable: false),
                StartedMilliseconds = table.Column<long>(type: "INTEGER", nullable: false),
                UsedMilliseconds = table.Column<long>(type: "INTEGER", nullable: false)
            },
            constraints: table =>
            {
                table.PrimaryKey("PK_SignIns", x => x.Id);
            });

        migrationBuilder.CreateIndex(
            name: "IX_SignIns_Hash",
            table: "SignIns",
            column: "Hash",
            unique: true);

        migrationBuilder.CreateIndex(
            name: "IX_SignIns_Person",
            table: "SignIns",
            column: "Person");
    }

    protected override void Down(MigrationBuilder migrationBuilder)
    {
        migrationBuilder.DropTable(
            name: "SignIns");
    }
}
