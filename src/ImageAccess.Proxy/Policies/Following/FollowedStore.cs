using System.Collections.Immutable;
using System.Threading.Channels;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Foundation.Files;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Policies.Following;

/// <summary>
/// Docker Hub's own switches of the organizations that follow them: the last that were read, which are kept in a file for a restart. They stay until
/// others are read, however old they are. Of an organization that has never been read there are none.
/// </summary>
public sealed class FollowedStore
{
    private readonly ILogger _logger;
    private readonly string _path;
    private readonly KeptCopy _copy;
    private readonly Lock _gate = new();
    private readonly Channel<bool> _news = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });

    private ImmutableDictionary<string, KnownSwitches> _known = ImmutableDictionary<string, KnownSwitches>.Empty;
    private ImmutableDictionary<string, string> _troubles = ImmutableDictionary<string, string>.Empty;
    private ImmutableArray<string> _organizations = [];
    private FollowedSwitches _current = FollowedSwitches.None;
    private string? _unusable;
    private bool _isKept = true;
    private Action? _whenChanged;

    public FollowedStore(IOptions<FollowOptions> options, ILogger<FollowedStore> logger)
    {
        ArgumentNullException.ThrowIfNull(options);
        (_logger, _path) = (logger, options.Value.CopyPath);
        _copy = new KeptCopy(_path, logger.NotKept);
    }

    /// <summary>Those that follow, as the policy in force says.</summary>
    internal IReadOnlyList<string> Organizations
    {
        get
        {
            lock (_gate)
                return _organizations;
        }
    }

    /// <summary>How it stands with each organization that follows.</summary>
    internal IReadOnlyList<FollowedOrganization> States
    {
        get
        {
            lock (_gate)
                return [.. _organizations.Select(name => new FollowedOrganization(name, _known.GetValueOrDefault(name), _troubles.GetValueOrDefault(name)))];
        }
    }

    /// <summary>Why a restart may not find them; null when it does.</summary>
    internal string? KeepingTrouble => _copy.Failure;

    /// <summary>That another organization has begun to follow.</summary>
    internal ChannelReader<bool> News => _news.Reader;

    /// <summary>Does something each time that other switches have been read.</summary>
    internal void WhenChanged(Action act) => _whenChanged += act;

    /// <summary>Begins with those that were kept.</summary>
    internal void Open()
    {
        var kept = FollowedCopy.Read(_path);
        lock (_gate)
        {
            if (kept.Value is { } copy)
                Replace(copy.Known);
            else if (!kept.IsMissing)
                _unusable = kept.Flaw;
        }

        if (_unusable is { } flaw)
            _logger.CopyUnusable(_path, flaw);
    }

    /// <summary>What is known at this moment, for a policy that comes into force.</summary>
    internal FollowedSwitches Of(Policy policy)
    {
        lock (_gate)
        {
            ImmutableArray<string> following = [.. policy.Written.Organizations.Where(one => one.FollowsDockerHub).Select(one => one.Name)];
            if (following.Except(_organizations).Any())
                _news.Writer.TryWrite(true);
            _organizations = following;
            if (_unusable is not null && following.Length > 0)
            {
                Replace(following.ToImmutableDictionary(name => name, _ => new KnownSwitches(HubSwitches.Closed, null)));
                _unusable = null;
            }

            return _current;
        }
    }

    /// <summary>They have been read.</summary>
    internal void Take(string organization, HubSwitches switches, DateTimeOffset now)
    {
        bool isNew, isNews;
        lock (_gate)
        {
            if (!_organizations.Contains(organization))
                return; // it has ceased to follow meanwhile
            isNew = Know(organization, new KnownSwitches(switches, now));
            isNews = isNew || _troubles.ContainsKey(organization);
            _troubles = _troubles.Remove(organization);
        }

        if (isNews)
            _logger.SwitchesRead(organization, switches);
        if (isNew)
            _whenChanged?.Invoke();
    }

    /// <summary>They could not be read, or not all: what is known of the others stays.</summary>
    /// <param name="organization">The organization.</param>
    /// <param name="switches">Those that were read, without the registries; null where none were.</param>
    /// <param name="now">When.</param>
    /// <param name="cause">Why not.</param>
    internal void Fail(string organization, HubSwitches? switches, DateTimeOffset now, string cause)
    {
        if (switches is not null)
            TakePart(organization, switches, now);
        string stays;
        lock (_gate)
        {
            if (_troubles.GetValueOrDefault(organization) == cause)
                return;
            _troubles = _troubles.SetItem(organization, cause);
            stays = FollowedOrganization.Stays(_known.GetValueOrDefault(organization));
        }

        _logger.SwitchesNotRead(organization, cause, stays);
    }

    /// <summary>Forgets those that follow no longer, and writes what is known to disk.</summary>
    internal void Keep()
    {
        FollowedCopy copy;
        lock (_gate)
        {
            var former = _known.Keys.Except(_organizations).ToList();
            if (former.Count > 0)
            {
                Replace(_known.RemoveRange(former));
                _isKept = false;
            }

            _troubles = _troubles.RemoveRange(_troubles.Keys.Except(_organizations));
            if (_isKept)
                return;
            copy = new FollowedCopy(_known);
        }

        _copy.Keep(copy.ToBytes());
        lock (_gate)
            _isKept = _copy.Failure is null;
    }

    private void TakePart(string organization, HubSwitches switches, DateTimeOffset now)
    {
        lock (_gate)
        {
            var known = _known.GetValueOrDefault(organization);
            switches = switches with { Registries = known?.Switches.Registries };
            if (!_organizations.Contains(organization) || known?.Switches == switches)
                return;
            Know(organization, new KnownSwitches(switches, known?.ReadAt ?? now));
        }

        _logger.SwitchesRead(organization, switches);
        _whenChanged?.Invoke();
    }

    /// <returns>Whether they are others than before.</returns>
    private bool Know(string organization, KnownSwitches known)
    {
        var isNew = _known.GetValueOrDefault(organization)?.Switches != known.Switches;
        (_known, _isKept) = (_known.SetItem(organization, known), false);
        if (isNew)
            _current = FollowedCopy.SwitchesOf(_known);
        return isNew;
    }

    private void Replace(ImmutableDictionary<string, KnownSwitches> known) => (_known, _current) = (known, FollowedCopy.SwitchesOf(known));
}

/// <summary>How it stands with an organization that follows.</summary>
/// <param name="Known">What was read last; null where nothing has been.</param>
/// <param name="Trouble">Why the last reading failed; null when it did not.</param>
internal sealed record FollowedOrganization(string Name, KnownSwitches? Known, string? Trouble)
{
    /// <summary>What holds while they cannot be read.</summary>
    public static string Stays(KnownSwitches? known) => known switch
    {
        null => "until they are read, the policy document's own switches hold",
        { ReadAt: { } readAt } => $"those of {readAt:u} stay in force ({known.Switches})",
        _ => "what was read before is lost: until they are read, official and verified publisher images are denied, and other registries",
    };
}
