using System.Text.Json;

namespace ImageAccess.FakeHubs;

internal static class Program
{
    public static async Task<int> Main(string[] words)
    {
        Arguments arguments;
        HubDocument document;
        try
        {
            arguments = Arguments.Parse(words);
            if (arguments.Help)
            {
                Console.WriteLine(Arguments.Usage);
                return 0;
            }

            document = await HubDocument.ReadAsync(arguments.Data);
        }
        catch (Exception failure) when (failure is FormatException or IOException or JsonException)
        {
            await Console.Error.WriteLineAsync(failure.Message);
            return 2;
        }

        try
        {
            await ServeAsync(arguments, document);
            return 0;
        }
        catch (IOException failure)
        {
            await Console.Error.WriteLineAsync(failure.Message);
            return 1;
        }
    }

    private static async Task ServeAsync(Arguments arguments, HubDocument document)
    {
        await using var record = arguments.RecordFile is { } file ? new RecordFile(file) : null;
        await using var hub = await FakeHub.StartAsync(options =>
        {
            arguments.Apply(options);
            options.Answering = record is null ? null : record.Write;
        });
        await document.FillAsync(hub);
        if (arguments.CertificateFile is { } certificate && hub.CertificateAuthority is { } authority)
            await authority.WriteToAsync(certificate);

        Print(hub, arguments.Json);
        await hub.WaitForShutdownAsync();
    }

    private static void Print(FakeHub hub, bool json)
    {
        var addresses = new Dictionary<string, string?>(StringComparer.Ordinal)
        {
            ["registry"] = hub.Registry.AbsoluteUri,
            ["auth"] = hub.Auth.AbsoluteUri,
            ["hub"] = hub.Hub.AbsoluteUri,
            ["cdn"] = hub.Cdn.AbsoluteUri,
            ["index"] = hub.Index.AbsoluteUri,
            ["tls"] = hub.TlsEndPoint?.ToString(),
        };
        if (json)
        {
            Console.WriteLine(JsonSerializer.Serialize(addresses));
            return;
        }

        foreach (var (name, address) in addresses)
        {
            if (address is not null)
                Console.WriteLine($"{name,-9} {address}");
        }

        if (hub.TlsEndPoint is not null)
            Console.WriteLine($"{"names",-9} {string.Join(' ', DockerHubNames.All)}");
    }
}
