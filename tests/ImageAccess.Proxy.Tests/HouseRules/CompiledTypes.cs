using Mono.Cecil;
using Mono.Cecil.Cil;

namespace ImageAccess.Proxy.Tests.HouseRules;

/// <summary>
/// What a compiled assembly says about its types: who uses whom. A <c>using</c> line does not show a type of a parent namespace, a type that
/// is inferred, or one behind an extension method; the compiled code shows each of them.
/// </summary>
internal sealed class CompiledTypes(Type marker) : IDisposable
{
    private readonly ModuleDefinition _module = ModuleDefinition.ReadModule(marker.Assembly.Location);

    /// <summary>Each use of a type by another, both named by the outermost type: a nested or generated type counts as the one around it.</summary>
    public IEnumerable<TypeUse> Uses() => _module.GetTypes()
        .SelectMany(type => Mentions(type).SelectMany(Parts).Select(used => new TypeUse(NameOf(type), NameOf(used))))
        .Distinct();

    /// <summary>The methods that are called, each with the outermost type that calls it.</summary>
    public IEnumerable<(TypeName User, MethodReference Method)> Calls() =>
        from type in _module.GetTypes()
        from method in type.Methods
        where method.HasBody
        from instruction in method.Body.Instructions
        where instruction.Operand is MethodReference
        select (NameOf(type), (MethodReference)instruction.Operand);

    /// <summary>The texts that stand before a call of this method in the same body, each with the outermost type that calls it.</summary>
    public IEnumerable<(TypeName User, string Text)> TextsGivenTo(string method) =>
        from type in _module.GetTypes()
        from body in type.Methods.Where(each => each.HasBody).Select(each => each.Body)
        from call in body.Instructions
        where call.Operand is MethodReference called && called.Name == method
        select (NameOf(type), TextBefore(call));

    /// <summary>What may be named in a namespace and below it: <c>Type</c> and <c>Type.Member</c>.</summary>
    public IReadOnlySet<string> Members(string place) => _module.Types
        .Where(type => type.Namespace == place || type.Namespace.StartsWith(place + ".", StringComparison.Ordinal))
        .SelectMany(type => type.Methods.Select(method => method.Name)
            .Concat(type.Properties.Select(property => property.Name))
            .Concat(type.Fields.Select(field => field.Name))
            .Select(member => $"{Plain(type.Name)}.{member}")
            .Append(Plain(type.Name)))
        .ToHashSet(StringComparer.Ordinal);

    public void Dispose() => _module.Dispose();

    private static string TextBefore(Instruction call)
    {
        for (var before = call.Previous; before is not null; before = before.Previous)
        {
            if (before.OpCode == OpCodes.Ldstr)
                return (string)before.Operand;
        }

        return "";
    }

    /// <summary>Without the number of generic parameters.</summary>
    private static string Plain(string name) => name.Split('`')[0];

    private static TypeName NameOf(TypeReference type)
    {
        while (type.DeclaringType is { } outer)
            type = outer;
        return new TypeName(type.Namespace, type.Name);
    }

    /// <summary>The types that a type is made of: an array's element, a generic type and its arguments.</summary>
    private static IEnumerable<TypeReference> Parts(TypeReference? type) => type switch
    {
        null or GenericParameter => [],
        GenericInstanceType generic => [generic.ElementType, .. generic.GenericArguments.SelectMany(Parts)],
        IModifierType modified => [.. Parts(modified.ModifierType), .. Parts(modified.ElementType)],
        FunctionPointerType pointer => Signature(pointer).SelectMany(Parts),
        TypeSpecification specification => Parts(specification.ElementType),
        _ => [type],
    };

    private static IEnumerable<TypeReference?> Mentions(TypeDefinition type) =>
    [
        type.BaseType,
        .. type.Interfaces.SelectMany(each => Attributes(each).Append(each.InterfaceType)),
        .. Attributes(type),
        .. Constraints(type),
        .. type.Fields.SelectMany(field => Attributes(field).Append(field.FieldType)),
        .. type.Properties.SelectMany(property => Attributes(property).Append(property.PropertyType)),
        .. type.Events.SelectMany(each => Attributes(each).Append(each.EventType)),
        .. type.Methods.SelectMany(Mentions),
    ];

    private static IEnumerable<TypeReference?> Mentions(MethodDefinition method) =>
    [
        .. Signature(method),
        .. Attributes(method),
        .. Attributes(method.MethodReturnType),
        .. method.Parameters.SelectMany(Attributes),
        .. Constraints(method),
        .. method.Overrides.SelectMany(Mentions),
        .. method.HasBody ? Mentions(method.Body) : [],
    ];

    private static IEnumerable<TypeReference?> Mentions(MethodBody body) =>
    [
        .. body.Variables.Select(variable => variable.VariableType),
        .. body.ExceptionHandlers.Select(handler => handler.CatchType),
        .. body.Instructions.SelectMany(instruction => instruction.Operand switch
        {
            TypeReference type => [type],
            FieldReference field => [field.DeclaringType, field.FieldType],
            MethodReference method => Mentions(method),
            CallSite site => Signature(site),
            _ => Array.Empty<TypeReference?>(),
        }),
    ];

    private static IEnumerable<TypeReference?> Mentions(MethodReference method) =>
        [method.DeclaringType, .. Signature(method), .. method is GenericInstanceMethod generic ? generic.GenericArguments : []];

    private static IEnumerable<TypeReference?> Signature(IMethodSignature method) =>
        [method.ReturnType, .. method.Parameters.Select(parameter => parameter.ParameterType)];

    private static IEnumerable<TypeReference?> Constraints(IGenericParameterProvider provider) =>
        provider.GenericParameters.SelectMany(parameter => parameter.Constraints.Select(constraint => constraint.ConstraintType));

    private static IEnumerable<TypeReference?> Attributes(ICustomAttributeProvider provider) => provider.CustomAttributes.SelectMany(attribute =>
        Mentions(attribute.Constructor)
            .Concat(attribute.ConstructorArguments.Concat(attribute.Properties.Select(named => named.Argument)).SelectMany(Values)));

    private static IEnumerable<TypeReference?> Values(CustomAttributeArgument argument) => argument.Value switch
    {
        TypeReference type => [type],
        CustomAttributeArgument[] many => many.SelectMany(Values),
        _ => [argument.Type],
    };
}

/// <summary>A type by its namespace and its own name.</summary>
internal sealed record TypeName(string Namespace, string Name)
{
    public override string ToString() => $"{Namespace}.{Name}";
}

/// <summary>One type uses another.</summary>
internal sealed record TypeUse(TypeName User, TypeName Used);
