using ImageAccess.Core.Hosts;

namespace ImageAccess.Core.Tests.Hosts;

public sealed class DockerHubHostsTests
{
    [Theory]
    [InlineData("registry-1.docker.io", DockerHubRole.Registry)]
    [InlineData("REGISTRY-1.docker.IO.", DockerHubRole.Registry)]
    [InlineData("index.docker.io", DockerHubRole.Registry)]
    [InlineData("registry.hub.docker.com", DockerHubRole.Registry)]
    [InlineData("docker.io", DockerHubRole.Registry)]
    [InlineData("auth.docker.io", DockerHubRole.TokenService)]
    [InlineData("registry-2.docker.io", DockerHubRole.Reserved)]
    [InlineData("a.b.docker.io", DockerHubRole.Reserved)]
    [InlineData("www.docker.io", DockerHubRole.Reserved)]
    [InlineData("production.cloudflare.docker.com", DockerHubRole.Content)]
    [InlineData("production.cloudfront.docker.com", DockerHubRole.Content)]
    [InlineData("production.somewhere-new.docker.com", DockerHubRole.Content)]
    [InlineData("docker-images-prod.6aa30f8b08e16409b46e0173d6de2f56.r2.cloudflarestorage.com", DockerHubRole.Content)]
    [InlineData("hub.docker.com", DockerHubRole.None)]
    [InlineData("login.docker.com", DockerHubRole.None)]
    [InlineData("download.docker.com", DockerHubRole.None)]
    [InlineData("notdocker.io", DockerHubRole.None)]
    [InlineData("docker.io.example.com", DockerHubRole.None)]
    [InlineData("other.r2.cloudflarestorage.com", DockerHubRole.None)]
    public void A_host_has_a_role(string host, DockerHubRole role) => Assert.Equal(role, DockerHubHosts.RoleOf(HostName.Parse(host)));

    [Fact]
    public void What_is_intercepted_is_the_registry_and_the_token_service()
    {
        Assert.Equal(5, DockerHubHosts.Intercepted.Count);
        Assert.All(DockerHubHosts.Intercepted, host => Assert.True(DockerHubHosts.RoleOf(HostName.Parse(host)) is DockerHubRole.Registry or DockerHubRole.TokenService));
    }

    [Theory]
    [InlineData("mirror.gcr.io", true)]
    [InlineData("abc123.mirror.aliyuncs.com", true)]
    [InlineData("gcr.io", false)]
    [InlineData("ghcr.io", false)]
    [InlineData("notmirror.gcr.io", false)]
    public void Copies_are_known_with_what_is_below_them(string host, bool copy) => Assert.Equal(copy, DockerHubCopies.Include(HostName.Parse(host)));

    [Fact]
    public void The_list_of_copies_is_of_names_each_once()
    {
        Assert.All(DockerHubCopies.Hosts, host => Assert.Equal(host, HostName.Parse(host).Value));
        Assert.Equal(DockerHubCopies.Hosts.Count, DockerHubCopies.Hosts.Distinct().Count());
    }
}
