using System.Net;
using ImageAccess.Proxy.Portal.Pages;
using ImageAccess.Proxy.Tests.Administration.Api;
using Microsoft.AspNetCore.Routing;

namespace ImageAccess.Proxy.Tests.Portal;

/// <summary>What a browser gets without having signed in: pages, also for errors, in its language, with nothing from elsewhere.</summary>
public sealed class PageTests(ApiRoom room) : IClassFixture<ApiRoom>
{
    [Fact]
    public async Task The_page_of_a_denial_says_what_the_client_was_told_and_no_more()
    {
        var id = await room.DenyAsync("bob");
        var page = await new Browser(room).GetAsync($"/d/{id}");
        Assert.Equal((HttpStatusCode.OK, "text/html; charset=utf-8", "no-store, no-cache"), (page.Status, page.Header("Content-Type"), page.Header("Cache-Control")));
        Assert.Contains("<strong lang=\"en\">image access denied: community images not allowed</strong>", page.Html, StringComparison.Ordinal);
        Assert.Contains("<code>someuser/tool:latest</code>", page.Html, StringComparison.Ordinal);
        Assert.Contains($"href=\"../sign-in?to=d%2F{id}\"", page.Html, StringComparison.Ordinal);
        Assert.DoesNotContain("bob", page.Html, StringComparison.Ordinal);
        Assert.DoesNotContain("192.0.2.7", page.Html, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("/nothing", HttpStatusCode.NotFound, "There is nothing here", "there is nothing at /nothing")]
    [InlineData("/d/unknown", HttpStatusCode.NotFound, "There is nothing here", "there is no denial unknown; one is known for 30 days")]
    public async Task An_error_is_a_page_for_a_browser(string target, HttpStatusCode status, string heading, string detail)
    {
        var page = await new Browser(room).GetAsync(target);
        Assert.Equal((status, "text/html; charset=utf-8"), (page.Status, page.Header("Content-Type")));
        Assert.Contains($"<h1>{heading}</h1>", page.Html, StringComparison.Ordinal);
        Assert.Contains(detail, page.Html, StringComparison.Ordinal);
    }

    /// <summary>Whatever is not in this list is for who has signed in alone.</summary>
    [Fact]
    public async Task These_pages_are_for_everybody()
    {
        await new Browser(room).GetAsync("/");
        var open = room.Service<EndpointDataSource>().Endpoints.OfType<RouteEndpoint>()
            .Where(endpoint => endpoint.Metadata.GetMetadata<PageDemand>() is { NeedsSignIn: false })
            .Select(endpoint => $"{endpoint.Metadata.GetMetadata<IHttpMethodMetadata>()!.HttpMethods[0]} {endpoint.RoutePattern.RawText}")
            .Where(page => !page.StartsWith("GET console.", StringComparison.Ordinal)) // the stylesheet, under two names
            .Order();
        Assert.Equal(["GET /d/{id}", "GET /sign-in", "POST /language", "POST /sign-in"], open);
    }

    [Theory]
    [InlineData("GET", "/language")]
    [InlineData("GET", "/sign-out")]
    [InlineData("DELETE", "/sign-in")]
    [InlineData("PUT", "/")]
    public async Task What_is_not_for_an_address_is_told_so(string method, string target)
    {
        var page = await new Browser(room).GetAsync(target, method);
        Assert.Equal(HttpStatusCode.MethodNotAllowed, page.Status);
        Assert.Contains($"{method} is not for this address", page.Html, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_API_answers_a_browser_too_with_problems()
    {
        var page = await new Browser(room).GetAsync("/api/v1/policy");
        Assert.Equal((HttpStatusCode.Unauthorized, "application/problem+json"), (page.Status, page.Header("Content-Type")));
    }

    [Theory]
    [InlineData("zh-CN,zh;q=0.9,en;q=0.8", "zh-CN", "此镜像被拒绝", " UTC</time>")]
    [InlineData("zh-SG", "zh-CN", "此镜像被拒绝", "年")]
    [InlineData("de, en;q=0.5", "en", "This image was denied", " UTC</time>")]
    [InlineData("", "en", "This image was denied", " UTC</time>")]
    public async Task It_speaks_the_language_of_the_browser(string accepts, string lang, string heading, string time)
    {
        var page = await new Browser(room) { Language = accepts }.GetAsync($"/d/{await room.DenyAsync(null)}");
        Assert.Contains($"<html lang=\"{lang}\">", page.Html, StringComparison.Ordinal);
        Assert.Contains($"<h1>{heading}</h1>", page.Html, StringComparison.Ordinal);
        Assert.Contains(time, page.Html, StringComparison.Ordinal);
        Assert.Contains("image access denied: community images not allowed", page.Html, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("d/x", "./d/x")]
    [InlineData("requests?before=3", "./requests?before=3")]
    [InlineData("https://evil.example/", "./")]
    [InlineData("//evil.example/", "./")]
    [InlineData("\\\\evil.example", "./")]
    [InlineData("javascript:alert(1)", "./")]
    [InlineData("images/someuser/tool:latest", "./images/someuser/tool:latest")]
    [InlineData("a\r\nSet-Cookie: b=c", "./")]
    public async Task A_language_can_be_chosen_and_leads_back_to_the_page_and_nowhere_else(string to, string location)
    {
        var browser = new Browser(room);
        var chosen = await browser.PostAsync("/language", ("language", "zh-CN"), ("to", to));
        Assert.Equal((HttpStatusCode.SeeOther, location), (chosen.Status, chosen.Location));
        Assert.Contains("<html lang=\"zh-CN\">", (await browser.GetAsync("/nothing")).Html, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("application/json", "{}", HttpStatusCode.UnsupportedMediaType, "a page takes forms")]
    [InlineData("multipart/form-data; boundary=x", "--x\r\n", HttpStatusCode.BadRequest, "the ")]
    [InlineData("application/x-www-form-urlencoded", "MANY", HttpStatusCode.BadRequest, "the form cannot be read: ")]
    public async Task What_is_no_form_is_refused(string type, string body, HttpStatusCode status, string detail)
    {
        if (body == "MANY")
            body = string.Join('&', Enumerable.Range(0, 5000).Select(number => $"a{number}=b"));
        var page = await new Browser(room).PostAsync("/language", type, body);
        Assert.True(page.Status == status, page.Html);
        Assert.Contains($"<p lang=\"en\">{detail}", page.Html, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("/nothing")]
    [InlineData("/console.css")]
    [InlineData("/sign-in")]
    [InlineData("/")]
    [InlineData("/api/v1/policy")]
    [InlineData("/api/openapi.json")]
    public async Task Every_answer_has_the_headers_that_keep_a_browser_from_harm(string target)
    {
        var page = await new Browser(room).GetAsync(target);
        Assert.Equal(
            "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'", page.Header("Content-Security-Policy"));
        Assert.Equal(
            ("nosniff", "no-referrer", "same-origin", "max-age=31536000"),
            (page.Header("X-Content-Type-Options"), page.Header("Referrer-Policy"), page.Header("Cross-Origin-Opener-Policy"), page.Header("Strict-Transport-Security")));
    }

    [Fact]
    public async Task The_stylesheet_is_there_and_is_not_sent_twice()
    {
        var browser = new Browser(room);
        var sheet = await browser.GetAsync("/console.css");
        Assert.Equal((HttpStatusCode.OK, "text/css"), (sheet.Status, sheet.Header("Content-Type")));
        Assert.InRange(sheet.Html.Length, 1000, 30 * 1024);
        Assert.NotEmpty(sheet.Header("ETag"));
        Assert.DoesNotContain("no-store", sheet.Header("Cache-Control"), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("<script>alert(1)</script>")]
    [InlineData("\"><img src=x onerror=alert(1)>")]
    [InlineData("%E2%80%AEx")]
    public async Task What_comes_from_outside_is_text(string canary)
    {
        var page = await new Browser(room).GetAsync($"/d/{Uri.EscapeDataString(canary)}");
        Assert.Equal(HttpStatusCode.NotFound, page.Status);
        Assert.DoesNotContain("<script", page.Source, StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotContain("<img", page.Source, StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotContain("\u202e", page.Source, StringComparison.Ordinal);
    }
}
