"""Mail programs that signed in, as their user sees them."""

from __future__ import annotations

from accounts.auth.devices import devices
from accounts.models import Device, User
from mailservers.imap.server import SERVICES as IMAP
from tests.conftest import PASSWORD
from tests.dialog import listening


async def test_imap_tells_its_name(anna: User) -> None:
    import asyncio

    devices.clear()
    async with listening(IMAP[0]) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        await reader.readline()
        for line in (f'a LOGIN {anna.login} "{PASSWORD}"', 'b ID ("name" "Thunderbird" "version" "128.1")', "c LOGOUT"):
            writer.write(f"{line}\r\n".encode())
            while not (await reader.readline()).startswith(line[:2].encode()):
                pass
        writer.close()
    await devices.write()
    rows = {row.client: row async for row in Device.objects.filter(user=anna)}
    assert set(rows) == {"", "Thunderbird 128.1"}
    named = rows["Thunderbird 128.1"]
    assert (named.protocol, named.address, named.credential_id) == ("imap", "127.0.0.1", None)


async def test_seen_again_is_one_row(anna: User) -> None:
    from accounts.auth.door import Identity

    identity = Identity(anna.pk, anna.login, "", False)
    for address in ("192.0.2.1", "192.0.2.2"):
        devices.clear()
        devices.note(identity, "smtp", address, "phone\0\n")
        await devices.write()
    row = await Device.objects.aget()
    assert (row.client, row.address) == ("phone", "192.0.2.2")


async def test_those_who_have_gone_are_passed_over(mail: None) -> None:
    from accounts.auth.door import Identity

    devices.clear()
    devices.note(Identity(99, "x@y.test", "", False, 0, 7), "imap", "192.0.2.1")
    await devices.write()
    assert not await Device.objects.aexists()
