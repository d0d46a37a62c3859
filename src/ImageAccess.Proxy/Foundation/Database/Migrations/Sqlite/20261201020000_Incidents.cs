using Microsoft.EntityFrameworkCore.Migrations;

#nullable disable

namespace ImageAccess.Proxy.Foundation.Database.Migrations.Sqlite;

internal sealed partial class Incidents : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder)
    {
        migrationBuilder.AddColumn<bool>(
            name: "Forgets",
            table: "Blocks",
            type: "INTEGER",
            nullable: false,
            defaultValue: false);
    }

    protected override void Down(MigrationBuilder migrationBuilder)
    {
        migrationBuilder.DropColumn(
            name: "Forgets",
            table: "Blocks");
    }
}
