using System.Collections;
using ImageAccess.Proxy.Foundation.Configuration;

namespace ImageAccess.Proxy.Tests.Foundation.Configuration;

public sealed class ConfigurationLoadingTests
{
    [Fact]
    public void The_variables_of_OpenTelemetry_are_handed_on_and_others_are_not()
    {
        using var folder = new TemporaryDirectory();
        File.WriteAllText(folder["imageaccess.json"], "{}");
        var environment = new Hashtable { ["OTEL_SERVICE_NAME"] = "mirror", ["OTHER"] = "x", ["IMAGEACCESS_PublicUrl"] = "https://x" };

        var loaded = ConfigurationLoading.Load(folder["imageaccess.json"], environment);

        Assert.Equal(("mirror", "https://x", null), (loaded["OTEL_SERVICE_NAME"], loaded["PublicUrl"], loaded["OTHER"]));
    }
}
