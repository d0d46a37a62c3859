using System.Text.Json;
using BenchmarkDotNet.Attributes;
using ImageAccess.Core.Classification;
using ImageAccess.Core.Oci;
using ImageAccess.Core.Policies;

namespace ImageAccess.Benchmarks;

/// <summary>One decision, as the policy grows.</summary>
[MemoryDiagnoser]
public class Deciding
{
    private static readonly DateTimeOffset Now = new(2026, 5, 4, 0, 0, 0, TimeSpan.Zero);
    private static readonly Caller Member = Caller.SignedIn("member", "1");
    private static readonly PublisherFacts NoBadge =
        PublisherFacts.Known(new NamespaceRecord("someuser", NamespaceBadge.None, "hub", DateTimeOffset.UnixEpoch));

    private readonly RepositoryName _official = Name("library/nginx");
    private readonly RepositoryName _approved = Name("approved/image5");
    private readonly RepositoryName _community = Name("someuser/custom-image");
    private Policy _policy = Policy.Off;

    [Params(10, 100)]
    public int Organizations { get; set; }

    [Params(10, 1000)]
    public int AllowlistEntries { get; set; }

    [GlobalSetup]
    public void Compile()
    {
        var allowlist = Enumerable.Range(0, AllowlistEntries).Select(i => new { repository = $"approved/image{i}", reason = "measured" }).ToArray();
        var organizations = Enumerable.Range(0, Organizations).Select(i => new
        {
            name = $"organization{i}",
            members = i == 0 ? new[] { "member" } : [],
            enabled = true,
            allow = new { official = true },
            allowlist,
        });
        var document = JsonSerializer.SerializeToUtf8Bytes(new { organizations });
        if (!PolicyCompiler.TryCompile(document, out var policy, out var problems))
            throw new InvalidOperationException(string.Join(Environment.NewLine, problems));
        _policy = policy;
    }

    [Benchmark]
    public AccessDecision OfficialForAMember() => PolicyEngine.Decide(_policy, Member, _official, PublisherFacts.NotAsked, Now);

    [Benchmark]
    public AccessDecision ApprovedForAMember() => PolicyEngine.Decide(_policy, Member, _approved, PublisherFacts.NotAsked, Now);

    [Benchmark]
    public AccessDecision CommunityDeniedToAMember() => PolicyEngine.Decide(_policy, Member, _community, NoBadge, Now);

    /// <summary>Judged under every organization.</summary>
    [Benchmark]
    public AccessDecision OfficialForAnyone() => PolicyEngine.Decide(_policy, Caller.Anonymous, _official, PublisherFacts.NotAsked, Now);

    private static RepositoryName Name(string text) => RepositoryName.TryParse(text, out var name) ? name : throw new FormatException(text);
}
