"""The IMAP grammar: bytes in, frozen values out (RFC 9051, RFC 3501).

``reader`` cuts the octets of a connection into complete commands, ``lexer`` reads the tokens of
one command, ``arguments``, ``fetch``, ``search`` and ``listing`` give each command's arguments,
``sequences`` and ``mailbox_names`` the two small languages inside them, ``writer`` the other way.
Nothing here touches a socket, a clock or the store; the only error that leaves a parser is
:class:`~mailservers.formats.imap.lexer.ImapSyntaxError` or one of its subclasses.
"""
