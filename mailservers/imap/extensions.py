"""What of IMAP is spoken, as data: CAPABILITY and the table in docs/protocols.md are made of the same rows.

`manage.py protocols` writes the table, and with --check says whether it is stale; what a row names must exist.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Extension:
    """``rfc``: numbers, or a draft's name. ``names``: capabilities that are always announced. ``also``: what the RFC
    has besides. ``files`` below mailservers/, ``tests`` below tests/."""

    rfc: str
    names: tuple[str, ...]
    files: tuple[str, ...]
    tests: tuple[str, ...]
    status: str = "whole"
    also: str = ""


_DIALOGS = ("imap/test_dialogs.py",)

EXTENSIONS = (
    Extension("3501, 9051", ("IMAP4rev1", "IMAP4rev2"), ("imap/commands.py",), _DIALOGS,
              "whole; `ENABLE IMAP4rev2` switches what differs"),
    Extension("7888", ("LITERAL+",), ("formats/imap/reader.py",), ("formats/test_imap_reader.py",),
              "whole; LITERAL- is the same with a limit, and the two must not be announced together"),
    Extension("4959", ("SASL-IR",), ("imap/access.py",), _DIALOGS),
    Extension("2971", ("ID",), ("imap/access.py",), _DIALOGS),
    Extension("5161", ("ENABLE",), ("imap/access.py",), _DIALOGS),
    Extension("2177", ("IDLE",), ("imap/dialogue.py",), ("imap/test_many_sessions.py",)),
    Extension("2342", ("NAMESPACE",), ("imap/access.py",), ("imap/test_acl.py",),
              "whole: one personal namespace, and `Shared/` for others' mailboxes"),
    Extension("4315", ("UIDPLUS",), ("imap/messages.py",), _DIALOGS),
    Extension("6851", ("MOVE",), ("imap/messages.py",), _DIALOGS),
    Extension("3691", ("UNSELECT",), ("imap/mailboxes.py",), _DIALOGS),
    Extension("3348", ("CHILDREN",), ("imap/listing.py",), _DIALOGS),
    Extension("6154", ("SPECIAL-USE", "CREATE-SPECIAL-USE"), ("imap/mailboxes.py",), ("imap/test_metadata.py",),
              "whole, with METADATA's /private/specialuse; the Outbox is IANA's `\\Scheduled`, not to be created"),
    Extension("5258", ("LIST-EXTENDED",), ("imap/listing.py",), _DIALOGS),
    Extension("5819", ("LIST-STATUS",), ("imap/listing.py",), _DIALOGS),
    Extension("8438", ("STATUS=SIZE",), ("imap/listing.py",), _DIALOGS),
    Extension("4731", ("ESEARCH",), ("imap/searching.py",), ("imap/test_search.py",)),
    Extension("5267", ("ESORT", "CONTEXT=SEARCH", "CONTEXT=SORT"), ("imap/contexts.py", "imap/updating.py"),
              ("imap/test_contexts.py", "imap/test_sort.py"),
              "whole; 16 contexts a session, those of SORT to 5,000 messages and not by RELEVANCY, else NOUPDATE"),
    Extension("5466", ("FILTERS",), ("imap/filters.py",), ("imap/test_fuzzy_and_filters.py",),
              "whole; three filters deep; a search has 300 keys at most"),
    Extension("6203", ("SEARCH=FUZZY",), ("formats/fuzzy.py",), ("imap/test_fuzzy_and_filters.py",),
              "whole: the beginnings of all words, in any order; texts only"),
    Extension("5255", ("I18NLEVEL=1",), ("formats/searchable.py", "formats/collation.py"), ("imap/test_search.py",),
              "whole; LANGUAGE is not there, as there is one language"),
    Extension("7377", ("MULTISEARCH",), ("imap/multisearching.py",), ("imap/test_multisearch.py",),
              "whole, over others' mailboxes that may be read, too"),
    Extension("9394", ("PARTIAL",), ("formats/imap/partial.py",), ("imap/test_sort.py", "imap/test_fetch.py"),
              "whole, for SEARCH, SORT and UID FETCH"),
    Extension("5256, 5957", ("SORT", "SORT=DISPLAY", "THREAD=ORDEREDSUBJECT", "THREAD=REFERENCES"),
              ("store/searching/sorting.py", "formats/imap/threading.py"), ("imap/test_sort.py",)),
    Extension("draft-ietf-morg-inthread", ("THREAD=REFS",), ("formats/imap/threading.py",), ("imap/test_sort.py",),
              "as Dovecot has it; the draft's text was not at hand"),
    Extension("5182", ("SEARCHRES",), ("imap/searching.py",), ("imap/test_search.py",)),
    Extension("5032", ("WITHIN",), ("store/searching/judging.py",), ("imap/test_search.py",)),
    Extension("7162", ("CONDSTORE", "QRESYNC"), ("imap/resync.py", "store/forgetting.py"), ("imap/test_qresync.py",),
              "whole; a mailbox remembers its newest 10,000 expunges, and from before that all that is not there is"
              " told"),
    Extension("3502", ("MULTIAPPEND",), ("imap/appending.py",), ("imap/test_append.py",),
              "whole: all messages or none"),
    Extension("3516", ("BINARY",), ("formats/binary_content.py", "imap/fetching.py"),
              ("imap/test_append.py", "imap/test_fetch.py"),
              "whole; parts of a `literal8` that hold NUL are kept in base64"),
    Extension("4469, 5092", ("CATENATE",), ("imap/appending.py", "formats/imap/urls.py"),
              ("imap/test_append.py", "formats/test_imap_urls.py"),
              "whole; relative URLs of messages and parts"),
    Extension("4467, 5092", ("URLAUTH",), ("imap/urlauth.py", "store/url_keys.py", "formats/imap/urls.py"),
              ("imap/test_urlauth.py", "formats/test_imap_urls.py"),
              "whole, mechanism INTERNAL; `submit+` URLs are for `POSTROOM_IMAP_SUBMIT_USER`"),
    Extension("8508", ("REPLACE",), ("imap/appending.py", "store/replacing.py"), ("imap/test_append.py",),
              "whole: one transaction"),
    Extension("9208", ("QUOTA", "QUOTA=RES-STORAGE", "QUOTA=RES-MESSAGE"), ("imap/quotas.py",),
              ("imap/test_quota.py",), "whole; a root for each user and each limited domain",
              "QUOTASET (administrators), STATUS DELETED-STORAGE"),
    Extension("8474", ("OBJECTID",), ("imap/object_ids.py",), ("imap/test_attributes.py",)),
    Extension("8514", ("SAVEDATE",), ("imap/fetching.py",), ("imap/test_attributes.py",)),
    Extension("8970", ("PREVIEW",), ("imap/fetching.py",), ("imap/test_attributes.py",),
              "whole; previews are made at acceptance, so LAZY is never NIL"),
    Extension("9586", ("UIDONLY",), ("imap/session.py", "imap/commands.py"), ("imap/test_attributes.py",)),
    Extension("9585", ("INPROGRESS",), ("imap/session.py",), ("imap/test_attributes.py",),
              "whole; SEARCH and STORE tell how far they are every 10 s"),
    Extension("4978", ("COMPRESS=DEFLATE",), ("serving/compression.py",), ("imap/test_compress.py",)),
    Extension("5465", ("NOTIFY",), ("imap/notifying.py",), ("imap/test_notify.py", "imap/test_rights.py"),
              "whole, for MessageNew, MessageExpunge, FlagChange, MailboxName, SubscriptionChange and the METADATA"
              " events, for others' mailboxes, too; AnnotationChange is refused with BADEVENT"),
    Extension("6855", ("UTF8=ACCEPT",), ("imap/appending.py", "formats/imap/lexer.py"), ("imap/test_utf8.py",),
              "whole, with APPEND and CATENATE UTF8. A message with UTF-8 header fields is shown as it is to every"
              " client (nothing is downgraded), and 8-bit header fields are taken from clients that have not enabled"
              " it, so that old mail can be moved here"),
    Extension("5464", ("METADATA",), ("imap/metadata.py", "store/annotations.py"), ("imap/test_metadata.py",),
              "whole: mailboxes and server, MAXSIZE, DEPTH, values to 32 KiB, 100 entries each private and shared;"
              " changes are told after ENABLE METADATA or with NOTIFY. An entry asked for by name that is not there"
              " is NIL"),
    Extension("4314", ("ACL", "RIGHTS=kxte"), ("imap/sharing.py", "store/access.py"),
              ("imap/test_acl.py", "imap/test_rights.py"),
              "whole: identifiers are logins, addresses of groups and aliases (their direct members), `anyone`, and"
              " `-` before each; others' mailboxes are `Shared/<login>/<name>`. What changes in the rights of a"
              " selected mailbox counts at once and is told; without `r` the session ends with BYE. Who lacks `l` is"
              " told of no mailbox. Flags, \\Seen too, are shared (decision 0006). Not in the webmail yet"),
    Extension("8440", ("LIST-MYRIGHTS",), ("imap/listing.py",), ("imap/test_acl.py",)),
    Extension("9590", ("LIST-METADATA",), ("imap/listing.py",), ("imap/test_fuzzy_and_filters.py",)),
    Extension("7889", (), ("imap/access.py",), ("imap/test_append.py",), also="APPENDLIMIT"),
    Extension("8437", (), ("imap/access.py",), ("imap/test_attributes.py",), also="UNAUTHENTICATE"),
    Extension("5530", (), ("imap/replies.py",), _DIALOGS, "those that have a cause here", "response codes"),
    Extension("8314, 9051 6.2.1", (), ("imap/access.py", "imap/server.py"), ("imap/test_sessions.py",),
              also="STARTTLS, LOGINDISABLED, AUTH="),
)  # fmt: skip

CAPABILITIES = tuple(name for extension in EXTENSIONS for name in extension.names)
