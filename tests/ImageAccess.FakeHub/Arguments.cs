using System.Globalization;
using System.Net;

namespace ImageAccess.FakeHubs;

/// <summary>The program's command line.</summary>
internal sealed class Arguments
{
    public const string Usage = """
        A Docker Hub on this machine: registry, token service, Hub API, CDN and index.

          --data FILE             users, organizations and images (JSON); without it a handful is built in
          --address IP            where to listen, 127.0.0.1 by default
          --port N                the registry's port, the other faces take the next four; 0, the default, takes free ones
          --registry-port N       the port of one face; also --auth-port, --hub-port, --cdn-port, --index-port
          --public-registry URI   the host in the Location of uploads
          --tls ADDRESS:PORT      listen with TLS under Docker Hub's own names, besides; may come more than once
          --tls-name NAME         have the certificate hold this name as well
          --ca FILE               write the certificate that signed for those names
          --backend URI           a registry without authentication that keeps the content
          --pull-limit N          refuse an account's or address's manifests after N in six hours
          --record FILE           append one JSON line for each request, without credentials
          --json                  print the addresses as JSON
          --help
        """;

    private readonly Dictionary<Face, int> _ports = [];
    private int? _firstPort;
    private IPAddress _address = IPAddress.Loopback;
    private Uri? _publicRegistry;
    private readonly List<IPEndPoint> _tls = [];
    private readonly List<string> _tlsNames = [];
    private Uri? _backend;
    private int? _pullLimit;

    public string? Data { get; private set; }

    public string? CertificateFile { get; private set; }

    public string? RecordFile { get; private set; }

    public bool Json { get; private set; }

    public bool Help { get; private set; }

    /// <summary>Throws <see cref="FormatException"/> with a sentence for the user.</summary>
    public static Arguments Parse(IEnumerable<string> words)
    {
        var arguments = new Arguments();
        using var rest = words.GetEnumerator();
        while (rest.MoveNext())
        {
            var name = rest.Current;
            arguments.Set(name, () => rest.MoveNext() ? rest.Current : throw new FormatException($"{name} needs a value"));
        }

        return arguments;
    }

    public void Apply(FakeHubOptions options)
    {
        options.Address = _address;
        options.RegistryPort = PortOf(Face.Registry);
        options.AuthPort = PortOf(Face.Auth);
        options.HubPort = PortOf(Face.Hub);
        options.CdnPort = PortOf(Face.Cdn);
        options.IndexPort = PortOf(Face.Index);
        options.PublicRegistry = _publicRegistry;
        options.TlsEndPoint = _tls.FirstOrDefault();
        foreach (var further in _tls.Skip(1))
            options.FurtherTlsEndPoints.Add(further);
        foreach (var name in _tlsNames)
            options.FurtherTlsNames.Add(name);
        options.RegistryBackend = _backend;
        options.PullLimit = _pullLimit;
    }

    private void Set(string name, Func<string> value)
    {
        switch (name)
        {
            case "--help" or "-h":
                Help = true;
                break;
            case "--json":
                Json = true;
                break;
            case "--data":
                Data = value();
                break;
            case "--ca":
                CertificateFile = value();
                break;
            case "--record":
                RecordFile = value();
                break;
            case "--address":
                _address = IPAddress.TryParse(value(), out var parsed) ? parsed : throw new FormatException("--address needs an IP address");
                break;
            case "--tls":
                _tls.Add(IPEndPoint.TryParse(value(), out var endPoint) && endPoint.Port > 0
                    ? endPoint
                    : throw new FormatException("--tls needs ADDRESS:PORT"));
                break;
            case "--tls-name":
                _tlsNames.Add(value());
                break;
            case "--backend":
                _backend = Address(name, value());
                break;
            case "--public-registry":
                _publicRegistry = Address(name, value());
                break;
            case "--pull-limit":
                _pullLimit = Number(name, value());
                break;
            case "--port":
                _firstPort = Number(name, value());
                break;
            case "--registry-port":
                _ports[Face.Registry] = Number(name, value());
                break;
            case "--auth-port":
                _ports[Face.Auth] = Number(name, value());
                break;
            case "--hub-port":
                _ports[Face.Hub] = Number(name, value());
                break;
            case "--cdn-port":
                _ports[Face.Cdn] = Number(name, value());
                break;
            case "--index-port":
                _ports[Face.Index] = Number(name, value());
                break;
            default:
                throw new FormatException($"unknown argument {name}");
        }
    }

    private int PortOf(Face face)
    {
        if (_ports.TryGetValue(face, out var port))
            return port;
        return _firstPort is > 0 ? _firstPort.Value + (int)face : 0;
    }

    private static int Number(string name, string text) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number <= ushort.MaxValue
            ? number
            : throw new FormatException($"{name} needs a number");

    private static Uri Address(string name, string text) =>
        Uri.TryCreate(text, UriKind.Absolute, out var address) ? address : throw new FormatException($"{name} needs an address");
}
