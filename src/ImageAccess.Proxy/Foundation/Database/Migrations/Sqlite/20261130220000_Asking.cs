using Microsoft.EntityFrameworkCore.Migrations;

#nullable disable

namespace ImageAccess.Proxy.Foundation.Database.Migrations.Sqlite;

internal sealed partial class Asking : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder)
    {
        migrationBuilder.CreateTable(
            name: "AccessRequests",
            columns: table => new
            {
                Id = table.Column<long>(type: "INTEGER", nullable: false)
                    .Annotation("Sqlite:Autoincrement", true),
                Image = table.Column<string>(type: "TEXT", nullable: false),
                Organizations = table.Column<string>(type: "TEXT", nullable: false),
                At = table.Column<DateTimeOffset>(type: "TEXT", nullable: false),
                UntilMilliseconds = table.Column<long>(type: "INTEGER", nullable: false),
                State = table.Column<string>(type: "TEXT", maxLength: 16, nullable: false),
                ClosedVersion = table.Column<long>(type: "INTEGER", nullable: true),
                Closed = table.Column<DateTimeOffset>(type: "TEXT", nullable: true)
            },
            constraints: table =>
            {
                table.PrimaryKey("PK_AccessRequests", x => x.Id);
            });

        migrationBuilder.CreateTable(
            name: "ConfirmedAccounts",
            columns: table => new
            {
                Id = table.Column<long>(type: "INTEGER", nullable: false)
                    .Annotation("Sqlite:Autoincrement", true),
                Name = table.Column<string>(type: "TEXT", nullable: false),
                Account = table.Column<string>(type: "TEXT", maxLength: 32, nullable: false),
                Organization = table.Column<string>(type: "TEXT", nullable: true),
                By = table.Column<string>(type: "TEXT", nullable: false),
                At = table.Column<DateTimeOffset>(type: "TEXT", nullable: false),
                Reason = table.Column<string>(type: "TEXT", nullable: false),
                Ticket = table.Column<string>(type: "TEXT", nullable: true),
                Version = table.Column<long>(type: "INTEGER", nullable: false),
                ReplacedVersion = table.Column<long>(type: "INTEGER", nullable: true)
            },
            constraints: table =>
            {
                table.PrimaryKey("PK_ConfirmedAccounts", x => x.Id);
            });

        migrationBuilder.CreateTable(
            name: "DataProtectionKeys",
            columns: table => new
            {
                Id = table.Column<long>(type: "INTEGER", nullable: false)
                    .Annotation("Sqlite:Autoincrement", true),
                Name = table.Column<string>(type: "TEXT", maxLength: 128, nullable: false),
                WrappedBy = table.Column<string>(type: "TEXT", maxLength: 16, nullable: false),
                Wrapped = table.Column<byte[]>(type: "BLOB", nullable: false),
                At = table.Column<DateTimeOffset>(type: "TEXT", nullable: false)
            },
            constraints: table =>
            {
                table.PrimaryKey("PK_DataProtectionKeys", x => x.Id);
            });

        migrationBuilder.CreateTable(
            name: "Outbox",
            columns: table => new
            {
                Number = table.Column<long>(type: "INTEGER", nullable: false)
                    .Annotation("Sqlite:Autoincrement", true),
                Id = table.Column<string>(type: "TEXT", maxLength: 32, nullable: true),
                Key = table.Column<string>(type: "TEXT", maxLength: 128, nullable: false),
                Origin = table.Column<string>(type: "TEXT", maxLength: 32, nullable: false),
                Receiver = table.Column<string>(type: "TEXT", maxLength: 32, nullable: false),
                Content = table.Column<string>(type: "TEXT", nullable: false),
                CreatedMilliseconds = table.Column<long>(type: "INTEGER", nullable: false),
                State = table.Column<string>(type: "TEXT", maxLength: 16, nullable: false),
                Tries = table.Column<int>(type: "INTEGER", nullable: false),
                NextMilliseconds = table.Column<long>(type: "INTEGER", nullable: false),
                Lease = table.Column<string>(type: "TEXT", maxLength: 32, nullable: true),
                SettledMilliseconds = table.Column<long>(type: "INTEGER", nullable: true)
            },
            constraints: table =>
            {
                table.PrimaryKey("PK_Outbox", x => x.Number);
            });

        migrationBuilder.CreateTable(
            name: "RequestAnswers",
            columns: table => new
            {
                Id = table.Column<long>(type: "INTEGER", nullable: false)
                    .Annotation("Sqlite:Autoincrement", true),
                Request = table.Column<long>(type: "INTEGER", nullable: false),
                Organization = table.Column<string>(type: "TEXT", nullable: false),
                State = table.Column<string>(type: "TEXT", maxLength: 16, nullable: false),
                By = table.Column<string>(type: "TEXT", nullable: true),
                At = table.Column<DateTimeOffset>(type: "TEXT", nullable: true),
                Comment = table.Column<string>(type: "TEXT", nullable: true),
                Image = table.Column<string>(type: "TEXT", nullable: true),
                Until = table.Column<DateTimeOffset>(type: "TEXT", nullable: true),
                Exception = table.Column<long>(type: "INTEGER", nullable: true),
                Change = table.Column<long>(type: "INTEGER", nullable: true)
            },
            constraints: table =>
            {
                table.PrimaryKey("PK_RequestAnswers", x => x.Id);
            });

        migrationBuilder.CreateTable(
            name: "RequestSteps",
            columns: table => new
            {
                Version = table.Column<long>(type: "INTEGER", nullable: false),
                Request = table.Column<long>(type: "INTEGER", nullable: false),
                Step = table.Column<string>(type: "TEXT", maxLength: 16, nullable: false),
                State = table.Column<string>(type: "TEXT", maxLength: 16, nullable: false),
                Image = table.Column<string>(type: "TEXT", nullable: false),
                Organizations = table.Column<string>(type: "TEXT", nullable: false),
                Organization = table.Column<string>(type: "TEXT", nullable: true),
                By = table.Column<string>(type: "TEXT", nullable: true),
                AskedBy = table.Column<string>(type: "TEXT", nullable: false),
                Reason = table.Column<string>(type: "TEXT", nullable: true),
                Ticket = table.Column<string>(type: "TEXT", nullable: true),
                Exception = table.Column<long>(type: "INTEGER", nullable: true),
                Change = table.Column<long>(type: "INTEGER", nullable: true),
                At = table.Column<DateTimeOffset>(type: "TEXT", nullable: false)
            },
            constraints: table =>
            {
                table.PrimaryKey("PK_RequestSteps", x => x.Version);
            });

        migrationBuilder.CreateTable(
            name: "RequestVoices",
            columns: table => new
            {
                Id = table.Column<long>(type: "INTEGER", nullable: false)
                    .Annotation("Sqlite:Autoincrement", true),
                Request = table.Column<long>(type: "INTEGER", nullable: false),
                Person = table.Column<string>(type: "TEXT", nullable: false),
                Reason = table.Column<string>(type: "TEXT", nullable: false),
                Days = table.Column<int>(type: "INTEGER", nullable: false),
                Ticket = table.Column<string>(type: "TEXT", nullable: true),
                Denial = table.Column<string>(type: "TEXT", nullable: true),
                AtMilliseconds = table.Column<long>(type: "INTEGER", nullable: false),
                Withdrawn = table.Column<DateTimeOffset>(type: "TEXT", nullable: true)
            },
            constraints: table =>
            {
                table.PrimaryKey("PK_RequestVoices", x => x.Id);
            });

        migrationBuilder.CreateIndex(
            name: "IX_AccessRequests_ClosedVersion",
            table: "AccessRequests",
            column: "ClosedVersion");

        migrationBuilder.CreateIndex(
            name: "IX_AccessRequests_State_UntilMilliseconds",
            table: "AccessRequests",
            columns: new[] { "State", "UntilMilliseconds" });

        migrationBuilder.CreateIndex(
            name: "IX_ConfirmedAccounts_Name",
            table: "ConfirmedAccounts",
            column: "Name");

        migrationBuilder.CreateIndex(
            name: "IX_Outbox_Key_Receiver",
            table: "Outbox",
            columns: new[] { "Key", "Receiver" },
            unique: true);

        migrationBuilder.CreateIndex(
            name: "IX_Outbox_State_Receiver_NextMilliseconds",
            table: "Outbox",
            columns: new[] { "State", "Receiver", "NextMilliseconds" });

        migrationBuilder.CreateIndex(
            name: "IX_RequestAnswers_Change",
            table: "RequestAnswers",
            column: "Change");

        migrationBuilder.CreateIndex(
            name: "IX_RequestAnswers_Organization",
            table: "RequestAnswers",
            column: "Organization");

        migrationBuilder.CreateIndex(
            name: "IX_RequestAnswers_Request_Organization",
            table: "RequestAnswers",
            columns: new[] { "Request", "Organization" },
            unique: true);

        migrationBuilder.CreateIndex(
            name: "IX_RequestSteps_Request",
            table: "RequestSteps",
            column: "Request");

        migrationBuilder.CreateIndex(
            name: "IX_RequestVoices_Person_AtMilliseconds",
            table: "RequestVoices",
            columns: new[] { "Person", "AtMilliseconds" });

        migrationBuilder.CreateIndex(
            name: "IX_RequestVoices_Request_Person",
            table: "RequestVoices",
            columns: new[] { "Request", "Person" });
    }

    protected override void Down(MigrationBuilder migrationBuilder)
    {
        migrationBuilder.DropTable(
            name: "AccessRequests");

        migrationBuilder.DropTable(
            name: "ConfirmedAccounts");

        migrationBuilder.DropTable(
            name: "DataProtectionKeys");

        migrationBuilder.DropTable(
            name: "Outbox");

        migrationBuilder.DropTable(
            name: "RequestAnswers");

        migrationBuilder.DropTable(
            name: "RequestSteps");

        migrationBuilder.DropTable(
            name: "RequestVoices");
    }
}
