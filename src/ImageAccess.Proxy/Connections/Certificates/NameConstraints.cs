using System.Formats.Asn1;
using System.Net;
using System.Security.Cryptography.X509Certificates;

namespace ImageAccess.Proxy.Connections.Certificates;

/// <summary>
/// What a CA may sign for (RFC 5280, section 4.2.1.10). A form of name that has a permitted subtree is permitted in there alone; one
/// that has none is permitted wholly but for what is excluded; excluded wins.
/// </summary>
internal sealed class NameConstraints
{
    private const string Oid = "2.5.29.30";

    /// <summary>No host has this name (RFC 2606): permitting it alone permits none.</summary>
    private const string Nobody = "invalid";

    private static readonly Asn1Tag Email = new(TagClass.ContextSpecific, 1);
    private static readonly Asn1Tag Dns = new(TagClass.ContextSpecific, 2);
    private static readonly Asn1Tag Address = new(TagClass.ContextSpecific, 7);
    private static readonly Asn1Tag Permitted = new(TagClass.ContextSpecific, 0, isConstructed: true);
    private static readonly Asn1Tag Excluded = new(TagClass.ContextSpecific, 1, isConstructed: true);
    private static readonly Asn1Tag Web = new(TagClass.ContextSpecific, 6);
    private static readonly IPNetwork[] AllAddresses = [IPNetwork.Parse("0.0.0.0/0"), IPNetwork.Parse("::/0")];

    private readonly Subtrees _permitted;
    private readonly Subtrees _excluded;

    private NameConstraints(Subtrees permitted, Subtrees excluded) => (_permitted, _excluded) = (permitted, excluded);

    /// <summary>These hosts, everything below those of them that are names, and nothing else: no further address, no mailbox, no URI.</summary>
    public static NameConstraints For(IReadOnlyList<string> hosts)
    {
        var addresses = hosts.Where(host => IPAddress.TryParse(host, out _)).Select(IPAddress.Parse)
            .Select(address => new IPNetwork(address, address.GetAddressBytes().Length * 8)).Distinct().ToList();
        var names = hosts.Where(host => !IPAddress.TryParse(host, out _)).Distinct().ToList();
        // A family that has a permitted address cannot be excluded: that would win. The other family's form is the same, so that it is
        // not permitted either; it is excluded besides, for whoever takes the families for two forms.
        var excluded = AllAddresses.Where(all => addresses.TrueForAll(one => one.BaseAddress.AddressFamily != all.BaseAddress.AddressFamily));
        return new NameConstraints(new Subtrees(names, addresses), new Subtrees([], [.. excluded]));
    }

    /// <summary>Those of a certificate; null where it has none.</summary>
    /// <exception cref="AsnContentException">They are not as RFC 5280 has them.</exception>
    public static NameConstraints? Of(X509Certificate2 certificate)
    {
        if (certificate.Extensions[Oid] is not { } extension)
            return null;

        var both = new AsnReader(extension.RawData, AsnEncodingRules.DER).ReadSequence();
        return new NameConstraints(Read(both, Permitted), Read(both, Excluded));
    }

    public X509Extension Encode()
    {
        var writer = new AsnWriter(AsnEncodingRules.DER);
        using (writer.PushSequence())
        {
            using (writer.PushSequence(Permitted))
            {
                foreach (var name in _permitted.Names)
                    Write(writer, Dns, name);
                foreach (var network in _permitted.Networks)
                    Write(writer, network);
                Write(writer, Email, Nobody);
                Write(writer, Web, Nobody);
            }

            if (_excluded.Networks.Count > 0)
            {
                using var excluded = writer.PushSequence(Excluded);
                foreach (var network in _excluded.Networks)
                    Write(writer, network);
            }
        }

        return new X509Extension(Oid, writer.Encode(), critical: true);
    }

    public bool Permits(string host) =>
        !_excluded.Hold(host) && (_permitted.Hold(host) || !(IPAddress.TryParse(host, out _) ? _permitted.Networks.Count > 0 : _permitted.Names.Count > 0));

    /// <summary>The permitted names and addresses, for a person.</summary>
    public IReadOnlyList<string> PermittedHosts =>
    [
        .. _permitted.Names.DefaultIfEmpty("any name"),
        .. _permitted.Networks.Select(network => Text(network)),
        .. _permitted.Networks.Count > 0 || AllAddresses.All(all => _excluded.Networks.Contains(all)) ? Array.Empty<string>() : ["any address"],
    ];

    public IReadOnlyList<string> ExcludedHosts => [.. _excluded.Names, .. _excluded.Networks.Select(network => Text(network))];

    private static string Text(IPNetwork network) =>
        network.PrefixLength == network.BaseAddress.GetAddressBytes().Length * 8 ? network.BaseAddress.ToString() : network.ToString();

    private static void Write(AsnWriter writer, Asn1Tag form, string name)
    {
        using var subtree = writer.PushSequence();
        writer.WriteCharacterString(UniversalTagNumber.IA5String, name, form);
    }

    /// <summary>The address and behind it its mask.</summary>
    private static void Write(AsnWriter writer, IPNetwork network)
    {
        var address = network.BaseAddress.GetAddressBytes();
        var mask = address.Select((_, index) => (byte)(0xFF00 >> Math.Clamp(network.PrefixLength - (index * 8), 0, 8)));
        using var subtree = writer.PushSequence();
        writer.WriteOctetString([.. address, .. mask], Address);
    }

    private static Subtrees Read(AsnReader both, Asn1Tag which)
    {
        var names = new List<string>();
        var networks = new List<IPNetwork>();
        if (!both.HasData || !both.PeekTag().HasSameClassAndValue(which))
            return new Subtrees(names, networks);

        var subtrees = both.ReadSequence(which);
        while (subtrees.HasData)
        {
            var subtree = subtrees.ReadSequence();
            var form = subtree.PeekTag();
            if (form.HasSameClassAndValue(Dns))
                names.Add(subtree.ReadCharacterString(UniversalTagNumber.IA5String, form).ToLowerInvariant());
            else if (form.HasSameClassAndValue(Address))
                networks.Add(Network(subtree.ReadOctetString(form)));
        }

        return new Subtrees(names, networks);
    }

    private static IPNetwork Network(ReadOnlySpan<byte> range)
    {
        if (range.Length is not (8 or 32))
            throw new AsnContentException("An address range has 8 or 32 bytes.");

        var address = range[..(range.Length / 2)].ToArray();
        var mask = range[(range.Length / 2)..];
        var length = 0;
        while (length < mask.Length * 8 && (mask[length / 8] & (0x80 >> (length % 8))) != 0)
            length++;
        for (var bit = length; bit < mask.Length * 8; bit++)
        {
            if ((mask[bit / 8] & (0x80 >> (bit % 8))) != 0)
                throw new AsnContentException("The mask of an address range has holes.");
            address[bit / 8] &= (byte)~(0x80 >> (bit % 8));
        }

        return new IPNetwork(new IPAddress(address), length);
    }

    private sealed record Subtrees(IReadOnlyList<string> Names, IReadOnlyList<IPNetwork> Networks)
    {
        public bool Hold(string host) => IPAddress.TryParse(host, out var address)
            ? Networks.Any(network => network.Contains(address))
            : Names.Any(name => IsWithin(host.ToLowerInvariant(), name));

        /// <summary>A leading dot, which is none of RFC 5280's, is taken as the programs take it that verify: what is below alone.</summary>
        private static bool IsWithin(string host, string name) => name.Length == 0
            || (name[0] == '.' ? host.EndsWith(name, StringComparison.Ordinal)
                : host == name || host.EndsWith('.' + name, StringComparison.Ordinal));
    }
}
