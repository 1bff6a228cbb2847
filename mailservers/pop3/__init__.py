"""POP3: RFC 1939 with the extensions of RFC 2449, 2595, 3206 and 5034.

`server` moves octets, `session` takes commands one after the other, `commands` is their table, `access` and
`transaction` carry them out, `maildrop` is what a session sees of the INBOX. Decisions that a reader may look for:

- The maildrop is the INBOX as it was at sign-in. Messages that IMAP marked \\Deleted are in it (as with Dovecot):
  marking is not removing. What another client expunges meanwhile is answered -ERR when it is asked for.
- Sizes are exactly what RETR sends, byte-stuffing apart.
- RETR marks \\Seen, as Dovecot does: all at once when the session ends, however it ends.
- DELE counts only when QUIT was reached; then one store operation removes all marked messages.
- UIDL is `<UIDVALIDITY>.<UID>`: it never changes and never comes again.
- UTF8 (RFC 6856) is not offered: it would forbid to send a message with UTF-8 in its header as it is to a client
  that has not asked for UTF8. Logins and passwords may nevertheless be UTF-8.
"""
