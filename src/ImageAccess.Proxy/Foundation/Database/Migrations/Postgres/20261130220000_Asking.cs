using Microsoft.EntityFrameworkCore.Migrations;
using Npgsql.EntityFrameworkCore.PostgreSQL.Metadata;

#nullable disable

namespace ImageAccess.Proxy.Foundation.Database.Migrations.Postgres;

internal sealed partial class Asking : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder)
    {
        migrationBuilder.CreateTable(
            name: "AccessRequests",
            columns: table => new
            {
                Id = table.Column<long>(type: "bigint", nullable: false)
                    .Annotation("Npgsql:ValueGenerationStrategy", NpgsqlValueGenerationStrategy.IdentityByDefaultColumn),
                Image = table.Column<string>(type: "text", nullable: false),
                Organizations = table.Column<List<string>>(type: "text[]", nullable: false),
                At = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: false),
                UntilMilliseconds = table.Column<long>(type: "bigint", nullable: false),
                State = table.Column<string>(type: "character varying(16)", maxLength: 16, nullable: false),
                ClosedVersion = table.Column<long>(type: "bigint", nullable: true),
                Closed = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: true)
            },
            constraints: table =>
            {
                table.PrimaryKey("PK_AccessRequests", x => x.Id);
            });

        migrationBuilder.CreateTable(
            name: "ConfirmedAccounts",
            columns: table => new
            {
                Id = table.Column<long>(type: "bigint", nullable: false)
                    .Annotation("Npgsql:ValueGenerationStrategy", NpgsqlValueGenerationStrategy.IdentityByDefaultColumn),
                Name = table.Column<string>(type: "text", nullable: false),
                Account = table.Column<string>(type: "character varying(32)", maxLength: 32, nullable: false),
                Organization = table.Column<string>(type: "text", nullable: true),
                By = table.Column<string>(type: "text", nullable: false),
                At = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: false),
                Reason = table.Column<string>(type: "text", nullable: false),
                Ticket = table.Column<string>(type: "text", nullable: true),
                Version = table.Column<long>(type: "bigint", nullable: false),
                ReplacedVersion = table.Column<long>(type: "bigint", nullable: true)
            },
            constraints: table =>
            {
                table.PrimaryKey("PK_ConfirmedAccounts", x => x.Id);
            });

        migrationBuilder.CreateTable(
            name: "DataProtectionKeys",
            columns: table => new
            {
                Id = table.Column<long>(type: "bigint", nullable: false)
                    .Annotation("Npgsql:ValueGenerationStrategy", NpgsqlValueGenerationStrategy.IdentityByDefaultColumn),
                Name = table.Column<string>(type: "character varying(128)", maxLength: 128, nullable: false),
                WrappedBy = table.Column<string>(type: "character varying(16)", maxLength: 16, nullable: false),
                Wrapped = table.Column<byte[]>(type: "bytea", nullable: false),
                At = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: false)
            },
            constraints: table =>
            {
                table.PrimaryKey("PK_DataProtectionKeys", x => x.Id);
            });

        migrationBuilder.CreateTable(
            name: "Outbox",
            columns: table => new
            {
                Number = table.Column<long>(type: "bigint", nullable: false)
                    .Annotation("Npgsql:ValueGenerationStrategy", NpgsqlValueGenerationStrategy.IdentityByDefaultColumn),
                Id = table.Column<string>(type: "character varying(32)", maxLength: 32, nullable: true),
                Key = table.Column<string>(type: "character varying(128)", maxLength: 128, nullable: false),
                Origin = table.Column<string>(type: "character varying(32)", maxLength: 32, nullable: false),
                Receiver = table.Column<string>(type: "character varying(32)", maxLength: 32, nullable: false),
                Content = table.Column<string>(type: "text", nullable: false),
                CreatedMilliseconds = table.Column<long>(type: "bigint", nullable: false),
                State = table.Column<string>(type: "character varying(16)", maxLength: 16, nullable: false),
                Tries = table.Column<int>(type: "integer", nullable: false),
                NextMilliseconds = table.Column<long>(type: "bigint", nullable: false),
                Lease = table.Column<string>(type: "character varying(32)", maxLength: 32, nullable: true),
                SettledMilliseconds = table.Column<long>(type: "bigint", nullable: true)
            },
            constraints: table =>
            {
                table.PrimaryKey("PK_Outbox", x => x.Number);
            });

        migrationBuilder.CreateTable(
            name: "RequestAnswers",
            columns: table => new
            {
                Id = table.Column<long>(type: "bigint", nullable: false)
                    .Annotation("Npgsql:ValueGenerationStrategy", NpgsqlValueGenerationStrategy.IdentityByDefaultColumn),
                Request = table.Column<long>(type: "bigint", nullable: false),
                Organization = table.Column<string>(type: "text", nullable: false),
                State = table.Column<string>(type: "character varying(16)", maxLength: 16, nullable: false),
                By = table.Column<string>(type: "text", nullable: true),
                At = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: true),
                Comment = table.Column<string>(type: "text", nullable: true),
                Image = table.Column<string>(type: "text", nullable: true),
                Until = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: true),
                Exception = table.Column<long>(type: "bigint", nullable: true),
                Change = table.Column<long>(type: "bigint", nullable: true)
            },
            constraints: table =>
            {
                table.PrimaryKey("PK_RequestAnswers", x => x.Id);
            });

        migrationBuilder.CreateTable(
            name: "RequestSteps",
            columns: table => new
            {
                Version = table.Column<long>(type: "bigint", nullable: false),
                Request = table.Column<long>(type: "bigint", nullable: false),
                Step = table.Column<string>(type: "character varying(16)", maxLength: 16, nullable: false),
                State = table.Column<string>(type: "character varying(16)", maxLength: 16, nullable: false),
                Image = table.Column<string>(type: "text", nullable: false),
                Organizations = table.Column<List<string>>(type: "text[]", nullable: false),
                Organization = table.Column<string>(type: "text", nullable: true),
                By = table.Column<string>(type: "text", nullable: true),
                AskedBy = table.Column<List<string>>(type: "text[]", nullable: false),
                Reason = table.Column<string>(type: "text", nullable: true),
                Ticket = table.Column<string>(type: "text", nullable: true),
                Exception = table.Column<long>(type: "bigint", nullable: true),
                Change = table.Column<long>(type: "bigint", nullable: true),
                At = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: false)
            },
            constraints: table =>
            {
                table.PrimaryKey("PK_RequestSteps", x => x.Version);
            });

        migrationBuilder.CreateTable(
            name: "RequestVoices",
            columns: table => new
            {
                Id = table.Column<long>(type: "bigint", nullable: false)
                    .Annotation("Npgsql:ValueGenerationStrategy", NpgsqlValueGenerationStrategy.IdentityByDefaultColumn),
                Request = table.Column<long>(type: "bigint", nullable: false),
                Person = table.Column<string>(type: "text", nullable: false),
                Reason = table.Column<string>(type: "text", nullable: false),
                Days = table.Column<int>(type: "integer", nullable: false),
                Ticket = table.Column<string>(type: "text", nullable: true),
                Denial = table.Column<string>(type: "text", nullable: true),
                AtMilliseconds = table.Column<long>(type: "bigint", nullable: false),
                Withdrawn = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: true)
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
