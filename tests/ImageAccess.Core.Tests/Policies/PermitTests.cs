using System.Reflection;
using System.Runtime.CompilerServices;
using ImageAccess.Core.Oci;
using ImageAccess.Core.Policies;

namespace ImageAccess.Core.Tests.Policies;

/// <summary>A permit is proof of a decision: nobody outside Core makes one, by no way that compiles.</summary>
public sealed class PermitTests
{
    private const BindingFlags Everything =
        BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.Instance | BindingFlags.Static | BindingFlags.DeclaredOnly;

    private static readonly Assembly Core = typeof(Permit).Assembly;

    [Fact]
    public void It_is_for_one_repository()
    {
        var permit = Permits.For("acme/app");
        permit.Demand(Names.Repository("acme/app"));
        var refusal = Assert.Throws<InvalidOperationException>(() => permit.Demand(Names.Repository("acme/other")));
        Assert.Equal("A permit for acme/app was shown for acme/other.", refusal.Message);
    }

    [Theory]
    [InlineData(typeof(Permit))]
    [InlineData(typeof(PermitLimit))]
    [InlineData(typeof(AccessDecision))]
    [InlineData(typeof(Policy))]
    [InlineData(typeof(OrganizationPolicy))]
    [InlineData(typeof(RepositoryName))]
    [InlineData(typeof(Digest))]
    [InlineData(typeof(Tag))]
    [InlineData(typeof(Reference))]
    [InlineData(typeof(Scope))]
    public void A_proof_is_a_sealed_class_without_a_way_in(Type proof)
    {
        Assert.True(proof.IsClass && proof.IsSealed);
        Assert.Null(proof.GetMethod("<Clone>$", Everything)); // a record could be forged by `with`
        Assert.All(proof.GetConstructors(Everything), constructor => Assert.True(constructor.IsAssembly || constructor.IsPrivate));
        Assert.All(proof.GetProperties(Everything), property => Assert.False(property.SetMethod is { IsPublic: true }));
        Assert.All(proof.GetFields(Everything), field => Assert.False(field.IsPublic && !field.IsLiteral));
    }

    [Fact]
    public void Requests_are_made_by_the_parser_alone()
    {
        var requests = Core.GetTypes().Where(type => type.IsAssignableTo(typeof(RegistryRequest))).ToList();
        Assert.Equal(10, requests.Count);
        Assert.All(requests, type => Assert.True(type.IsAbstract || type.IsSealed));
        Assert.All(requests.SelectMany(type => type.GetConstructors(Everything)), constructor =>
            Assert.True(constructor.IsAssembly || constructor.IsPrivate || constructor.IsFamilyAndAssembly));
        Assert.All(requests.SelectMany(type => type.GetProperties(Everything)), property =>
            Assert.False(property.SetMethod is { IsPublic: true }));
    }

    [Fact]
    public void Only_a_decision_hands_one_out()
    {
        var givers =
            from type in Core.GetExportedTypes()
            from method in type.GetMethods(Everything)
            where method.ReturnType == typeof(Permit) && (method.IsPublic || method.IsFamily)
            select $"{type.Name}.{method.Name}";
        Assert.Equal(["AccessDecision.get_Permit"], givers);

        var deciders =
            from type in Core.GetExportedTypes()
            from method in type.GetMethods(Everything)
            where method.ReturnType == typeof(AccessDecision) && (method.IsPublic || method.IsFamily)
            select $"{type.Name}.{method.Name}";
        Assert.Equal(["PolicyEngine.Decide", "PolicyEngine.DenyUndecided", "PolicyEngine.DenyOutside"], deciders);
    }

    [Fact]
    public void What_could_not_be_decided_has_none()
    {
        var denial = PolicyEngine.DenyUndecided(Policy.Off, "try again");
        Assert.Equal((AccessOutcome.Deny, "unknown", "image access unavailable: try again", null), (denial.Outcome, denial.Rule, denial.Message, denial.Permit));
    }

    [Fact]
    public void Core_shows_its_internals_to_nobody() => Assert.Empty(Core.GetCustomAttributes<InternalsVisibleToAttribute>());
}
