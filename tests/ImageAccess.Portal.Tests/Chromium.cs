using System.Diagnostics;
using Microsoft.Playwright;

namespace ImageAccess.Portal.Tests;

/// <summary>One browser for all tests: Debian's Chromium, which reaches nothing but this machine. Each visit has an empty profile.</summary>
public sealed class Chromium : IAsyncLifetime
{
    /// <summary>How long a test waits for the browser, on however slow a machine.</summary>
    internal static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);

    private static readonly string[] Flags =
    [
        "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync",
        "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1 , EXCLUDE localhost", // else a page that loads from elsewhere would look different on each machine
    ];

    private IPlaywright _playwright = null!;
    private Process _process = null!;

    public IBrowser Browser { get; private set; } = null!;

    public async Task InitializeAsync()
    {
        _playwright = await Playwright.CreateAsync().WaitAsync(Limit);
        Browser = await _playwright.Chromium.LaunchAsync(new BrowserTypeLaunchOptions
        {
            ExecutablePath = "/usr/bin/chromium",
            Args = Flags,
            Timeout = (float)Limit.TotalMilliseconds,
        });
        _process = await ProcessAsync().WaitAsync(Limit);
    }

    public async Task DisposeAsync()
    {
        try
        {
            await Browser.CloseAsync().WaitAsync(Limit);
        }
        catch (TimeoutException)
        {
            _process.Kill(entireProcessTree: true);
            throw;
        }
        finally
        {
            _process.Dispose();
            _playwright.Dispose();
        }
    }

    /// <summary>The browser's own, which has started the others.</summary>
    private async Task<Process> ProcessAsync()
    {
        var session = await Browser.NewBrowserCDPSessionAsync();
        var answer = await session.SendAsync("SystemInfo.getProcessInfo");
        await session.DetachAsync();
        var own = answer!.Value.GetProperty("processInfo").EnumerateArray().Single(process => process.GetProperty("type").ValueEquals("browser"));
        return Process.GetProcessById(own.GetProperty("id").GetInt32());
    }
}

/// <summary>Each class of tests that opens pages is in it.</summary>
[CollectionDefinition(nameof(Chromium))]
public sealed class ChromiumRoom : ICollectionFixture<Chromium>;
