using ImageAccess.Proxy.Registry;
using Microsoft.Extensions.Configuration;

namespace ImageAccess.Proxy.Tests.Registry;

public sealed class MirrorOptionsTests
{
    /// <summary>A value of the key itself, which the environment or the command line sets, is not joined with a file's list.</summary>
    [Theory]
    [InlineData("Mirror:Hold:0=containerd Mirror:Hold:1=containers", "Mirror:Hold=false", "false")]
    [InlineData("Mirror:Hold:0=containerd", "Mirror:Hold=true", "true")]
    [InlineData("Mirror:Hold:0=containers Mirror:Hold:1=containerd", "Mirror:Hold=classic-docker", "classic-docker")]
    [InlineData("Mirror:Hold:0=containerd", "Mirror:Hold:0=containers", "containers")]
    [InlineData("Mirror:Hold=", "Mirror:Hold:0=containers", "containers")] // a file's empty list
    [InlineData("Mirror:Hold=", "", "True")]
    [InlineData("Mirror:Hold=true", "Mirror:Hold=false", "false")]
    [InlineData("", "", "True")]
    public void The_value_of_the_key_itself_stands_alone(string file, string environment, string read)
    {
        var configuration = new ConfigurationBuilder().AddInMemoryCollection(Pairs(file)).AddInMemoryCollection(Pairs(environment)).Build();
        Assert.Equal(read.Split(' '), MirrorOptions.ReadHold(configuration.GetSection("Mirror:Hold")));

        static IEnumerable<KeyValuePair<string, string?>> Pairs(string text) =>
            text.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(pair => pair.Split('=')).Select(pair => new KeyValuePair<string, string?>(pair[0], pair[1]));
    }
}
