using System.Globalization;
using ImageAccess.Core.Oci;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Administration.Roles;
using ImageAccess.Proxy.Foundation.Files;
using ImageAccess.Proxy.Policies.Exceptions;
using ImageAccess.Proxy.Policies.Store;

namespace ImageAccess.Proxy.Administration.Changes;

internal sealed partial class ChangeDesk
{
    /// <summary>Opens one repository to an organization, or lets it observe, for hours at most. It waits for nobody, and needs no database.</summary>
    /// <param name="organization">Whose rules.</param>
    /// <param name="repository">What; null to let the organization only observe.</param>
    /// <param name="length">For how long.</param>
    /// <param name="request">Who, and why.</param>
    /// <exception cref="FaultyChangeException">Something of it is wrong.</exception>
    /// <exception cref="ForbiddenChangeException">The actor may not.</exception>
    /// <exception cref="RefusedChangeException">It would open nothing, or too many hold already.</exception>
    /// <exception cref="IOException">The file cannot be used or written.</exception>
    public Task<BreakGlassEntry> BreakGlassAsync(string organization, string? repository, TimeSpan length, ChangeRequest request, CancellationToken cancellationToken)
    {
        Demand(request.Actor, organization, Operation.BreakGlass);
        Demand(request.Faults(BreakGlassDocument.MaximumReason, needsReason: true, needsTicket: false).Concat(Faults(organization, repository, length, out var name)));
        if (name is not null && policy().Blocks.Find(new Asked(name)) is { } block)
            throw new RefusedChangeException($"{block.Pattern} is blocked, and a block beats it: lift the block first (imageaccess unblock)");
        return BreakGlassFile.ChangeAsync(
            files,
            before =>
            {
                var now = Now;
                var inForce = before.InForce(now);
                if (inForce.Count >= BreakGlass.Maximum)
                    throw new RefusedChangeException(string.Create(CultureInfo.InvariantCulture, $"{BreakGlass.Maximum} hold already, and there can be no more: end some"));
                if (inForce.FirstOrDefault(one => one.Organization == organization && Equals(one.Repository, name)) is { } same)
                    throw new RefusedChangeException(string.Create(CultureInfo.InvariantCulture, $"break-glass {same.Id} opens the same until {ExceptionChanges.Minute(same.Until)}: end it first, or wait"));
                var after = before.Add(new BreakGlassEntry(0, organization, request.Reason, request.Actor.Name, now, now + length) { Repository = name?.Value, Ticket = request.Ticket });
                return (after, after.Entries[^1].Id);
            },
            cancellationToken);
    }

    /// <summary>Ends one before its time.</summary>
    /// <inheritdoc cref="BreakGlassAsync"/>
    public Task<BreakGlassEntry> EndBreakGlassAsync(long id, ChangeRequest request, CancellationToken cancellationToken) => StepAsync(
        id,
        request,
        Operation.BreakGlass,
        (entry, step) => step.At >= entry.End
            ? throw new RefusedChangeException($"break-glass {id} has ended already, {ExceptionChanges.Minute(entry.End)}")
            : entry with { Ended = step },
        cancellationToken);

    /// <summary>Another person has looked at what was done.</summary>
    /// <inheritdoc cref="BreakGlassAsync"/>
    public Task<BreakGlassEntry> ReviewBreakGlassAsync(long id, ChangeRequest request, CancellationToken cancellationToken) => StepAsync(
        id,
        request,
        Operation.ReviewBreakGlass,
        (entry, step) => entry.Reviewed is { } reviewed ? throw new RefusedChangeException($"break-glass {id} was reviewed already, {ExceptionChanges.Minute(reviewed.At)} by {reviewed.By}")
            : request.Actor.IsSamePerson(entry.By) ? throw new ForbiddenChangeException($"{request.Actor.Name} did it: another person has to review it")
            : request.Actor.Fixed is not null && request.Actor.Person is null ? throw new ForbiddenChangeException("it is reviewed by a person, and this token is nobody's")
            : entry with { Reviewed = step },
        cancellationToken);

    /// <summary>The last ones of the organizations that the actor may know of, the newest first.</summary>
    public IEnumerable<BreakGlassEntry> ListBreakGlass(Actor actor) =>
        BreakGlassFile.Read(files).Entries.Reverse().Where(entry => actor.IsServer || MayKnow(actor, entry.Organization));

    private Task<BreakGlassEntry> StepAsync(
        long id, ChangeRequest request, Operation operation, Func<BreakGlassEntry, BreakGlassStep, BreakGlassEntry> step, CancellationToken cancellationToken)
    {
        Demand(request.Faults(BreakGlassDocument.MaximumReason, needsReason: true, needsTicket: false));
        return BreakGlassFile.ChangeAsync(
            files,
            before =>
            {
                var entry = before.Find(id);
                if (entry is null || !(request.Actor.IsServer || MayKnow(request.Actor, entry.Organization)))
                    throw new UnknownChangeException($"there is no break-glass {id}; imageaccess break-glass list names the last ones");
                Demand(request.Actor, entry.Organization, operation);
                return (before.Put(step(entry, new BreakGlassStep(request.Actor.Name, request.Reason, Now))), id);
            },
            cancellationToken);
    }

    private List<ChangeFault> Faults(string organization, string? repository, TimeSpan length, out RepositoryName? name)
    {
        var faults = new List<ChangeFault>();
        name = null;
        if (policy().Organizations.All(one => one.Name != organization))
            faults.Add(new("organization", $"'{PrintableText.Of(organization)}' is not in the policy"));
        if (repository is not null && !RepositoryName.TryParse(repository, out name))
            faults.Add(new("repository", $"'{PrintableText.Of(repository)}' is no repository of Docker Hub: write it without a tag or a digest, as bitnami/redis"));
        if (length <= TimeSpan.Zero || length > BreakGlass.Longest)
            faults.Add(new("for", $"must be more than nothing and at most {BreakGlass.Longest.TotalHours} hours"));
        return faults;
    }
}
