using Microsoft.EntityFrameworkCore.Migrations;
using Npgsql.EntityFrameworkCore.PostgreSQL.Metadata;

#nullable disable

namespace ImageAccess.Proxy.Foundation.Database.Migrations.Postgres;

internal sealed partial class SignIns : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder)
    {
        migrationBuilder.CreateTable(
            name: "SignIns",
            columns: table => new
            {
                Id = table.Column<long>(type: "bigint", nullable: false)
                    .Annotation("Npgsql:ValueGenerationStrategy", NpgsqlValueGenerationStrategy.IdentityByDefaultColumn),
                Hash = table.Column<byte[]>(type: "bytea", maxLength: 32, nullable: false),
                Person = table.Column<string>(type: "character varying(255)", maxLength: 255, nullable: false),
                Account = table.Column<string>(type: "character varying(255)", maxLength: 255, nullable: false),
                StartedMilliseconds = table.Column<long>(type: "bigint", nullable: false),
                UsedMilliseconds = table.Column<long>(type: "bigint", nullable: false)
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
