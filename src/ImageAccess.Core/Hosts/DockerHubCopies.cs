namespace ImageAccess.Core.Hosts;

/// <summary>
/// Public registries that serve Docker Hub's images under their own names. The list is never complete: to be sure, an administrator
/// lists the registries that are allowed (<c>Egress:Allow</c>).
/// </summary>
public static class DockerHubCopies
{
    /// <summary>Each name stands for all names below it as well.</summary>
    public static IReadOnlyList<string> Hosts { get; } =
    [
        "mirror.gcr.io",
        "asia-mirror.gcr.io",
        "eu-mirror.gcr.io",
        "us-mirror.gcr.io",
        "registry.docker-cn.com",
        "mirror.aliyuncs.com",
        "docker.mirrors.ustc.edu.cn",
        "docker.mirrors.sjtug.sjtu.edu.cn",
        "docker.nju.edu.cn",
        "hub-mirror.c.163.com",
        "mirror.baidubce.com",
        "mirror.ccs.tencentyun.com",
        "mirror.iscas.ac.cn",
        "docker.m.daocloud.io",
        "m.daocloud.io",
        "dockerhub.azk8s.cn",
        "dockerhub.timeweb.cloud",
        "dockerhub1.beget.com",
        "dockerproxy.com",
        "dockerproxy.net",
        "dockerproxy.cn",
        "docker.1ms.run",
        "docker.1panel.live",
        "docker.xuanyuan.me",
        "docker.rainbond.cc",
        "dockerpull.org",
        "hub.rat.dev",
        "huecker.io",
        "noohub.ru",
    ];

    public static bool Include(HostName host) => Hosts.Any(host.IsAtOrUnder);
}
