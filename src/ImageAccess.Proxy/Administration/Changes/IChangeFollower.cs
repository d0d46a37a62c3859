using ImageAccess.Proxy.Administration.Roles;
using ImageAccess.Proxy.Foundation.Database;

namespace ImageAccess.Proxy.Administration.Changes;

/// <summary>A room that something waits in for a change: it is told of each within the transaction of the change itself.</summary>
internal interface IChangeFollower
{
    /// <exception cref="Policies.Exceptions.RefusedChangeException">This actor must not approve it.</exception>
    Task DemandAsync(DatabaseContext context, PendingChangeRow change, Actor actor, CancellationToken cancellationToken);

    /// <summary>It waits no longer.</summary>
    Task FollowAsync(DatabaseContext context, PendingChangeRow change, CancellationToken cancellationToken);
}
