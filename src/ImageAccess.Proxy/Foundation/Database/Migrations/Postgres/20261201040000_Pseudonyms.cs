using Microsoft.EntityFrameworkCore.Migrations;
using Npgsql.EntityFrameworkCore.PostgreSQL.Metadata;

#nullable disable

namespace ImageAccess.Proxy.Foundation.Database.Migrations.Postgres;

internal sealed partial class Pseudonyms : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder)
    {
        migrationBuilder.CreateTable(
            name: "Pseudonyms",
            columns: table => new
            {
                Id = table.Column<long>(type: "bigint", nullable: false)
                    .Annotation("Npgsql:ValueGenerationStrategy", NpgsqlValueGenerationStrategy.IdentityByDefaultColumn),
                Pseudonym = table.Column<string>(type: "character varying(32)", maxLength: 32, nullable: false),
                Wrapped = table.Column<byte[]>(type: "bytea", nullable: false),
                WrappedBy = table.Column<string>(type: "character varying(16)", maxLength: 16, nullable: false)
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
