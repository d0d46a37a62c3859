using ImageAccess.Proxy.Tools.Doctor.Probes;
using ImageAccess.Proxy.Tools.Engines;

namespace ImageAccess.Proxy.Tools.Doctor.Ways;

/// <summary>By what stands for Docker Hub in the configuration of an engine: the policy has to hold there.</summary>
internal sealed class MirrorWays(ClientMachine machine, Questions questions, Patience patience)
{
    /// <param name="mirror">The mirror.</param>
    /// <param name="sources">Where it was found.</param>
    public Way Of(MirrorAddress mirror, IEnumerable<string> sources)
    {
        var found = string.Join(", ", sources);
        return new Way("mirror", mirror.ToString(), async cancel =>
        {
            var outcome = await TryAsync(mirror, cancel);
            return outcome with { Detail = $"{outcome.Detail}; from {found}" };
        });
    }

    private async Task<Outcome> TryAsync(MirrorAddress mirror, CancellationToken cancellationToken)
    {
        var face = mirror.Face with { IsMirror = !mirror.IsDockerHub };
        try
        {
            return await questions.Registry.AskAsync(new Passage(machine.Names, patience), face, cancellationToken);
        }
        catch (WayClosedException) when (mirror.MayBePlain)
        {
            return await TryAsync(mirror with { MayBePlain = false, Face = Plain(mirror.Face) }, cancellationToken);
        }
        catch (WayClosedException closed)
        {
            return closed.Outcome;
        }
    }

    private static RegistryFace Plain(RegistryFace face) =>
        face with { Origin = new UriBuilder(Uri.UriSchemeHttp, face.Origin.Host, face.Origin.IsDefaultPort ? -1 : face.Origin.Port).Uri };
}
