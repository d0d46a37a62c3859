using Microsoft.EntityFrameworkCore.Migrations;

#nullable disable

namespace ImageAccess.Proxy.Foundation.Database.Migrations.Sqlite;

internal sealed partial class Administration : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder)
    {
        migrationBuilder.AddColumn<string>(
            name: "Ticket",
            table: "PolicyVersions",
            type: "TEXT",
            nullable: true);

        migrationBuilder.AddColumn<string>(
            name: "EndedTicket",
            table: "Exceptions",
            type: "TEXT",
            nullable: true);

        migrationBuilder.AddColumn<string>(
            name: "Ticket",
            table: "Exceptions",
            type: "TEXT",
            nullable: true);

        migrationBuilder.CreateTable(
            name: "ApiTokens",
            columns: table => new
            {
                Id = table.Column<long>(type: "INTEGER", nullable: false)
                    .Annotation("Sqlite:Autoincrement", true),
                Label = table.Column<string>(type: "TEXT", maxLength: 64, nullable: false),
                Hash = table.Column<byte[]>(type: "BLOB", nullable: false),
                Person = table.Column<string>(type: "TEXT", nullable: true),
                Role = table.Column<string>(type: "TEXT", maxLength: 32, nullable: false),
                Organization = table.Column<string>(type: "TEXT", nullable: true),
                Created = table.Column<DateTimeOffset>(type: "TEXT", nullable: false),
                CreatedBy = table.Column<string>(type: "TEXT", nullable: false),
                ExpiresMilliseconds = table.Column<long>(type: "INTEGER", nullable: false),
                LastUsed = table.Column<DateTimeOffset>(type: "TEXT", nullable: true),
                Revoked = table.Column<DateTimeOffset>(type: "TEXT", nullable: true),
                RevokedBy = table.Column<string>(type: "TEXT", nullable: true),
                Waits = table.Column<bool>(type: "INTEGER", nullable: false),
                Told = table.Column<int>(type: "INTEGER", nullable: false)
            },
            constraints: table =>
            {
                table.PrimaryKey("PK_ApiTokens", x => x.Id);
            });

        migrationBuilder.CreateTable(
            name: "Blocks",
            columns: table => new
            {
                Key = table.Column<string>(type: "TEXT", maxLength: 32, nullable: false),
                Image = table.Column<string>(type: "TEXT", nullable: false),
                Reason = table.Column<string>(type: "TEXT", nullable: false),
                By = table.Column<string>(type: "TEXT", nullable: false),
                AtTicks = table.Column<long>(type: "INTEGER", nullable: false),
                Ticket = table.Column<string>(type: "TEXT", nullable: true),
                Version = table.Column<long>(type: "INTEGER", nullable: false),
                LiftedVersion = table.Column<long>(type: "INTEGER", nullable: true),
                LiftedReason = table.Column<string>(type: "TEXT", nullable: true),
                LiftedBy = table.Column<string>(type: "TEXT", nullable: true),
                LiftedAtTicks = table.Column<long>(type: "INTEGER", nullable: true),
                LiftedTicket = table.Column<string>(type: "TEXT", nullable: true)
            },
            constraints: table =>
            {
                table.PrimaryKey("PK_Blocks", x => x.Key);
            });

        migrationBuilder.CreateTable(
            name: "Denials",
            columns: table => new
            {
                Number = table.Column<long>(type: "INTEGER", nullable: false)
                    .Annotation("Sqlite:Autoincrement", true),
                Id = table.Column<string>(type: "TEXT", maxLength: 32, nullable: false),
                TimeMilliseconds = table.Column<long>(type: "INTEGER", nullable: false),
                Caller = table.Column<string>(type: "TEXT", nullable: true),
                Repository = table.Column<string>(type: "TEXT", nullable: true),
                Reference = table.Column<string>(type: "TEXT", nullable: true),
                Rule = table.Column<string>(type: "TEXT", nullable: false),
                Message = table.Column<string>(type: "TEXT", nullable: false),
                Organizations = table.Column<string>(type: "TEXT", nullable: false),
                Client = table.Column<string>(type: "TEXT", nullable: true),
                WayIn = table.Column<string>(type: "TEXT", nullable: true)
            },
            constraints: table =>
            {
                table.PrimaryKey("PK_Denials", x => x.Number);
            });

        migrationBuilder.CreateTable(
            name: "PendingChanges",
            columns: table => new
            {
                Id = table.Column<long>(type: "INTEGER", nullable: false)
                    .Annotation("Sqlite:Autoincrement", true),
                Kind = table.Column<string>(type: "TEXT", maxLength: 32, nullable: false),
                Organization = table.Column<string>(type: "TEXT", nullable: true),
                Payload = table.Column<string>(type: "TEXT", nullable: false),
                Opens = table.Column<string>(type: "TEXT", nullable: false),
                By = table.Column<string>(type: "TEXT", nullable: false),
                Person = table.Column<string>(type: "TEXT", nullable: false),
                Reason = table.Column<string>(type: "TEXT", nullable: false),
                Ticket = table.Column<string>(type: "TEXT", nullable: true),
                At = table.Column<DateTimeOffset>(type: "TEXT", nullable: false),
                UntilMilliseconds = table.Column<long>(type: "INTEGER", nullable: false),
                State = table.Column<string>(type: "TEXT", maxLength: 16, nullable: false),
                Version = table.Column<long>(type: "INTEGER", nullable: false),
                DecidedVersion = table.Column<long>(type: "INTEGER", nullable: true),
                DecidedBy = table.Column<string>(type: "TEXT", nullable: true),
                DecidedAt = table.Column<DateTimeOffset>(type: "TEXT", nullable: true),
                DecidedReason = table.Column<string>(type: "TEXT", nullable: true)
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
