using Microsoft.EntityFrameworkCore.Migrations;
using Npgsql.EntityFrameworkCore.PostgreSQL.Metadata;

#nullable disable

namespace ImageAccess.Proxy.Foundation.Database.Migrations.Postgres;

internal sealed partial class Activity : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder)
    {
        migrationBuilder.CreateTable(
            name: "Activity",
            columns: table => new
            {
                Number = table.Column<long>(type: "bigint", nullable: false)
                    .Annotation("Npgsql:ValueGenerationStrategy", NpgsqlValueGenerationStrategy.IdentityByDefaultColumn),
                Key = table.Column<string>(type: "text", nullable: false),
                TimeMilliseconds = table.Column<long>(type: "bigint", nullable: false),
                Organization = table.Column<string>(type: "text", nullable: true),
                Action = table.Column<string>(type: "character varying(32)", maxLength: 32, nullable: false),
                Actor = table.Column<string>(type: "text", nullable: false),
                Name = table.Column<string>(type: "text", nullable: false),
                Facts = table.Column<string>(type: "text", nullable: false)
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
