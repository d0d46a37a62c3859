using System.Text;
using ImageAccess.Proxy.Callers.Members;

namespace ImageAccess.Proxy.Administration.Notifications;

/// <summary>
/// The mail addresses of those who have asked for access: the member list's, and nobody else's word. They are looked up when something is sent, so that
/// whoever has left is told nothing, and no disk has them.
/// </summary>
internal sealed class RequesterAddresses(Func<MemberBook> members)
{
    /// <summary>The address in the first of the lists that has one; null where none has.</summary>
    /// <param name="requester">Who.</param>
    /// <param name="isRead">Whether that can be said: it cannot before the lists are read.</param>
    public string? Find(Requester requester, out bool isRead)
    {
        isRead = true;
        var book = members();
        foreach (var organization in requester.Organizations)
        {
            var address = book.AddressOf(requester.Person, organization, out isRead);
            if (!isRead)
                return null;
            if (address is not null && Ascii.IsValid(address) && MailOptions.IsAddress(address))
                return address;
        }

        return null;
    }
}
