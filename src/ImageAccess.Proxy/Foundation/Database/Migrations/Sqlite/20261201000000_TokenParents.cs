using Microsoft.EntityFrameworkCore.Migrations;

#nullable disable

namespace ImageAccess.Proxy.Foundation.Database.Migrations.Sqlite;

internal sealed partial class TokenParents : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder)
    {
        migrationBuilder.AddColumn<long>(
            name: "Parent",
            table: "ApiTokens",
            type: "INTEGER",
            nullable: true);

        migrationBuilder.CreateIndex(
            name: "IX_ApiTokens_Parent",
            table: "ApiTokens",
            column: "Parent");
    }

    protected override void Down(MigrationBuilder migrationBuilder)
    {
        migrationBuilder.DropIndex(
            name: "IX_ApiTokens_Parent",
            table: "ApiTokens");

        migrationBuilder.DropColumn(
            name: "Parent",
            table: "ApiTokens");
    }
}
