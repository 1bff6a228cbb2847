"""A user's mail out to files of other programs and back in, byte for byte: mbox, Maildir, eml."""
