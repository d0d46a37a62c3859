namespace ImageAccess.Proxy.Foundation.Audit;

/// <summary>Where the trail is kept.</summary>
public interface IAuditSink
{
    /// <summary>What does not work as it should although lines are written; null while all is well.</summary>
    string? Concern { get; }

    /// <summary>Called once, before the listeners open.</summary>
    /// <exception cref="Microsoft.Extensions.Options.OptionsValidationException">Nothing can be written: there is no start.</exception>
    ValueTask OpenAsync(CancellationToken cancellationToken);

    /// <param name="lines">Whole lines, each one event. The memory is the writer's again afterwards.</param>
    /// <param name="cancellationToken">The program cannot wait any longer.</param>
    /// <exception cref="IOException">Not all lines were written; they come again.</exception>
    ValueTask WriteAsync(ReadOnlyMemory<byte> lines, CancellationToken cancellationToken);
}
