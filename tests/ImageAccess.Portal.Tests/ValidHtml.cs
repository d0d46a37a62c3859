using System.Diagnostics;
using System.Text;

namespace ImageAccess.Portal.Tests;

/// <summary>Whether a page, as it is sent, is valid HTML: asks <c>html-validate</c>, which <c>tests/install</c> brings. Playwright's own Node runs it.</summary>
internal static class ValidHtml
{
    private static string Program => Path.Combine(Environment.GetEnvironmentVariable("XDG_CACHE_HOME") ?? "/var/cache", "imageaccess/node/node_modules/html-validate/bin/html-validate.mjs");

    private static string Node => Directory.GetFiles(Path.Combine(AppContext.BaseDirectory, ".playwright/node"), "node", SearchOption.AllDirectories).Single();

    /// <summary>Of each, where it is, the rule, and what is wrong.</summary>
    public static async Task<IReadOnlyList<string>> FaultsAsync(string html)
    {
        Assert.True(File.Exists(Program), $"{Program} is missing: run tests/install");
        // What comes from the site itself needs no hash to be trusted.
        string[] arguments = [Program, "--preset", "standard,document", "--rule", "require-sri:off", "--formatter", "text", "--stdin", "--stdin-filename", "page.html"];
        using var process = Process.Start(new ProcessStartInfo(Node, arguments)
        {
            WorkingDirectory = AppContext.BaseDirectory,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            StandardInputEncoding = new UTF8Encoding(false),
            StandardOutputEncoding = Encoding.UTF8,
            UseShellExecute = false,
        })!;
        using var limit = new CancellationTokenSource(Chromium.Limit);
        try
        {
            var (output, error) = (process.StandardOutput.ReadToEndAsync(limit.Token), process.StandardError.ReadToEndAsync(limit.Token));
            await process.StandardInput.WriteAsync(html.AsMemory(), limit.Token);
            process.StandardInput.Close();
            await process.WaitForExitAsync(limit.Token);
            var faults = await output;
            Assert.True(process.ExitCode == (faults.Length == 0 ? 0 : 1), $"html-validate: {faults}{await error}");
            return faults.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        }
        finally
        {
            process.Kill(); // one that has ended is left alone
        }
    }
}
