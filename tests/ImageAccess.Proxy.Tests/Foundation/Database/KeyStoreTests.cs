using System.Runtime.Versioning;
using System.Security.Cryptography;
using System.Text;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Foundation.Database.Keys;
using Microsoft.AspNetCore.DataProtection;
using Microsoft.AspNetCore.DataProtection.KeyManagement;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace ImageAccess.Proxy.Tests.Foundation.Database;

/// <summary>What data protection protects is good after a restart, in every process on the database, and for nobody who has the database alone.</summary>
[UnsupportedOSPlatform("windows")]
[Collection(PostgresRoom.Name)]
public sealed class KeyStoreTests(PostgresServer server) : IAsyncLifetime, IDisposable
{
    private readonly TemporaryDirectory _directory = new();
    private readonly List<Process> _processes = [];
    private string? _postgres;

    public Task InitializeAsync() => Task.CompletedTask;

    public async Task DisposeAsync()
    {
        foreach (var process in _processes)
            await process.DisposeAsync();
    }

    public void Dispose() => _directory.Dispose();

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task What_was_protected_is_good_after_a_restart(bool isPostgres)
    {
        if (isPostgres)
            _postgres = await server.CreateDatabaseAsync();
        var first = await StartAsync();
        var cookie = first.Protect("alice");
        await first.WrittenAsync(1);
        await first.StopAsync();

        var second = await StartAsync();
        Assert.Equal("alice", second.Unprotect(cookie));
        Assert.Equal("bob", second.Unprotect(second.Protect("bob")));
        Assert.Equal(1, await second.CountAsync()); // and no other key was made
    }

    [Fact]
    public async Task A_stop_writes_what_waits()
    {
        var first = await StartAsync();
        var cookie = first.Protect("alice");
        await first.StopAsync();
        Assert.False(first.Store.IsWaiting, $"{first.Log}");
        Assert.Equal("alice", (await StartAsync()).Unprotect(cookie));
    }

    [Fact]
    public async Task Two_processes_on_one_database_know_each_others_keys()
    {
        _postgres = await server.CreateDatabaseAsync();
        var keyFile = _directory["shared.key"];
        await File.WriteAllTextAsync(keyFile, Convert.ToBase64String(RandomNumberGenerator.GetBytes(32)));
        File.SetUnixFileMode(keyFile, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        var (one, two) = (await StartAsync("one", keyFile), await StartAsync("two", keyFile));
        var (ofOne, ofTwo) = (one.Protect("alice"), two.Protect("bob")); // each has made a key, at the same time
        await Eventually.TrueAsync(() => two.Reads(ofOne, "alice") && one.Reads(ofTwo, "bob"));
        Assert.False(File.Exists(_directory["one/data.key"]));

        one.Service<IKeyManager>().CreateNewKey(DateTimeOffset.UtcNow.AddMinutes(-1), DateTimeOffset.UtcNow.AddDays(90));
        var later = one.Protect("carol");
        await Eventually.TrueAsync(() => two.Reads(later, "carol"));
    }

    [Fact]
    public async Task The_database_has_no_key_that_can_be_read()
    {
        var process = await StartAsync();
        process.Protect("alice");
        await process.WrittenAsync(1);
        var master = Assert.Single(process.Store.GetAllElements()).Descendants("value").Select(value => value.Value).First();
        var row = Assert.Single(await process.RowsAsync());
        await process.StopAsync();

        foreach (var secret in new[] { Encoding.UTF8.GetBytes(master), Convert.FromBase64String(master), "masterKey"u8.ToArray(), Convert.FromBase64String(await File.ReadAllTextAsync(_directory["data.key"])) })
        {
            Assert.Equal(-1, row.Wrapped.AsSpan().IndexOf(secret));
            Assert.All(Directory.GetFiles(_directory.Path, "imageaccess.db*"), file => Assert.Equal(-1, File.ReadAllBytes(file).AsSpan().IndexOf(secret)));
        }

        Assert.DoesNotContain(master, process.Log.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Keys_that_another_file_has_wrapped_are_told_once_and_another_is_made()
    {
        var first = await StartAsync();
        var cookie = first.Protect("alice");
        await first.StopAsync();
        File.Delete(_directory["data.key"]);

        var second = await StartAsync();
        Assert.ThrowsAny<CryptographicException>(() => second.Unprotect(cookie));
        var own = second.Protect("bob");
        Assert.Equal("bob", second.Unprotect(own));
        await second.WrittenAsync(2);
        Assert.Single(second.Log.At(LogLevel.Warning), line => line.StartsWith("1 data-protection keys of ", StringComparison.Ordinal) && line.Contains($"the key in {_directory["data.key"]}", StringComparison.Ordinal));
        Assert.Empty(second.Log.At(LogLevel.Error));
        await second.StopAsync();
        Assert.Equal("bob", (await StartAsync()).Unprotect(own));
    }

    /// <summary>Who can write into the database makes no key of his own, and none of ours another.</summary>
    [Fact]
    public async Task A_row_that_somebody_changed_is_no_key()
    {
        var first = await StartAsync();
        var cookie = first.Protect("alice");
        await first.WrittenAsync(1);
        var row = Assert.Single(await first.RowsAsync());
        await first.Database.WriteAsync(
            context =>
            {
                context.DataProtectionKeys.Add(row with { Id = 0, Name = "another" });
                var changed = (byte[])[.. row.Wrapped];
                changed[^1] ^= 1;
                context.DataProtectionKeys.Add(row with { Id = 0, Wrapped = changed });
                context.DataProtectionKeys.Add(row with { Id = 0, Name = "plain", Wrapped = "<key id=\"x\"/>"u8.ToArray() });
                return context.SaveChangesAsync();
            },
            default);
        await first.StopAsync();
        var second = await StartAsync();
        Assert.Equal("alice", second.Unprotect(cookie));
        Assert.Single(second.Store.GetAllElements());
        Assert.Single(second.Log.At(LogLevel.Warning), line => line.StartsWith("3 data-protection keys of ", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Without_the_database_what_is_known_goes_on_and_a_new_key_is_written_later()
    {
        var process = await StartAsync();
        var cookie = process.Protect("alice");
        await process.WrittenAsync(1);
        var path = _directory["imageaccess.db"];
        File.Move(path, path + ".aside");
        await File.WriteAllTextAsync(path, new string('x', 5000));

        process.Service<IKeyManager>().CreateNewKey(DateTimeOffset.UtcNow.AddMinutes(-1), DateTimeOffset.UtcNow.AddDays(90));
        Assert.Equal("alice", process.Unprotect(cookie));
        var meanwhile = process.Protect("bob");
        Assert.Equal("bob", process.Unprotect(meanwhile));

        File.Move(path + ".aside", path, overwrite: true);
        await process.WrittenAsync(2);
        await process.StopAsync();
        Assert.Equal("bob", (await StartAsync()).Unprotect(meanwhile));
    }

    [Fact]
    public async Task Before_the_database_was_read_nothing_is_protected_and_the_start_does_not_wait()
    {
        await File.WriteAllTextAsync(_directory["imageaccess.db"], new string('x', 5000));
        var process = Make(null, null);
        await process.Host.StartAsync();
        Assert.ThrowsAny<CryptographicException>(() => process.Protect("alice"));
        File.Delete(_directory["imageaccess.db"]);
        await process.ReadAsync();
        Assert.Equal("alice", process.Unprotect(process.Protect("alice")));
    }

    private async Task<Process> StartAsync(string? name = null, string? keyFile = null)
    {
        var process = Make(name, keyFile);
        await process.Host.StartAsync();
        await process.ReadAsync();
        return process;
    }

    private Process Make(string? name, string? keyFile)
    {
        var data = name is null ? _directory.Path : Directory.CreateDirectory(_directory[name]).FullName;
        var process = new Process(new() { ["Data:Directory"] = data, ["Data:KeyFile"] = keyFile, ["Database:ConnectionString"] = _postgres });
        _processes.Add(process);
        return process;
    }

    /// <summary>The room of the database alone, as the host composes it.</summary>
    private sealed class Process : IAsyncDisposable
    {
        private bool _isStopped;

        public Process(Dictionary<string, string?> settings)
        {
            var builder = Microsoft.Extensions.Hosting.Host.CreateEmptyApplicationBuilder(new HostApplicationBuilderSettings());
            builder.Services.AddLogging(logging => logging.SetMinimumLevel(LogLevel.Trace).AddProvider(Log));
            builder.Services.AddDatabase(new ConfigurationBuilder().AddInMemoryCollection(settings.Where(setting => setting.Value is not null)).Build());
            Host = builder.Build();
            Store = Service<KeyStore>();
        }

        public IHost Host { get; }

        public LogLines Log { get; } = new();

        public KeyStore Store { get; }

        public SqlDatabase Database => Service<SqlDatabase>();

        private IDataProtector Protector => Service<IDataProtectionProvider>().CreateProtector("a test");

        public T Service<T>()
            where T : notnull => Host.Services.GetRequiredService<T>();

        public string Protect(string text) => Protector.Protect(text);

        public string Unprotect(string text) => Protector.Unprotect(text);

        public bool Reads(string cookie, string text)
        {
            try
            {
                return Unprotect(cookie) == text;
            }
            catch (CryptographicException)
            {
                return false;
            }
        }

        /// <summary>Until the database has been read.</summary>
        public Task ReadAsync() => Eventually.TrueAsync(() => Record.Exception(() => Store.GetAllElements()) is null);

        public Task WrittenAsync(int count) => Eventually.TrueAsync(async () => !Store.IsWaiting && await CountAsync() == count);

        public Task<int> CountAsync() => Database.ReadAsync(context => context.DataProtectionKeys.CountAsync(), default);

        public Task<List<DataProtectionKeyRow>> RowsAsync() => Database.ReadAsync(context => context.DataProtectionKeys.AsNoTracking().ToListAsync(), default);

        public async Task StopAsync()
        {
            if (_isStopped)
                return;
            _isStopped = true;
            await Host.StopAsync();
            Host.Dispose();
        }

        public async ValueTask DisposeAsync() => await StopAsync();
    }
}
