"""The IMAP server: IMAP4rev2 (RFC 9051) and IMAP4rev1 (RFC 3501).

    formats.imap   octets to commands           server        the connection and its services
    dialogue       one command after another    commands      the table of commands, CAPABILITY
    session        what a client has open       tracker       sequence numbers against UIDs

Handlers, by what they work on: access (who is there), mailboxes, listing, messages, fetching, searching.
"""
