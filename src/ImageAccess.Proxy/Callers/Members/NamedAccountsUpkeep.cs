using ImageAccess.Proxy.Foundation.Files;
using ImageAccess.Proxy.Policies.Store;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace ImageAccess.Proxy.Callers.Members;

/// <summary>Reads the accounts of names before the first request, and writes them to disk soon after they change and at the end.</summary>
internal sealed class NamedAccountsUpkeep(NamedAccounts accounts, ConfirmedAccounts confirmed, IPolicyStore policies, TimeProvider time, ILogger<NamedAccountsUpkeep> logger)
    : BackgroundService, IHealthCheck
{
    /// <summary>How soon it is tried again what did not succeed.</summary>
    private static readonly TimeSpan Again = TimeSpan.FromSeconds(1);

    private const int MaximumTold = 10;

    private volatile string? _trouble;

    public override Task StartAsync(CancellationToken cancellationToken)
    {
        confirmed.Open();
        Open();
        policies.WhenChanged(accounts.Forget);
        return base.StartAsync(cancellationToken);
    }

    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        await base.StopAsync(cancellationToken);
        Keep(); // what tokens have shown since
    }

    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
    {
        var disputed = policies.State is { } state ? accounts.Disputed(state.Policy) : [];
        var names = PrintableText.ListOf(disputed, MaximumTold);
        var concern = accounts.Flaw is { } flaw ? $"{accounts.FilePath} {flaw}: owners and members without an account in the policy are granted nothing"
            : _trouble is { } trouble ? $"the accounts of the policy's user names would not outlive a restart: {trouble}"
            : disputed.Count > 0 ? $"more than one account was seen with the user name {names}: write the right account into the policy, or confirm it: imageaccess accounts confirm NAME --account ID"
            : confirmed.Concern;
        return Task.FromResult(concern is null ? HealthCheckResult.Healthy() : HealthCheckResult.Degraded(concern));
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        while (true)
        {
            if (accounts.Flaw is null && _trouble is null)
                await accounts.Changes.ReadAsync(stoppingToken);
            else
                await Task.Delay(Again, time, stoppingToken);
            if (accounts.Flaw is not null)
                Open();
            Keep();
        }
    }

    private void Open()
    {
        var before = accounts.Flaw;
        accounts.Open();
        if (accounts.Flaw is { } flaw && flaw != before)
            logger.AccountsUnusable(accounts.FilePath, flaw);
    }

    private void Keep()
    {
        try
        {
            accounts.Keep();
            _trouble = null;
        }
        catch (IOException exception)
        {
            if (_trouble is null)
                logger.AccountsNotKept(accounts.FilePath, exception.Message);
            _trouble = exception.Message;
        }
    }
}
