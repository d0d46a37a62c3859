using Microsoft.EntityFrameworkCore.Migrations;
using Npgsql.EntityFrameworkCore.PostgreSQL.Metadata;

#nullable disable

namespace ImageAccess.Proxy.Foundation.Database.Migrations.Postgres;

internal sealed partial class PolicyHistory : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder)
    {
        migrationBuilder.CreateTable(
            name: "PolicyVersions",
            columns: table => new
            {
                Sequence = table.Column<long>(type: "bigint", nullable: false)
                    .Annotation("Npgsql:ValueGenerationStrategy", NpgsqlValueGenerationStrategy.IdentityByDefaultColumn),
                Id = table.Column<string>(type: "character varying(32)", maxLength: 32, nullable: false),
                Version = table.Column<string>(type: "character varying(64)", maxLength: 64, nullable: false),
                PreviousVersion = table.Column<string>(type: "character varying(64)", maxLength: 64, nullable: true),
                Since = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: false),
                Document = table.Column<byte[]>(type: "bytea", nullable: false),
                Who = table.Column<string>(type: "text", nullable: true),
                Why = table.Column<string>(type: "text", nullable: false),
                Opens = table.Column<List<string>>(type: "text[]", nullable: false),
                TakesBack = table.Column<List<string>>(type: "text[]", nullable: false)
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
