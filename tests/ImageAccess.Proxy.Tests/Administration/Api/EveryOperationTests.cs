using System.Globalization;
using System.Reflection;
using System.Text;
using System.Text.Json;
using ImageAccess.Proxy.Policies.Store;
using Microsoft.AspNetCore.Http.Metadata;
using Microsoft.AspNetCore.Routing;
using Microsoft.EntityFrameworkCore;

namespace ImageAccess.Proxy.Tests.Administration.Api;

/// <summary>What holds for each operation that is mapped, a new one included: no bad body changes anything, and what is another organization's is not there.</summary>
public sealed class EveryOperationTests : IAsyncLifetime
{
    private const string Mark = "\u202e";

    private readonly ApiRoom _room = new();
    private long _exception;
    private long _block;
    private long _change;
    private long _request;
    private long _emergency;

    public async Task InitializeAsync()
    {
        await _room.InitializeAsync();
        await _room.ImportAsync(ApiRoom.Policy.Replace("\"companyOwners\"", "\"changes\": { \"approvals\": 2 }, \"companyOwners\"", StringComparison.Ordinal)
            .Replace("\"alice\" ]", "\"alice\", \"ann\" ]", StringComparison.Ordinal).Replace("\"gail\" ]", "\"gail\", \"gil\" ]", StringComparison.Ordinal)
            .Replace("\"carol\" ]", "\"carol\", \"cyd\" ]", StringComparison.Ordinal));
        _exception = await _room.ExceptionAsync();
        _block = (await _room.SendAsync("POST", "/api/v1/blocks", await _room.TokenAsync("company-owner", null), """{ "image": "evil/tool", "reason": "malware" }""")).Json.GetProperty("id").GetInt64();
        _change = await WaitingAsync("acme", "alice");
        _request = await _room.RequestAsync();
        _emergency = (await _room.BreakGlassAsync()).Id;
        await Eventually.TrueAsync(() => !_room.Service<PolicyHistory>().IsWaiting);
    }

    public Task DisposeAsync() => _room.DisposeAsync();

    [Fact]
    public async Task No_bad_body_changes_anything()
    {
        var (token, before) = (await _room.TokenAsync("company-owner", null, "carol"), await CountAsync());
        var (wrong, taking) = (new List<string>(), 0);
        foreach (var endpoint in Endpoints().Where(endpoint => endpoint.Metadata.GetMetadata<IAcceptsMetadata>() is not null))
        {
            taking++;
            var (method, target) = (Method(endpoint), Target(endpoint));
            var body = endpoint.Metadata.GetMetadata<IAcceptsMetadata>()!.RequestType!;
            foreach (var (what, bytes, status) in Bodies(body))
            {
                var answer = await _room.SendBytesAsync(method, target, token, bytes, await TagAsync(endpoint));
                var isRight = (status == 413 ? answer.Status == 413 : answer.Status is 400 or 404 or 409) && answer.MediaType == "application/problem+json" && !answer.Text.Contains(Mark, StringComparison.Ordinal);
                if (!isRight)
                    wrong.Add($"{method} {target} with {what}: {answer.Status} {answer.Text}");
            }
        }

        Assert.Empty(wrong);
        Assert.True(taking >= 8, "the operations that take a body are not found");
        Assert.Equal(before, await CountAsync());
    }

    [Fact]
    public async Task What_is_another_organizations_is_not_there_by_any_operation()
    {
        var others = new Dictionary<string, string>
        {
            ["exceptions"] = Number(await _room.ExceptionAsync("globex")),
            ["tokens"] = Number((await _room.MakeAsync("auditor", "globex")).Id),
            ["changes"] = Number(await WaitingAsync("globex", "gail")),
            ["denials"] = await _room.DenyAsync("hank", "globex"),
            ["requests"] = Number(await _room.RequestAsync("globex")),
            ["break-glass"] = Number((await _room.BreakGlassAsync("globex")).Id),
        };
        var token = await _room.TokenAsync("administrator", person: "ann");
        var (before, seen) = (await CountAsync(), 0);
        foreach (var endpoint in Endpoints().Where(endpoint => endpoint.RoutePattern.Parameters.Any(parameter => parameter.Name == "id")))
        {
            var kind = endpoint.RoutePattern.RawText!.Split('/')[3];
            if (kind == "blocks")
                continue; // they are every organization's, and each token reads them
            Assert.True(others.TryGetValue(kind, out var other), $"{endpoint.RoutePattern.RawText}: say here of what another organization has one");
            var theirs = await AskAsync(other);
            var nobodys = await AskAsync($"{other}000000");
            Assert.Equal((404, "application/problem+json"), (theirs.Status, theirs.MediaType));
            Assert.Equal(nobodys.Text, theirs.Text.Replace($" {other}", $" {other}000000", StringComparison.Ordinal));
            seen++;

            Task<ApiAnswer> AskAsync(string id) => _room.SendAsync(Method(endpoint), Filled(endpoint, id), token, Method(endpoint) == "GET" ? null : """{ "reason": "because" }""");
        }

        Assert.True(seen >= 6, "the operations with a number are not found");
        Assert.Equal(before, await CountAsync());
    }

    /// <summary>Whatever an operation takes, one thing of it is wrong.</summary>
    private static IEnumerable<(string What, byte[] Body, int Status)> Bodies(Type type)
    {
        var members = type == typeof(JsonElement) ? ["name"] : type.GetConstructors()[0].GetParameters().Select(parameter => JsonNamingPolicy.CamelCase.ConvertName(parameter.Name!)).ToArray();
        var optional = type == typeof(JsonElement) ? ["help"] : type.GetProperties(BindingFlags.Public | BindingFlags.Instance)
            .Where(property => property.PropertyType == typeof(string)).Select(property => JsonNamingPolicy.CamelCase.ConvertName(property.Name)).Except(members).ToArray();
        if (members.Length == 0)
            (members, optional) = (optional[..1], optional[1..]);
        yield return ("nothing", [], 400);
        yield return ("a beginning", Utf8("{ \"a\": "), 400);
        yield return ("null", Utf8("null"), 400);
        yield return ("a list", Utf8("[]"), 400);
        yield return ("a number", Utf8("5"), 400);
        yield return ("a text", Utf8("\"x\""), 400);
        yield return ("more than one", Utf8("{} {}"), 400);
        yield return ("a deep one", Utf8(string.Concat(Enumerable.Repeat("{\"name\":", 5000))), 400);
        yield return ("an unknown member", Utf8(Object(members, "x", ", \"unheard\": 1")), 400);
        yield return ("a member of another case", Utf8(Object([.. members.Select(member => member.ToUpperInvariant())], "x")), 400);
        yield return ("a member twice", Utf8(Object(members, "x", $", \"{members[0]}\": \"y\"")), 400);
        yield return ("what is no UTF-8", [.. Utf8($"{{ \"{members[0]}\": \"a"), 0xff, .. Utf8("\" }")], 400);
        yield return ("ten megabytes", Utf8(Object(members, new string('x', 10_000_000))), 413);
        foreach (var member in members.Concat(optional))
        {
            yield return ($"a mark of direction in {member}", Utf8(Object([.. members.Except([member])], "x", $", \"{member}\": \"a{Mark}b\"")), 400);
            yield return ($"half a character in {member}", Utf8(Object([.. members.Except([member])], "x", $", \"{member}\": \"\\ud800\"")), 400);
            yield return ($"an object as {member}", Utf8(Object([.. members.Except([member])], "x", $", \"{member}\": {{}}")), 400);
        }
    }

    private static string Object(IReadOnlyCollection<string> members, string value, string more = "")
    {
        var all = string.Join(", ", members.Select(member => $"\"{member}\": \"{value}\"")) + more;
        return $"{{ {all.TrimStart(',', ' ')} }}";
    }

    private static byte[] Utf8(string text) => Encoding.UTF8.GetBytes(text);

    private static string Method(RouteEndpoint endpoint) => endpoint.Metadata.GetMetadata<IHttpMethodMetadata>()!.HttpMethods[0];

    private static string Number(long id) => id.ToString(CultureInfo.InvariantCulture);

    private static string Filled(RouteEndpoint endpoint, string id) =>
        endpoint.RoutePattern.RawText!.Replace("{id:long}", id, StringComparison.Ordinal).Replace("{id}", id, StringComparison.Ordinal);

    private IEnumerable<RouteEndpoint> Endpoints() => _room.Service<EndpointDataSource>().Endpoints.OfType<RouteEndpoint>().Where(endpoint => endpoint.RoutePattern.RawText!.StartsWith("/api/v1/", StringComparison.Ordinal));

    /// <summary>With something that is there, so that the body is what is wrong.</summary>
    private string Target(RouteEndpoint endpoint)
    {
        var pattern = endpoint.RoutePattern.RawText!;
        var id = pattern.Split('/')[3] switch { "blocks" => _block, "changes" => _change, "requests" => _request, "break-glass" => _emergency, _ => _exception };
        var target = Filled(endpoint, Number(id))
            .Replace("{organization}", "acme", StringComparison.Ordinal).Replace("{version}", _room.Service<IPolicyStore>().Current.Version, StringComparison.Ordinal);
        return Method(endpoint) == "PUT" ? $"{target}?reason=because" : target;
    }

    private async Task<string?> TagAsync(RouteEndpoint endpoint) => Method(endpoint) != "PUT" ? null
        : (await _room.SendAsync("GET", Filled(endpoint, "0").Replace("{organization}", "acme", StringComparison.Ordinal), await _room.TokenAsync("company-owner", null))).Tag;

    private async Task<long> WaitingAsync(string organization, string owner)
    {
        var until = $"{DateTime.UtcNow.AddDays(3):yyyy-MM-dd}T00:00:00Z";
        var asked = await _room.SendAsync(
            "POST", "/api/v1/exceptions", await _room.TokenAsync("owner", organization, owner), $$"""{ "organization": "{{organization}}", "image": "waits/tool", "reason": "a trial", "until": "{{until}}" }""");
        Assert.Equal(202, asked.Status);
        return asked.Json.GetProperty("waiting").GetProperty("id").GetInt64();
    }

    /// <summary>What there is of everything that a person changes.</summary>
    private async Task<string> CountAsync()
    {
        var (versions, exceptions, ended, waiting, revoked) = await _room.Database.ReadAsync(
            async context => (
                await context.PolicyVersions.CountAsync(),
                await context.Exceptions.CountAsync(),
                await context.Exceptions.CountAsync(row => row.Ended != null),
                await context.PendingChanges.CountAsync(row => row.State == "waiting"),
                await context.ApiTokens.CountAsync(row => row.Revoked != null)),
            default);
        _room.Service<PolicyStore>().Refresh();
        return $"{versions} versions, {exceptions} exceptions, {ended} ended, {waiting} waiting, {revoked} tokens revoked, {_room.Service<IPolicyStore>().Current.Blocks.Count} blocks";
    }
}
