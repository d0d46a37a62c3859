using System.Diagnostics;
using ImageAccess.Proxy.Hosting;
using ImageAccess.Proxy.Tests.Walk;

namespace ImageAccess.Proxy.Tests.Hosting;

/// <summary>What the database needs takes its time to load: the listeners answer before that, and a verb that needs none loads none of it.</summary>
public sealed class DatabaseLoadingTests : IDisposable
{
    private static readonly string[] OfTheDatabase = ["Microsoft.EntityFrameworkCore", "Npgsql"];

    private readonly TemporaryDirectory _directory = new();

    public DatabaseLoadingTests()
    {
        Directory.CreateDirectory(_directory["program"]);
        var built = Path.GetDirectoryName(typeof(ProxyHost).Assembly.Location)!;
        foreach (var file in Directory.GetFiles(built, "*.dll").Where(file => !IsOfTheDatabase(Path.GetFileName(file))))
            File.CreateSymbolicLink(InProgram(file), file);
        foreach (var file in Directory.GetFiles(built, "imageaccess.*").Where(file => Path.GetExtension(file) is ".dll" || file.EndsWith("runtimeconfig.json", StringComparison.Ordinal)))
        {
            File.Delete(InProgram(file));
            File.Copy(file, InProgram(file)); // the runtime looks beside the program itself, and not beside a link to it
        }
    }

    public void Dispose() => _directory.Dispose();

    [Fact]
    public async Task The_listeners_answer_before_it_is_loaded()
    {
        await File.WriteAllTextAsync(_directory["imageaccess.json"], """{ "Listen": { "Mirror": "http://127.0.0.1:0", "Admin": "http://127.0.0.1:0" }, "Upstream": { "Probe": false } }""");
        using var program = Start();
        try
        {
            var lines = new List<string>();
            while (lines.LastOrDefault()?.StartsWith("next ", StringComparison.Ordinal) != true)
                lines.Add(await program.StandardOutput.ReadLineAsync().WaitAsync(TimeSpan.FromSeconds(60)) ?? throw new InvalidOperationException(await program.StandardError.ReadToEndAsync()));
            var admin = new Uri(lines.Single(line => line.StartsWith("admin ", StringComparison.Ordinal)).Split(' ', StringSplitOptions.RemoveEmptyEntries)[1]);
            using var client = Surroundings.NewClient(admin);
            await EventuallyAsync(async () => (await client.GetStringAsync("/readyz")).Contains("imageaccess.db cannot be used: Could not load file or assembly", StringComparison.Ordinal));
        }
        finally
        {
            program.Kill();
        }
    }

    [Theory]
    [InlineData("policy", "validate", "policy.json")]
    [InlineData("check", "nginx", "--offline")]
    [InlineData("database", "--help")]
    public async Task A_verb_that_needs_none_loads_none(params string[] verb)
    {
        await File.WriteAllTextAsync(_directory["policy.json"], Surroundings.Policy);
        await File.WriteAllTextAsync(_directory["imageaccess.json"], """{ "Policy": { "File": "policy.json" } }""");
        using var program = Start(verb);
        var (output, error) = (program.StandardOutput.ReadToEndAsync(), program.StandardError.ReadToEndAsync());
        await program.WaitForExitAsync().WaitAsync(TimeSpan.FromSeconds(60));
        Assert.Equal((0, ""), (program.ExitCode, await error));
        Assert.NotEmpty(await output);
    }

    private static bool IsOfTheDatabase(string file) => OfTheDatabase.Any(name => file.StartsWith(name, StringComparison.Ordinal));

    private static async Task EventuallyAsync(Func<Task<bool>> condition)
    {
        for (var tries = 0; !await condition(); tries++)
        {
            Assert.InRange(tries, 0, 600);
            await Task.Delay(50);
        }
    }

    private string InProgram(string file) => Path.Combine(_directory["program"], Path.GetFileName(file));

    private Process Start(params string[] arguments) => Process.Start(new ProcessStartInfo("dotnet", [Path.Combine(_directory["program"], "imageaccess.dll"), .. arguments])
    {
        WorkingDirectory = _directory.Path,
        RedirectStandardOutput = true,
        RedirectStandardError = true,
        UseShellExecute = false,
    })!;
}
