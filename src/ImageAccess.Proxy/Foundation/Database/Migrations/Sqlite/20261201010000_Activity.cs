using Microsoft.EntityFrameworkCore.Migrations;

#nullable disable

namespace ImageAccess.Proxy.Foundation.Database.Migrations.Sqlite;

internal sealed partial class Activity : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder)
    {
        migrationBuilder.CreateTable(
            name: "Activity",
            columns: table => new
            {
                Number = table.Column<long>(type: "INTEGER", nullable: false)
                    .Annotation("Sqlite:Autoincrement", true),
                Key = table.Column<string>(type: "TEXT", nullable: false),
                TimeMilliseconds = table.Column<long>(type: "INTEGER", nullable: false),
                Organization = table.Column<string>(type: "TEXT", nullable: true),
                Action = table.Column<string>(type: "TEXT", maxLength: 32, nullable: false),
                Actor = table.Column<string>(type: "TEXT", nullable: false),
                Name = table.Column<string>(type: "TEXT", nullable: false),
                Facts = table.Column<string>(type: "TEXT", nullable: false)
            },
            constraints: table =>
            {
                table.PrimaryKey("PK_Activity", x => x.Number);
            });

        migrationBuilder.CreateIndex(
            name: "IX_Activity_Key",
            table: "Activity",
            column: "Key",
            unique: true);

        migrationBuilder.CreateIndex(
            name: "IX_Activity_TimeMilliseconds",
            table: "Activity",
            column: "TimeMilliseconds");
    }

    protected override void Down(MigrationBuilder migrationBuilder)
    {
        migrationBuilder.DropTable(
            name: "Activity");
    }
}
