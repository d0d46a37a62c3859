using System.Runtime.InteropServices;
using ImageAccess.Core.Oci;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Foundation.Database;

namespace ImageAccess.Proxy.Policies.Exceptions;

/// <summary>
/// When each exception was used last, and how often. It is gathered in memory, and written about once a minute and at the stop: a request waits
/// for none of it. What is gathered is lost when the process is killed.
/// </summary>
public sealed class ExceptionUses(TimeProvider time) : IDatabaseWriter
{
    internal static readonly TimeSpan Period = TimeSpan.FromMinutes(1);

    private readonly Lock _gate = new();
    private Dictionary<long, ExceptionUse> _gathered = [];
    private DateTimeOffset? _written;

    bool IDatabaseWriter.IsWaiting
    {
        get
        {
            var now = time.GetUtcNow();
            lock (_gate)
                return _gathered.Count > 0 && (_written is not { } written || now - written >= Period || now < written);
        }
    }

    bool IDatabaseWriter.LosesAtStop
    {
        get
        {
            lock (_gate)
                return _gathered.Count > 0;
        }
    }

    /// <summary>A manifest was had that only exceptions allow.</summary>
    /// <param name="exceptions">Those that may have allowed it.</param>
    /// <param name="asked">What was asked for: of exceptions for single images, the one that it names was used.</param>
    public void Note(IReadOnlyList<GrantedException> exceptions, Asked asked)
    {
        if (exceptions.Count == 0)
            return;
        var now = time.GetUtcNow();
        lock (_gate)
        {
            for (var i = 0; i < exceptions.Count; i++)
            {
                if (IsNamed(exceptions[i], asked))
                    Add(exceptions[i].Id, new ExceptionUse(1, now));
            }
        }
    }

    async Task IDatabaseWriter.WriteAsync(SqlDatabase database, CancellationToken cancellationToken)
    {
        Dictionary<long, ExceptionUse> uses;
        lock (_gate)
            (uses, _gathered) = (_gathered, []);
        try
        {
            await database.WriteAsync(context => new ExceptionTable(context).AddUsesAsync(uses, cancellationToken), cancellationToken);
            lock (_gate)
                _written = time.GetUtcNow();
        }
        catch
        {
            lock (_gate)
            {
                foreach (var (id, use) in uses)
                    Add(id, use);
            }

            throw;
        }
    }

    /// <summary>By its tag, or by the approved image's own digest; not by a child's, so that a pull of an index counts once for it.</summary>
    private static bool IsNamed(GrantedException exception, Asked asked) =>
        exception.Root is null ? exception.Tag is null || asked.Tag is not null : asked.Tag is not null || exception.Root.Equals(asked.Digest);

    /// <summary>As many as can be in force: a database that does not work for long must not cost more memory.</summary>
    private void Add(long id, ExceptionUse use)
    {
        if (_gathered.TryGetValue(id, out var before))
            _gathered[id] = new ExceptionUse(before.Count + use.Count, before.Last > use.Last ? before.Last : use.Last);
        else if (_gathered.Count < Core.Policies.Exceptions.Maximum)
            _gathered[id] = use;
    }
}

/// <summary>How often an exception was used, and when last.</summary>
[StructLayout(LayoutKind.Auto)]
internal readonly record struct ExceptionUse(long Count, DateTimeOffset Last);
