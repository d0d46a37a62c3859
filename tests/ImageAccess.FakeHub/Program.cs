namespace ImageAccess.FakeHubs;

internal static class Program
{
    public static int Main() => 0;
}
