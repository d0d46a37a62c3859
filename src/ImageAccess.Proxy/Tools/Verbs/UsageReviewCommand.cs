using System.CommandLine;
using System.Globalization;
using ImageAccess.Proxy.Administration.Usage;
using ImageAccess.Proxy.Foundation.Files;

namespace ImageAccess.Proxy.Tools.Verbs;

/// <summary><c>imageaccess usage review QUESTION</c>: what a review of an organization asks.</summary>
internal static class UsageReviewCommand
{
    public static Command Build()
    {
        ReviewQuestion[] questions =
        [
            new ReviewQuestion<DeniedAgain>(
                UsageReviews.DeniedAgain,
                (store, filter, asked, cancellationToken) => UsageReview.DeniedAgainAsync(store, filter, asked.Denials, asked.Days, cancellationToken),
                ["caller", "repository", "denials", "days", "first", "last"],
                one => [[one.Caller, one.Repository, Plain(one.Denials), Plain(one.Days), Day(one.First), Day(one.Last)]]),
            new ReviewQuestion<UsedRepository>(
                UsageReviews.Community,
                (store, filter, _, cancellationToken) => UsageReview.CommunityAsync(store, filter, cancellationToken),
                ["repository", "people", "decisions", "pulls", "last"],
                one => [[one.Repository, Plain(one.People), Plain(one.Decisions), Plain(one.Pulls), Day(one.Last)]]),
            new ReviewQuestion<NewRepository>(
                UsageReviews.New,
                (store, filter, _, cancellationToken) => UsageReview.NewAsync(store, filter, cancellationToken),
                ["repository", "first", "decisions", "pulls"],
                one => [[one.Repository, Day(one.First), Plain(one.Decisions), Plain(one.Pulls)]]),
            new ReviewQuestion<MovedTag>(
                UsageReviews.Moved,
                (store, filter, asked, cancellationToken) => UsageReview.MovedAsync(store, filter, asked.Limit, cancellationToken),
                ["repository", "tag", "when", "from", "to"],
                one => one.Moves.Select(move => new[] { one.Repository, one.Tag, move.When.ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture), move.From, move.To })),
            new ReviewQuestion<AnonymousRange>(
                UsageReviews.Anonymous,
                (store, filter, _, cancellationToken) => UsageReview.AnonymousAsync(store, filter, cancellationToken),
                ["range", "decisions", "anonymous", "share"],
                one => [[one.Range, Plain(one.Decisions), Plain(one.Anonymous), one.Share.ToString("0.###", CultureInfo.InvariantCulture)]]),
        ];
        var names = string.Join(", ", questions.Select(question => question.Kind.Name));
        var what = new Argument<string>("QUESTION") { Description = $"One of {names}." };
        what.Validators.Add(result =>
        {
            if (Array.TrueForAll(questions, question => question.Kind.Name != result.GetValue(what)))
                result.AddError($"QUESTION: choose {names}");
        });
        var since = new Option<string?>("--since") { Description = "Of the last days, as 30d. Days begin at midnight, UTC.", HelpName = "TIME" };
        var organization = new Option<string?>("--organization") { Description = "Of callers whom it judged.", HelpName = "ORG" };
        var top = Number("--top", "The first findings alone.", UsageAnswer.DefaultLimit, UsageAnswer.MaximumLimit);
        var denials = Number("--denials", "denied-again: at least so many denials.", UsageReview.Denials, UsageReview.MaximumDenials);
        var days = Number("--days", "denied-again: on at least so many days.", UsageReview.Days, UsageQuestion.MaximumDays);
        var (csv, json, file) = (new Option<bool>("--csv") { Description = "Print CSV (RFC 4180) that a spreadsheet runs nothing of." }, Verb.Json(), Verb.ConfigurationFile());
        var command = new Command("review", "Tells what a review asks: who is denied again and again, which community repositories are used, what is new, which tags moved, where nobody signs in.")
        {
            what, since, organization, top, denials, days, csv, json, file,
        };
        var server = new ServerOptions();
        server.AddTo(command);
        Verb.SetAction(command, async (parsed, cancellationToken) =>
        {
            if (parsed.GetValue(csv) && parsed.GetValue(json))
                throw new MisuseException("--csv does not go with --json");
            using var api = server.Find(parsed, file);
            var question = Array.Find(questions, question => question.Kind.Name == parsed.GetValue(what))!;
            var asked = new ReviewAsked(parsed.GetValue(since) ?? question.Kind.Since, parsed.GetValue(organization), parsed.GetValue(top), parsed.GetValue(denials), parsed.GetValue(days));
            var (answer, rows, found) = await question.AskAsync(api, parsed.GetValue(file), asked, cancellationToken);
            var output = parsed.InvocationConfiguration.Output;
            if (parsed.GetValue(json))
            {
                await Verb.WriteJsonAsync(output, answer);
            }
            else if (parsed.GetValue(csv))
            {
                await Csv.WriteAsync(output, [question.Columns, .. rows]);
            }
            else if (rows.Count == 0)
            {
                await output.WriteLineAsync("nothing of that time is found");
            }
            else
            {
                var table = new TextTable([.. question.Columns.Select(column => column.ToUpperInvariant())]);
                foreach (var row in rows)
                    table.Add(row);
                if (found > parsed.GetValue(top))
                    table.Note($"{TextTable.Count(found, "finding")} in all: --top shows more");
                await table.WriteAsync(output);
            }

            return Verb.Yes;
        });
        return command;
    }

    private static Option<int> Number(string name, string description, int otherwise, int maximum)
    {
        var option = new Option<int>(name) { Description = $"{description[..^1]}, at most {maximum}.", HelpName = "COUNT", DefaultValueFactory = _ => otherwise };
        option.Validators.Add(result =>
        {
            var number = result.GetValue(option);
            if (number < 1 || number > maximum)
                result.AddError($"{name}: choose a number from 1 to {maximum}");
        });
        return option;
    }

    private static string Plain(long number) => number.ToString(CultureInfo.InvariantCulture);

    private static string Day(DateTime time) => time.ToString("yyyy-MM-dd", CultureInfo.InvariantCulture);

    private sealed record ReviewAsked(string Since, string? Organization, int Limit, int Denials, int Days);

    private abstract class ReviewQuestion(ReviewKind kind, string[] columns)
    {
        public ReviewKind Kind => kind;

        public string[] Columns => columns;

        public abstract Task<(object Answer, List<string[]> Rows, int Found)> AskAsync(ServerApi? api, string? file, ReviewAsked asked, CancellationToken cancellationToken);
    }

    private sealed class ReviewQuestion<T>(
        ReviewKind kind, Func<UsageStore, UsageFilter, ReviewAsked, CancellationToken, Task<ReviewAnswer<T>>> ask, string[] columns, Func<T, IEnumerable<string[]>> rows)
        : ReviewQuestion(kind, columns)
    {
        public override async Task<(object Answer, List<string[]> Rows, int Found)> AskAsync(ServerApi? api, string? file, ReviewAsked asked, CancellationToken cancellationToken)
        {
            var isOfDenials = Kind == UsageReviews.DeniedAgain;
            var answer = api is null
                ? await AskAsync(file, asked, cancellationToken)
                : await api.GetAsync<ReviewAnswer<T>>(
                    $"usage/{Kind.Name}" + RunningProxy.Query(
                        ("since", asked.Since), ("organization", asked.Organization), ("limit", Plain(asked.Limit)), ("denials", isOfDenials ? Plain(asked.Denials) : null), ("days", isOfDenials ? Plain(asked.Days) : null)),
                    cancellationToken);
            return (answer, [.. answer.Items.SelectMany(rows)], answer.Found);
        }

        private async Task<ReviewAnswer<T>> AskAsync(string? file, ReviewAsked asked, CancellationToken cancellationToken)
        {
            var (now, question) = (TimeProvider.System.GetUtcNow(), new UsageQuestion());
            question.SinceDays(asked.Since, now).About(new UsageFilter { Organization = asked.Organization });
            if (question.Faults.Count > 0)
                throw new MisuseException([.. question.Faults.Select(fault => $"--{fault.Member} {fault.Fault}")]);
            var (database, store, options) = UsageCommands.Open(file);
            try
            {
                return (await ask(store, question.Filter, asked, cancellationToken)).Shown(Kind, question.Filter, asked.Limit, UsageDays.At(now, options));
            }
            catch (TooManyValuesException exception)
            {
                throw new MisuseException(exception.Message);
            }
            catch (Exception exception) when (exception is not OperationCanceledException)
            {
                throw new MisuseException($"{DatabaseCommands.Shown(database)}: {store.Name} {store.Explain(exception)}");
            }
        }
    }
}
