using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using ImageAccess.Core.Hosts;
using ImageAccess.Core.Oci;

namespace ImageAccess.Core.Policies;

/// <summary>What is wrong at which place of a policy document.</summary>
/// <param name="Path">The place, as <c>organizations[0].allow.official</c>.</param>
/// <param name="Message">What is wrong there.</param>
public sealed record PolicyProblem(string Path, string Message)
{
    public override string ToString() => Path.Length == 0 ? Message : $"{Path}: {Message}";
}

/// <summary>Compiles the document that a person edits into the snapshot that is in force, and reports all problems at once.</summary>
public static class PolicyCompiler
{
    private static readonly UTF8Encoding StrictUtf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    private static readonly JsonDocumentOptions Options = new()
    {
        CommentHandling = JsonCommentHandling.Skip,
        AllowTrailingCommas = true,
        MaxDepth = 16,
    };

    /// <param name="utf8">The document: JSON, comments allowed.</param>
    /// <param name="policy">The snapshot, when there are no problems.</param>
    /// <param name="problems">Every problem found.</param>
    public static bool TryCompile(ReadOnlyMemory<byte> utf8, [NotNullWhen(true)] out Policy? policy, out IReadOnlyList<PolicyProblem> problems)
    {
        policy = null;
        var found = new List<PolicyProblem>();
        problems = found;
        try
        {
            _ = StrictUtf8.GetCharCount(utf8.Span);
            using var json = JsonDocument.Parse(WithoutMark(utf8), Options);
            var document = new Reader(found).ReadDocument(new Node("", json.RootElement));
            if (found.Count == 0)
                policy = new Policy(document, Convert.ToHexStringLower(SHA256.HashData(utf8.Span))[..12]);
        }
        catch (JsonException exception)
        {
            found.Add(new PolicyProblem("", JsonMistake.Describe(WithoutMark(utf8).Span, exception)));
        }
        catch (DecoderFallbackException)
        {
            found.Add(new PolicyProblem("", "not valid UTF-8"));
        }

        return policy is not null;
    }

    private static ReadOnlyMemory<byte> WithoutMark(ReadOnlyMemory<byte> utf8) =>
        utf8.Span.StartsWith((ReadOnlySpan<byte>)[0xEF, 0xBB, 0xBF]) ? utf8[3..] : utf8;

    /// <summary>A value and its place.</summary>
    private readonly record struct Node(string Path, JsonElement Value)
    {
        public Node Member(string name, JsonElement value) => new(Path.Length == 0 ? name : $"{Path}.{name}", value);

        public IEnumerable<Node> Items()
        {
            var path = Path;
            return Value.EnumerateArray().Select((item, index) => new Node($"{path}[{index}]", item));
        }
    }

    private sealed class Reader(List<PolicyProblem> problems)
    {
        private readonly Dictionary<string, (string Account, string Path)> _accounts = new(StringComparer.Ordinal);

        public PolicyDocument ReadDocument(Node node)
        {
            var members = Members(node, "defaultOrganization", "company", "callers", "exceptions", "changes", "companyOwners", "organizations");
            if (node.Value.ValueKind == JsonValueKind.Object && !node.Value.EnumerateObject().Any())
                Report(node.Path, "is empty: to switch image access off on purpose, write { \"organizations\": [] }");
            var organizations = Items(members, "organizations").Select(ReadOrganization).ToList();
            ReportSharedNames(organizations);

            var defaultOrganization = Name(members, "defaultOrganization");
            if (defaultOrganization is not null && organizations.All(o => o.Name != defaultOrganization))
                Report("defaultOrganization", $"no organization is named {defaultOrganization}");

            var companyOwners = Holders(members, "companyOwners", "name", "account", "external");
            var changes = members.TryGetValue("changes", out var demands) ? ReadChanges(demands) : new ChangesDocument();
            if (changes.Approvals > 1)
                ReportTooFewApprovers(organizations, companyOwners);

            return new PolicyDocument
            {
                DefaultOrganization = defaultOrganization,
                Company = Flag(members, "company"),
                Callers = members.TryGetValue("callers", out var callers) ? ReadCallers(callers) : new CallersDocument(),
                Exceptions = members.TryGetValue("exceptions", out var exceptions) ? ReadExceptions(exceptions) : new ExceptionsDocument(),
                Changes = changes,
                CompanyOwners = companyOwners,
                Organizations = organizations,
                Accounts = [.. _accounts.Select(named => new NamedAccount(named.Key, named.Value.Account))],
            };
        }

        /// <summary>A namespace, and a name that an access token may use, belongs to one organization.</summary>
        private void ReportSharedNames(List<OrganizationDocument> organizations)
        {
            var holders = new Dictionary<string, int>(StringComparer.Ordinal);
            for (var i = 0; i < organizations.Count; i++)
            {
                var name = organizations[i].Name;
                foreach (var account in organizations[i].Namespaces.Append(name).Where(account => account.Length > 0).Distinct())
                {
                    if (holders.TryAdd(account, i))
                        continue;
                    var sameName = organizations[holders[account]].Name == name;
                    if (sameName && account == name)
                        Report($"organizations[{i}]", $"the organization {name} comes twice");
                    else if (!sameName)
                        Report($"organizations[{i}]", $"the namespace {account} belongs to organizations[{holders[account]}] as well");
                }
            }
        }

        private CallersDocument ReadCallers(Node node)
        {
            var members = Members(node, "anonymous", "outsiders", "organizationTokens", "owners");
            return new CallersDocument
            {
                DenyAnonymous = Choice(members, "anonymous", "member", "deny") == "deny",
                DenyOutsiders = Choice(members, "outsiders", "member", "deny") == "deny",
                DenyOrganizationTokens = Choice(members, "organizationTokens", "deny", "member") == "deny",
                JudgeOwners = Choice(members, "owners", "exempt", "judged") == "judged",
            };
        }

        private ExceptionsDocument ReadExceptions(Node node)
        {
            var members = Members(node, "allowed", "maximumDays");
            return new ExceptionsDocument
            {
                Forbidden = members.ContainsKey("allowed") && !Flag(members, "allowed"),
                MaximumDays = Number(members, "maximumDays", GrantedException.LongestDays),
            };
        }

        private ChangesDocument ReadChanges(Node node)
        {
            var members = Members(node, "approvals", "ticket");
            return new ChangesDocument
            {
                Approvals = Number(members, "approvals", largest: 2) ?? 1,
                DemandsTicket = Flag(members, "ticket"),
            };
        }

        /// <summary>Where two persons are needed, and fewer could ever approve: nothing could be opened again, this demand included.</summary>
        private void ReportTooFewApprovers(List<OrganizationDocument> organizations, List<RoleHolder> companyOwners)
        {
            foreach (var organization in organizations)
            {
                List<RoleHolder> holders = [.. organization.Roles.Administrators, .. organization.Roles.Approvers];
                var names = holders.Concat(companyOwners).Select(holder => holder.Name).Concat(organization.Owners).Distinct().Count();
                if (names < 2 && !holders.Exists(holder => holder.IsTeam))
                {
                    Report("changes.approvals", $"2 persons are needed, and {organization.Name} names {names} who may approve: "
                        + "name others in its owners, in roles.administrators or roles.approvers, or a team there, as { \"team\": \"owners\" }");
                }
            }
        }

        private RolesDocument ReadRoles(Node node)
        {
            var members = Members(node, "administrators", "approvers", "auditors", "onCall");
            return new RolesDocument
            {
                Administrators = Of("administrators"),
                Approvers = Of("approvers"),
                Auditors = Of("auditors"),
                OnCall = Of("onCall"),
            };

            List<RoleHolder> Of(string role) => Holders(members, role, "name", "account", "external", "team");
        }

        private OrganizationDocument ReadOrganization(Node node)
        {
            var members = Members(
                node, "name", "namespaces", "owners", "members", "roles", "follow", "enabled", "mode", "observeUntil", "allow", "allowlist", "help", "registries");
            if (node.Value.ValueKind == JsonValueKind.Object && !members.ContainsKey("name"))
                Report(node.Path, "an organization needs a name");
            var allow = members.TryGetValue("allow", out var switches)
                ? Members(switches, "official", "verifiedPublisher", "community")
                : [];
            var owners = People(members, "owners", "name", "account", "external");

            return new OrganizationDocument
            {
                Name = Name(members, "name") ?? "",
                Namespaces = Names(members, "namespaces"),
                Owners = [.. owners.Select(owner => owner.Name)],
                ExternalOwners = [.. owners.Where(owner => owner.IsExternal).Select(owner => owner.Name)],
                Members = [.. People(members, "members", "name", "account").Select(member => member.Name)],
                Roles = members.TryGetValue("roles", out var roles) ? ReadRoles(roles) : new RolesDocument(),
                FollowsDockerHub = Follows(members),
                Enabled = Flag(members, "enabled"),
                Observe = Choice(members, "mode", "enforce", "observe") == "observe",
                ObserveUntil = Day(members, "observeUntil"),
                AllowOfficial = Flag(allow, "official"),
                AllowVerifiedPublisher = Flag(allow, "verifiedPublisher"),
                AllowCommunity = Flag(allow, "community"),
                Allowlist = [.. Items(members, "allowlist").Select(ReadAllowlistEntry)],
                Help = Text(members, "help", maximumLength: 200),
                Registries = members.TryGetValue("registries", out var registries) ? ReadRegistries(registries) : new RegistriesDocument(),
            };
        }

        private RegistriesDocument ReadRegistries(Node node)
        {
            var members = Members(node, "enabled", "custom");
            var custom = Items(members, "custom").Select(ReadRegistry).OfType<RegistryDocument>().ToList();
            if (custom.Count > RegistriesDocument.Maximum)
                Report(members["custom"].Path, string.Create(CultureInfo.InvariantCulture, $"has {custom.Count} registries, and may have {RegistriesDocument.Maximum}"));
            foreach (var twice in custom.GroupBy(registry => registry.Address, StringComparer.OrdinalIgnoreCase).Where(same => same.Count() > 1))
                Report(members["custom"].Path, $"the registry {twice.Key} comes twice");
            return new RegistriesDocument { Enabled = Flag(members, "enabled"), Custom = custom };
        }

        private RegistryDocument? ReadRegistry(Node node)
        {
            var members = Members(node, "address", "name", "allowed");
            if (node.Value.ValueKind == JsonValueKind.Object && !members.ContainsKey("address"))
                Report(node.Path, "a registry needs an address");
            var (address, name, allowed) = (Text(members, "address", maximumLength: 260), Text(members, "name", RegistryDocument.MaximumName), Flag(members, "allowed"));
            if (address is null)
                return null;
            if (RegistryPattern.TryParse(address, out _))
                return new RegistryDocument(address, name, allowed);
            Report(members["address"].Path, "not a registry, as ghcr.io, *.example.com or registry.example.com:5000");
            return null;
        }

        private AllowlistEntry ReadAllowlistEntry(Node node)
        {
            var members = Members(node, "repository", "reason", "approvedBy", "expires");
            var repository = ReadApproved(node, members, out var @namespace);
            return new AllowlistEntry(@namespace, repository, Day(members, "expires"))
            {
                Reason = Text(members, "reason", maximumLength: 1000),
                ApprovedBy = Text(members, "approvedBy", maximumLength: 200),
            };
        }

        private RepositoryName? ReadApproved(Node node, Dictionary<string, Node> members, out string @namespace)
        {
            @namespace = "";
            if (Text(members, "repository", RepositoryName.MaximumLength) is not { } text)
            {
                if (node.Value.ValueKind == JsonValueKind.Object && !members.ContainsKey("repository"))
                    Report(node.Path, "an allowlist entry needs a repository");
                return null;
            }

            if (text.EndsWith("/*", StringComparison.Ordinal) && AccountName.IsNamespace(text[..^2]))
            {
                @namespace = text[..^2];
                return null;
            }

            if (RepositoryName.TryParse(text, out var repository) && AccountName.IsNamespace(repository.Namespace))
                @namespace = repository.Namespace;
            else
                Report(members["repository"].Path, "not a repository, as testcontainers/ryuk or testcontainers/*");
            return repository;
        }

        private string? Name(Dictionary<string, Node> members, string name) =>
            members.TryGetValue(name, out var node) ? NameOf(node) : null;

        private IReadOnlyList<string> Names(Dictionary<string, Node> members, string name) =>
            [.. Items(members, name).Select(NameOf).OfType<string>()];

        /// <summary>User names, each by itself or as an object with its account; Docker Hub keeps them in lower case.</summary>
        private List<Person> People(Dictionary<string, Node> members, string name, params string[] known) =>
            [.. Items(members, name).Select(node => PersonOf(node, known)).OfType<Person>()];

        /// <summary>Who has a role: persons, and teams where they are known.</summary>
        private List<RoleHolder> Holders(Dictionary<string, Node> members, string name, params string[] known) =>
            [.. Items(members, name).Select(node => HolderOf(node, known)).OfType<RoleHolder>()];

        private RoleHolder? HolderOf(Node node, string[] known)
        {
            if (known.Contains("team") && node.Value.ValueKind == JsonValueKind.Object && node.Value.EnumerateObject().Any(member => NameOrNull(member) == "team"))
                return TeamOf(node);
            return PersonOf(node, known) is { } person ? new RoleHolder(person.Name, IsTeam: false, person.IsExternal) : null;
        }

        private RoleHolder? TeamOf(Node node)
        {
            var members = Members(node, "team");
            if (!members.TryGetValue("team", out var named) || TextOf(named, RoleHolder.MaximumTeam) is not { } text)
                return null;
            if (AccountName.IsUser(text.ToLowerInvariant()))
                return new RoleHolder(text.ToLowerInvariant(), IsTeam: true, IsExternal: false);
            Report(named.Path, "not a team of Docker Hub: lower-case letters, digits, - and _");
            return null;
        }

        private Person? PersonOf(Node node, string[] known)
        {
            if (node.Value.ValueKind != JsonValueKind.Object)
                return UserNameOf(node) is { } name ? new Person(name, IsExternal: false) : null;
            var members = Members(node, known);
            var username = members.TryGetValue("name", out var named) ? UserNameOf(named) : null;
            if (named.Path is null)
                Report(node.Path, "needs the user's name");
            if (members.TryGetValue("account", out var written) && AccountOf(written) is { } account && username is not null)
                Remember(username, account, written.Path);
            var isExternal = Flag(members, "external");
            return username is null ? null : new Person(username, isExternal);
        }

        private void Remember(string username, string account, string path)
        {
            if (!_accounts.TryAdd(username, (account, path)) && _accounts[username] is var (other, place) && other != account)
                Report(path, $"{username} has another account at {place}");
        }

        private string? UserNameOf(Node node)
        {
            var text = TextOf(node, AccountName.MaximumLength);
            if (text is null || AccountName.IsUser(text.ToLowerInvariant()))
                return text?.ToLowerInvariant();
            Report(node.Path, $"'{text}' is not a Docker Hub user name: {AccountName.UserRule}");
            return null;
        }

        /// <summary>Docker Hub's id of an account, as its member lists write it (bare) or as its tokens do (with dashes).</summary>
        private string? AccountOf(Node node)
        {
            var text = TextOrNull(node.Value);
            if (Guid.TryParseExact(text, "N", out var id) || Guid.TryParseExact(text, "D", out id))
                return id.ToString("N");
            Report(node.Path, "must be Docker Hub's id of the account: 32 hexadecimal digits, as the log and the audit trail show it");
            return null;
        }

        private string? NameOf(Node node)
        {
            var text = TextOf(node, RepositoryName.MaximumLength);
            if (text is null)
                return null;
            if (text == RepositoryName.Library)
                Report(node.Path, "library is the namespace of the official images and belongs to no organization");
            else if (AccountName.IsNamespace(text))
                return text;
            else
                Report(node.Path, $"not a Docker Hub namespace: {AccountName.NamespaceRule}");
            return null;
        }

        private bool Flag(Dictionary<string, Node> members, string name)
        {
            if (!members.TryGetValue(name, out var node))
                return false;
            if (node.Value.ValueKind is not (JsonValueKind.True or JsonValueKind.False))
                Report(node.Path, "must be true or false");
            return node.Value.ValueKind == JsonValueKind.True;
        }

        private bool Follows(Dictionary<string, Node> members)
        {
            if (!members.TryGetValue("follow", out var node))
                return false;
            if (TextOrNull(node.Value) == "docker-hub")
                return true;
            Report(node.Path, "must be \"docker-hub\"");
            return false;
        }

        private int? Number(Dictionary<string, Node> members, string name, int largest)
        {
            if (!members.TryGetValue(name, out var node))
                return null;
            if (node.Value.ValueKind == JsonValueKind.Number && node.Value.TryGetInt32(out var number) && number >= 1 && number <= largest)
                return number;
            Report(node.Path, $"must be a number from 1 to {largest}");
            return null;
        }

        private string Choice(Dictionary<string, Node> members, string name, string first, string second)
        {
            if (!members.TryGetValue(name, out var node))
                return first;
            var text = TextOrNull(node.Value);
            if (text != first && text != second)
                Report(node.Path, $"must be \"{first}\" or \"{second}\"");
            return text ?? first;
        }

        private DateOnly? Day(Dictionary<string, Node> members, string name)
        {
            if (!members.TryGetValue(name, out var node))
                return null;
            if (DateOnly.TryParseExact(TextOrNull(node.Value), "yyyy-MM-dd", CultureInfo.InvariantCulture, DateTimeStyles.None, out var day))
                return day;
            Report(node.Path, "must be a day, as \"2027-06-30\"");
            return null;
        }

        private string? Text(Dictionary<string, Node> members, string name, int maximumLength) =>
            members.TryGetValue(name, out var node) ? TextOf(node, maximumLength) : null;

        private string? TextOf(Node node, int maximumLength)
        {
            if (TextOrNull(node.Value) is not { } text)
                Report(node.Path, "must be a text");
            else if (text.Length == 0 || text.Length > maximumLength)
                Report(node.Path, $"must have 1 to {maximumLength} characters");
            else
                return text;
            return null;
        }

        private IEnumerable<Node> Items(Dictionary<string, Node> members, string name)
        {
            if (!members.TryGetValue(name, out var node))
                return [];
            if (node.Value.ValueKind == JsonValueKind.Array)
                return node.Items();
            Report(node.Path, "must be a list");
            return [];
        }

        private Dictionary<string, Node> Members(Node node, params ReadOnlySpan<string> known)
        {
            var members = new Dictionary<string, Node>(StringComparer.Ordinal);
            if (node.Value.ValueKind != JsonValueKind.Object)
            {
                Report(node.Path, "must be an object");
                return members;
            }

            foreach (var property in node.Value.EnumerateObject())
            {
                if (NameOrNull(property) is not { } name)
                {
                    Report(node.Path, "the name of a member is not a text");
                    continue;
                }

                var member = node.Member(name, property.Value);
                if (!known.Contains(name))
                    Report(member.Path, $"unknown member; known here: {string.Join(", ", known)}");
                else if (!members.TryAdd(name, member))
                    Report(member.Path, "comes twice");
            }

            return members;
        }

        /// <summary>The text; null for a value of another kind, and where an escape is half of a surrogate pair.</summary>
        private static string? TextOrNull(JsonElement value)
        {
            try
            {
                return value.ValueKind == JsonValueKind.String ? value.GetString() : null;
            }
            catch (InvalidOperationException)
            {
                return null;
            }
        }

        private static string? NameOrNull(JsonProperty property)
        {
            try
            {
                return property.Name;
            }
            catch (InvalidOperationException)
            {
                return null;
            }
        }

        private void Report(string path, string message) => problems.Add(new PolicyProblem(path, message));

        private sealed record Person(string Name, bool IsExternal);
    }
}
