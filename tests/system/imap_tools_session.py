"""A session of imap-tools (PyPI): python imap_tools_session.py PORT LOGIN PASSWORD FOLDER. Prints JSON."""

import json
import sys

from imap_tools import AND, MailBoxUnencrypted, MailMessageFlags

port, login, password, folder = sys.argv[1:]


def letter(number: int) -> bytes:
    return f"From: a{number}@b.test\r\nTo: c@d.test\r\nSubject: n{number}\r\n\r\nbody {number}\r\n".encode()


with MailBoxUnencrypted("127.0.0.1", int(port)).login(login, password) as mailbox:
    said = {}
    mailbox.folder.create(folder)
    said["exists"] = mailbox.folder.exists(folder)
    for number in range(6):
        mailbox.append(letter(number), folder, flag_set=[MailMessageFlags.FLAGGED] if number % 2 else None)
    mailbox.folder.set(folder)
    said["subjects"] = [message.subject for message in mailbox.fetch(mark_seen=False)]
    said["bulk"] = [message.text.strip() for message in mailbox.fetch(bulk=True, mark_seen=False)]
    said["flagged"] = [message.subject for message in mailbox.fetch(AND(flagged=True), mark_seen=False)]
    said["reverse"] = [m.subject for m in mailbox.fetch(AND(from_="b.test"), limit=2, reverse=True, mark_seen=False)]
    said["numbers"] = mailbox.numbers(AND(subject="n3"))
    uids = mailbox.uids()
    mailbox.flag(uids[:2], [MailMessageFlags.SEEN, "$Word"], True)
    said["unseen"] = [message.subject for message in mailbox.fetch(AND(seen=False), mark_seen=False)]
    said["keyword"] = len(mailbox.uids(AND(keyword="$Word")))
    mailbox.copy(uids[0], folder)
    mailbox.folder.create(f"{folder}/below")
    mailbox.move(uids[1:3], f"{folder}/below")
    mailbox.delete(uids[3])
    said["left"] = [message.subject for message in mailbox.fetch(mark_seen=False)]
    said["status"] = mailbox.folder.status(f"{folder}/below")["MESSAGES"]
    said["delimiter"] = {info.delim for info in mailbox.folder.list(folder)}.pop()
    with mailbox.idle as idle:
        mailbox_again = MailBoxUnencrypted("127.0.0.1", int(port)).login(login, password)
        mailbox_again.append(letter(9), folder)
        said["idle"] = [line.decode() for line in idle.poll(timeout=30)]
        mailbox_again.logout()
    mailbox.folder.rename(f"{folder}/below", f"{folder}/other")
    mailbox.folder.delete(f"{folder}/other")
    said["folders"] = [info.name for info in mailbox.folder.list(folder)]
    print(json.dumps(said))
