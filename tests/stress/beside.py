"""What goes on beside the IMAP sessions: deliveries over SMTP and LMTP, and POP3 clients that remove."""

from __future__ import annotations

import asyncio
import random
import re
import time

from tests.stress.actor import Run, letter
from tests.stress.ledger import Ledger, Violation

WAIT_S = 120.0


class Lines:
    """A line protocol's client: what is sent, and the reply that must come."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def open(cls, port: int) -> Lines:
        lines = cls(*await asyncio.open_connection("127.0.0.1", port))
        await lines.reply()
        return lines

    async def reply(self) -> bytes:
        """One reply; of several lines (SMTP) the last."""
        while True:
            line = await asyncio.wait_for(self.reader.readline(), WAIT_S)
            if not re.match(rb"\d{3}-", line):
                return line

    async def ask(self, text: bytes) -> bytes:
        self.writer.write(text + b"\r\n")
        return await self.reply()

    async def many(self) -> list[bytes]:
        """The lines of a POP3 multi-line response, without the dot."""
        lines: list[bytes] = []
        while (line := await asyncio.wait_for(self.reader.readline(), WAIT_S)) != b".\r\n":
            if not line:
                raise Violation("POP3: the connection was lost")
            lines.append(line)
        return lines


async def deliver(run: Run, ledgers: list[Ledger], port: int, is_lmtp: bool, seed: str) -> None:
    """One message after another, to one user or several."""
    choose = random.Random(f"{seed}-deliver-{is_lmtp}")
    hello = b"LHLO" if is_lmtp else b"EHLO"
    while time.monotonic() < run.until:
        lines = await Lines.open(port)
        await lines.ask(hello + b" stress.test")
        for _ in range(choose.randint(1, 5)):
            token = run.token("lmtp" if is_lmtp else "smtp")
            chosen = choose.sample(ledgers, min(len(ledgers), choose.choice((1, 1, 3))))
            await lines.ask(b"MAIL FROM:<a@elsewhere.test>")
            for ledger in chosen:
                await lines.ask(f"RCPT TO:<{ledger.login}>".encode())
            await lines.ask(b"DATA")
            reply = await lines.ask(letter(token, choose) + b".")
            for n, ledger in enumerate(chosen):
                if n and is_lmtp:
                    reply = await lines.reply()
                if not reply.startswith(b"250"):
                    raise Violation(f"a delivery to {ledger.login} was answered {reply!r}")
                ledger.delivered.add(token)
            run.count("LMTP" if is_lmtp else "SMTP")
            await asyncio.sleep(choose.random() * 0.4)
        await lines.ask(b"QUIT")
        lines.writer.close()


async def drain(run: Run, ledgers: list[Ledger], port: int, seed: str) -> None:
    """A POP3 client that looks at a few messages and removes some of them."""
    choose = random.Random(f"{seed}-drain")
    while time.monotonic() < run.until:
        ledger = choose.choice(ledgers)
        lines = await Lines.open(port)
        await lines.ask(b"USER " + ledger.login.encode())
        if not (await lines.ask(b"PASS " + run.password.encode())).startswith(b"+OK"):
            raise Violation("POP3: the login was refused")
        await _drain_some(ledger, lines, choose)
        if not (await lines.ask(b"QUIT")).startswith(b"+OK"):
            raise Violation("POP3: QUIT was refused")
        lines.writer.close()
        run.count("POP3")
        await asyncio.sleep(choose.random())


async def _drain_some(ledger: Ledger, lines: Lines, choose: random.Random) -> None:
    await lines.ask(b"UIDL")
    listed = [line.split() for line in await lines.many()]
    for number, unique_id in choose.sample(listed, min(len(listed), choose.randint(1, 4))):
        validity, uid = map(int, unique_id.split(b"."))
        if not (await lines.ask(b"TOP " + number + b" 0")).startswith(b"+OK"):
            continue  # meanwhile expunged
        subject = re.search(rb"Subject: (\S+)", b"".join(await lines.many()))
        assert subject is not None
        ledger.content(validity, uid, subject[1])
        if choose.random() < 0.6:
            ledger.removing(validity, [uid])
            await lines.ask(b"DELE " + number)
