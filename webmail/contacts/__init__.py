"""People and groups: the address book, and the completion of addresses."""
