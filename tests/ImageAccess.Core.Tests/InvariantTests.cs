using System.Reflection;
using ImageAccess.Core.Classification;
using ImageAccess.Core.Hosts;
using ImageAccess.Core.Oci;
using ImageAccess.Core.Policies;

namespace ImageAccess.Core.Tests;

/// <summary>What holds for the whole project: what is not set denies, every value has its name outside, and nothing but the base class library is used.</summary>
public sealed class InvariantTests
{
    private static readonly Assembly Core = typeof(Permit).Assembly;

    [Fact]
    public void The_zero_of_every_enum_denies_or_knows_nothing()
    {
        var zeros = Core.GetTypes().Where(type => type.IsEnum).ToDictionary(type => type.Name, type => Enum.ToObject(type, 0).ToString()!);
        Assert.Equal(
            new Dictionary<string, string>(StringComparer.Ordinal)
            {
                [nameof(AccessOutcome)] = nameof(AccessOutcome.Deny),
                [nameof(DockerHubRole)] = nameof(DockerHubRole.Reserved),
                [nameof(NamespaceBadge)] = nameof(NamespaceBadge.Unknown),
                [nameof(OrganizationRole)] = nameof(OrganizationRole.None),
                [nameof(RegistryAction)] = nameof(RegistryAction.None),
                [nameof(RepositoryCategory)] = nameof(RepositoryCategory.Unknown),
                [nameof(Roles)] = nameof(Roles.None),
            },
            zeros);
    }

    [Fact]
    public void Every_category_has_its_name_on_the_wire() => Assert.Equal(
        [
            (RepositoryCategory.Unknown, "unknown"),
            (RepositoryCategory.Official, "official"),
            (RepositoryCategory.VerifiedPublisher, "verified-publisher"),
            (RepositoryCategory.Organization, "organization"),
            (RepositoryCategory.Community, "community"),
        ],
        Enum.GetValues<RepositoryCategory>().Select(category => (category, category.ToWireName())));

    [Fact]
    public void Every_outcome_has_its_name_on_the_wire() => Assert.Equal(
        [(AccessOutcome.Deny, "deny"), (AccessOutcome.Allow, "allow"), (AccessOutcome.Observe, "observe")],
        Enum.GetValues<AccessOutcome>().Select(outcome => (outcome, outcome.ToWireName())));

    [Fact]
    public void Every_action_has_its_name_in_a_scope() => Assert.Equal(
        [(RegistryAction.Pull, "pull"), (RegistryAction.Push, "pull,push"), (RegistryAction.Delete, "delete")],
        Enum.GetValues<RegistryAction>().Where(action => action != RegistryAction.None).Select(action => (action, action.ToScope())));

    [Fact]
    public void A_value_outside_the_table_is_the_zero()
    {
        Assert.Equal("unknown", ((RepositoryCategory)99).ToWireName());
        Assert.Equal("deny", ((AccessOutcome)99).ToWireName());
        Assert.Throws<ArgumentOutOfRangeException>(() => ((RegistryAction)99).ToScope());
    }

    [Fact]
    public void The_rules_have_these_names_in_this_order() => Assert.Equal(
        [
            "block", "off", "sign-in", "organization-token", "outsider", "owner", "allowlist", "exception", "break-glass", "organization", "official",
            "verified-publisher", "community", "unknown",
        ],
        typeof(PolicyRule).GetFields(BindingFlags.Public | BindingFlags.Static).Select(field => field.GetRawConstantValue()));

    [Fact]
    public void Core_stands_on_the_base_class_library_alone() => Assert.All(
        Core.GetReferencedAssemblies(),
        reference => Assert.True(reference.Name!.StartsWith("System.", StringComparison.Ordinal), reference.Name));
}
