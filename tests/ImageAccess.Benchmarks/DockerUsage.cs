using System.Diagnostics;
using System.Globalization;
using ImageAccess.Proxy.Hosting;

namespace ImageAccess.Benchmarks;

/// <summary>How long <c>policy replay --docker-usage</c> takes for a report of so many lines, beside <c>awk</c>, which only adds up what each user pulled.</summary>
internal static class DockerUsage
{
    private const int Users = 2000, Repositories = 10_000;

    /// <param name="arguments">How many lines.</param>
    public static async Task<int> RunAsync(string[] arguments)
    {
        if (arguments is not [var number] || !int.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out var lines) || lines < 1)
        {
            await Console.Error.WriteLineAsync("docker-usage LINES");
            return 2;
        }

        var folder = Directory.CreateTempSubdirectory("imageaccess-docker-usage-");
        try
        {
            var (report, draft, settings) = (Path.Combine(folder.FullName, "usage.csv"), Path.Combine(folder.FullName, "draft.json"), Path.Combine(folder.FullName, "imageaccess.json"));
            await WriteAsync(report, lines);
            await File.WriteAllTextAsync(draft, """{ "organizations": [ { "name": "acme", "enabled": true, "allow": { "official": true } } ] }""");
            await File.WriteAllTextAsync(settings, """{ "Data": { "Directory": "data" } }""");
            var replay = await TimeAsync(
                "dotnet", typeof(ProxyHost).Assembly.Location, "policy", "replay", draft, "--docker-usage", report, "--organization", "acme", "--config", settings, "--json");
            var awk = await TimeAsync("awk", "-F,", "{ pulls[$2 \" \" $3 \"/\" $4] += $9 } END { for (pair in pulls) print pair, pulls[pair] }", report);
            Console.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"{lines:N0} lines: {replay.TotalSeconds:F1} s; awk adds them up in {awk.TotalSeconds:F1} s, {replay / awk:F1} times as fast"));
            return 0;
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    private static async Task WriteAsync(string path, int lines)
    {
        var random = new Random(1);
        await using var file = File.CreateText(path);
        await file.WriteLineAsync("day,hub_username,namespace,image_repository,tag,digest,ip_address,user_agent,pulls");
        for (var line = 0; line < lines; line++)
        {
            var (user, rank) = (random.Next(Users), (int)(Repositories * Math.Pow(random.NextDouble(), 3)));
            await file.WriteLineAsync(string.Create(
                CultureInfo.InvariantCulture,
                $"2026-11-{1 + (line % 30):00},person{user},{(rank % 3 == 0 ? "library" : $"publisher{rank % 700}")},image{rank},latest,sha256:{rank:x64},10.{user % 8}.{user / 250}.{user % 250},docker/29.0 go/go1.24,{random.Next(1, 20)}"));
        }
    }

    private static async Task<TimeSpan> TimeAsync(string command, params string[] arguments)
    {
        var started = Stopwatch.GetTimestamp();
        using var process = Process.Start(new ProcessStartInfo(command, arguments) { RedirectStandardOutput = true, RedirectStandardError = true, UseShellExecute = false })!;
        var error = process.StandardError.ReadToEndAsync();
        await process.StandardOutput.BaseStream.CopyToAsync(Stream.Null);
        await process.WaitForExitAsync();
        return process.ExitCode is 0 or 1 ? Stopwatch.GetElapsedTime(started) : throw new InvalidOperationException($"{command} ended with {process.ExitCode}: {await error}");
    }
}
