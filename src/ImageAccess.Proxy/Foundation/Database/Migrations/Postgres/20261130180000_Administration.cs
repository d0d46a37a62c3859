using Microsoft.EntityFrameworkCore.Migrations;
using Npgsql.EntityFrameworkCore.PostgreSQL.Metadata;

#nullable disable

namespace ImageAccess.Proxy.Foundation.Database.Migrations.Postgres;

internal sealed partial class Administration : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder)
    {
        migrationBuilder.AddColumn<string>(
            name: "Ticket",
            table: "PolicyVersions",
            type: "text",
            nullable: true);

        migrationBuilder.AddColumn<string>(
            name: "EndedTicket",
            table: "Exceptions",
            type: "text",
            nullable: true);

        migrationBuilder.AddColumn<string>(
            name: "Ticket",
            table: "Exceptions",
            type: "text",
            nullable: true);

        migrationBuilder.CreateTable(
            name: "ApiTokens",
            columns: table => new
            {
                Id = table.Column<long>(type: "bigint", nullable: false)
                    .Annotation("Npgsql:ValueGenerationStrategy", NpgsqlValueGenerationStrategy.IdentityByDefaultColumn),
                Label = table.Column<string>(type: "character varying(64)", maxLength: 64, nullable: false),
                Hash = table.Column<byte[]>(type: "bytea", nullable: false),
                Person = table.Column<string>(type: "text", nullable: true),
                Role = table.Column<string>(type: "character varying(32)", maxLength: 32, nullable: false),
                Organization = table.Column<string>(type: "text", nullable: true),
                Created = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: false),
                CreatedBy = table.Column<string>(type: "text", nullable: false),
                ExpiresMilliseconds = table.Column<long>(type: "bigint", nullable: false),
                LastUsed = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: true),
                Revoked = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: true),
                RevokedBy = table.Column<string>(type: "text", nullable: true),
                Waits = table.Column<bool>(type: "boolean", nullable: false),
                Told = table.Column<int>(type: "integer", nullable: false)
            },
            constraints: table =>
            {
                table.PrimaryKey("PK_ApiTokens", x => x.Id);
            });

        migrationBuilder.CreateTable(
            name: "Blocks",
            columns: table => new
            {
                Key = table.Column<string>(type: "character varying(32)", maxLength: 32, nullable: false),
                Image = table.Column<string>(type: "text", nullable: false),
                Reason = table.Column<string>(type: "text", nullable: false),
                By = table.Column<string>(type: "text", nullable: false),
                AtTicks = table.Column<long>(type: "bigint", nullable: false),
                Ticket = table.Column<string>(type: "text", nullable: true),
                Version = table.Column<long>(type: "bigint", nullable: false),
                LiftedVersion = table.Column<long>(type: "bigint", nullable: true),
                LiftedReason = table.Column<string>(type: "text", nullable: true),
                LiftedBy = table.Column<string>(type: "text", nullable: true),
                LiftedAtTicks = table.Column<long>(type: "bigint", nullable: true),
                LiftedTicket = table.Column<string>(type: "text", nullable: true)
            },
            constraints: table =>
            {
                table.PrimaryKey("PK_Blocks", x => x.Key);
            });

        migrationBuilder.CreateTable(
            name: "Denials",
            columns: table => new
            {
                Number = table.Column<long>(type: "bigint", nullable: false)
                    .Annotation("Npgsql:ValueGenerationStrategy", NpgsqlValueGenerationStrategy.IdentityByDefaultColumn),
                Id = table.Column<string>(type: "character varying(32)", maxLength: 32, nullable: false),
                TimeMilliseconds = table.Column<long>(type: "bigint", nullable: false),
                Caller = table.Column<string>(type: "text", nullable: true),
                Repository = table.Column<string>(type: "text", nullable: true),
                Reference = table.Column<string>(type: "text", nullable: true),
                Rule = table.Column<string>(type: "text", nullable: false),
                Message = table.Column<string>(type: "text", nullable: false),
                Organizations = table.Column<List<string>>(type: "text[]", nullable: false),
                Client = table.Column<string>(type: "text", nullable: true),
                WayIn = table.Column<string>(type: "text", nullable: true)
            },
            constraints: table =>
            {
                table.PrimaryKey("PK_Denials", x => x.Number);
            });

        migrationBuilder.CreateTable(
            name: "PendingChanges",
            columns: table => new
            {
                Id = table.Column<long>(type: "bigint", nullable: false)
                    .Annotation("Npgsql:ValueGenerationStrategy", NpgsqlValueGenerationStrategy.IdentityByDefaultColumn),
                Kind = table.Column<string>(type: "character varying(32)", maxLength: 32, nullable: false),
                Organization = table.Column<string>(type: "text", nullable: true),
                Payload = table.Column<string>(type: "text", nullable: false),
                Opens = table.Column<List<string>>(type: "text[]", nullable: false),
                By = table.Column<string>(type: "text", nullable: false),
                Person = table.Column<string>(type: "text", nullable: false),
                Reason = table.Column<string>(type: "text", nullable: false),
                Ticket = table.Column<string>(type: "text", nullable: true),
                At = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: false),
                UntilMilliseconds = table.Column<long>(type: "bigint", nullable: false),
                State = table.Column<string>(type: "character varying(16)", maxLength: 16, nullable: false),
                Version = table.Column<long>(type: "bigint", nullable: false),
                DecidedVersion = table.Column<long>(type: "bigint", nullable: true),
                DecidedBy = table.Column<string>(type: "text", nullable: true),
                DecidedAt = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: true),
                DecidedReason = table.Column<string>(type: "text", nullable: true)
            },
            constraints: table =>
            {
                table.PrimaryKey("PK_PendingChanges", x => x.Id);
            });

        migrationBuilder.CreateIndex(
            name: "IX_ApiTokens_Hash",
            table: "ApiTokens",
            column: "Hash",
            unique: true);

        migrationBuilder.CreateIndex(
            name: "IX_Blocks_LiftedVersion",
            table: "Blocks",
            column: "LiftedVersion");

        migrationBuilder.CreateIndex(
            name: "IX_Denials_Caller",
            table: "Denials",
            column: "Caller");

        migrationBuilder.CreateIndex(
            name: "IX_Denials_Id",
            table: "Denials",
            column: "Id",
            unique: true);

        migrationBuilder.CreateIndex(
            name: "IX_Denials_TimeMilliseconds",
            table: "Denials",
            column: "TimeMilliseconds");

        migrationBuilder.CreateIndex(
            name: "IX_PendingChanges_State",
            table: "PendingChanges",
            column: "State");
    }

    protected override void Down(MigrationBuilder migrationBuilder)
    {
        migrationBuilder.DropTable(
            name: "ApiTokens");

        migrationBuilder.DropTable(
            name: "Blocks");

        migrationBuilder.DropTable(
            name: "Denials");

        migrationBuilder.DropTable(
            name: "PendingChanges");

        migrationBuilder.DropColumn(
            name: "Ticket",
            table: "PolicyVersions");

        migrationBuilder.DropColumn(
            name: "EndedTicket",
            table: "Exceptions");

        migrationBuilder.DropColumn(
            name: "Ticket",
            table: "Exceptions");
    }
}
