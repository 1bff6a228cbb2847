"""What a store operation can refuse. Every face maps these to its protocol's codes in one table."""


class StoreError(Exception):
    """Base of all refusals; the text is fit for strangers. `temporary`: trying again later may work."""

    temporary = False


class StoreBusy(StoreError):
    """The queue of operations is full."""

    temporary = True


class StoreUnavailable(StoreError):
    """The database or the disk failed; the operation left no trace."""

    temporary = True


class StoreFull(StoreUnavailable):
    """The disk has no room; reading and deleting go on."""


class NoSuchMailbox(StoreError):
    pass


class MailboxExists(StoreError):
    pass


class InvalidMailboxName(StoreError):
    pass


class MailboxProtected(StoreError):
    """INBOX, and mailboxes with children, keep their place."""


class MailboxHasChildren(MailboxProtected):
    pass


class TooManyKeywords(StoreError):
    pass


class OverQuota(StoreError):
    pass


class NoSuchMessage(StoreError):
    """The message to be acted on has been expunged."""


class ContentDamaged(StoreError):
    """A message is there, but its octets are missing or cannot be decompressed (`manage.py check --deep`)."""


class AnnotationTooLarge(StoreError):
    pass


class TooManyAnnotations(StoreError):
    pass


class SpecialUseRefused(StoreError):
    """Not a special use that can be set, or another mailbox has it."""


class NotPermitted(StoreError):
    """The mailbox can be seen, but its access control list does not allow this."""
