"""Domains, users and addresses: every change an administrator can make, as store operations.

    key = await asyncio.to_thread(keys.generate)                       # slow things first, outside the store thread
    domain_id = store.call_sync(create_domain, "harbour.example", key, actor="anna@harbour.example")
    user_id = store.call_sync(create_user, "ben@harbour.example", password_hash=hash_typed(password), actor=...)

Each operation checks everything itself, raises an `AccountError` (a sentence fit for the form it came from, and the
name of the field), and writes its `AuditEntry` in the same transaction. `actor` is a login or COMMAND_LINE.
Only `remove_user` and `import_users` are more than one transaction: they are called directly, not through the store.
"""

from accounts.services.addresses import create_address, delete_address, update_address
from accounts.services.audit import COMMAND_LINE
from accounts.services.credentials import add_credential, new_app_password, new_token, revoke_credential
from accounts.services.domains import create_domain, delete_domain, set_domain_active
from accounts.services.errors import AccountError, AlreadyExists, InvalidValue, NotAllowed, NotFound, StillInUse
from accounts.services.importing import ImportReport, ImportRow, import_users
from accounts.services.passwords import generate_password, hash_given, hash_typed, scram_keys_for, typed_or_made
from accounts.services.quotas import set_domain_quota, set_user_quota
from accounts.services.removal import delete_user, remove_user, restore_user
from accounts.services.routes import create_route, delete_route, update_route
from accounts.services.senders import list_sender, unlist_sender
from accounts.services.users import create_user, note_one_time_link, set_password, set_user_active, update_user

__all__ = [
    "COMMAND_LINE",
    "AccountError",
    "AlreadyExists",
    "ImportReport",
    "ImportRow",
    "InvalidValue",
    "NotAllowed",
    "NotFound",
    "StillInUse",
    "add_credential",
    "create_address",
    "create_domain",
    "create_route",
    "create_user",
    "delete_address",
    "delete_domain",
    "delete_route",
    "delete_user",
    "generate_password",
    "hash_given",
    "hash_typed",
    "import_users",
    "list_sender",
    "new_app_password",
    "new_token",
    "note_one_time_link",
    "remove_user",
    "restore_user",
    "revoke_credential",
    "scram_keys_for",
    "set_domain_active",
    "set_domain_quota",
    "set_password",
    "set_user_active",
    "set_user_quota",
    "typed_or_made",
    "unlist_sender",
    "update_address",
    "update_route",
    "update_user",
]
