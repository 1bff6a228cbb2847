"""The one door for every login: SMTP, IMAP, POP3 and the browser all come through `door`."""
