using System.CommandLine;
using ImageAccess.Proxy.Tools.Verbs;

namespace ImageAccess.Proxy.Tools.Engines;

/// <summary><c>imageaccess clients CLIENT --mode MODE</c>: what a client's machine needs to use the proxy.</summary>
internal static class ClientsCommand
{
    public static Command Build()
    {
        var client = new Argument<string>("CLIENT") { Description = $"{string.Join(", ", KnownEngines.All.SkipLast(1).Select(engine => engine.Description))} or {KnownEngines.All[^1].Description}." };
        client.AcceptOnlyFromAmong([.. KnownEngines.All.Select(engine => engine.Name)]);
        var mode = new Option<string>("--mode") { Description = "The way in: mirror, gateway or forward-proxy.", HelpName = "MODE", Required = true };
        mode.AcceptOnlyFromAmong("mirror", "gateway", "forward-proxy");
        var addresses = new Option<string[]>("--address")
        {
            Description = "How clients reach the proxy, where its configuration does not say: a host; for the gateway an IP address, or two, of IPv4 and IPv6. Without one: this machine.",
            HelpName = "HOST",
        };
        var authority = new Option<string?>("--ca")
        {
            Description = "The certificate authority to trust, in PEM; ca.crt of the configuration's certificates by default.",
            HelpName = "FILE",
        };
        var user = new Option<string?>("--proxy-user") { Description = "Who signs in at the forward proxy. Its password is written into the file by hand.", HelpName = "NAME" };
        var directory = new Option<string?>("--write")
        {
            Description = "Write the files below this directory, with a script that undoes them. A file with other content is never overwritten.",
            HelpName = "DIR",
        };
        var json = Verb.Json();
        var file = Verb.ConfigurationFile();
        var command = new Command("clients", "Prints what a client's machine needs to use the proxy, and how to undo it.")
        {
            client, mode, addresses, authority, user, directory, json, file,
        };
        Verb.SetAction(command, async (parsed, _) =>
        {
            var output = parsed.InvocationConfiguration.Output;
            var (name, way) = (parsed.GetValue(client)!, parsed.GetValue(mode)!);
            var reading = new WayInReader(
                Verb.Configuration(parsed.GetValue(file)), parsed.GetValue(addresses) ?? [], parsed.GetValue(authority), parsed.GetValue(user));
            var wayIn = reading.Read(way);
            var setup = wayIn.SetUp(KnownEngines.All.Single(engine => engine.Name == name));
            if (wayIn.OnlyHere is { } onlyHere)
                setup = setup with { Notes = [onlyHere, .. setup.Notes] };
            var written = parsed.GetValue(directory) is { } below ? ClientTree.Write(below, setup) : null;
            if (parsed.GetValue(json))
                await Verb.WriteJsonAsync(output, setup.Facts(name, way));
            else if (written is null)
                await setup.PrintAsync(output);
            else
                await ReportAsync(output, written, setup);
            return Verb.Yes;
        });
        return command;
    }

    private static async Task ReportAsync(TextWriter output, IReadOnlyList<string> written, ClientSetup setup)
    {
        foreach (var path in written)
            await output.WriteLineAsync($"wrote {path}");
        await output.WriteLineAsync();
        await setup.PrintCommandsAsync(output);
        await setup.PrintNotesAsync(output);
    }
}
