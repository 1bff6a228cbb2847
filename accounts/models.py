"""Who has mail here: domains, users, the addresses that lead to them, and what admins did.

Logins and addresses are kept in lower case: local parts of our own domains are compared without case
(RFC 5321 2.4 leaves that to the host that owns them).
"""

from __future__ import annotations

from typing import ClassVar

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager
from django.db import models


class Domain(models.Model):
    """A domain whose mail we hold; its name in lower case, as A-labels or UTF-8 U-labels as typed."""

    name = models.CharField(max_length=255, unique=True)
    is_active = models.BooleanField(default=True)
    quota_octets = models.BigIntegerField(default=0)  # of all users together; 0: no limit
    quota_messages = models.BigIntegerField(default=0)
    mta_sts_mode = models.CharField(max_length=10, default="testing")  # of the policy we publish (RFC 8461)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.name


class Role(models.TextChoices):
    """What they may do is in `accounts.roles`."""

    ADMIN = "admin", "Owner"
    DOMAIN_ADMIN = "domain-admin", "Domain administrator"
    SUPPORT = "support", "Support"
    USER = "user", "User"


class Theme(models.TextChoices):
    SYSTEM = "", "As my system has it"
    LIGHT = "light", "Light"
    DARK = "dark", "Dark"


class Density(models.TextChoices):
    ROOMY = "", "Roomy: with the first words of each message"
    COMPACT = "compact", "Compact: more messages at once"


class UserManager(BaseUserManager["User"]):
    def get_by_natural_key(self, username: str | None) -> User:
        return self.get(login=(username or "").lower())


class User(AbstractBaseUser):
    """A person with a maildrop. The e-mail address is the login."""

    login = models.CharField(max_length=320, unique=True)
    password = models.CharField(max_length=255)  # Argon2 over an imported hash is longer than Django's 128
    name = models.CharField(max_length=200, blank=True)
    domain = models.ForeignKey(Domain, on_delete=models.PROTECT, related_name="users")
    role = models.CharField(max_length=20, choices=Role.choices, default=Role.USER)
    scope = models.ManyToManyField(Domain, blank=True, related_name="staff")  # of a role that is not for everything
    is_active = models.BooleanField(default=True)
    quota_octets = models.BigIntegerField(default=0)  # 0: no limit
    quota_messages = models.BigIntegerField(default=0)
    stores_sent = models.BooleanField(default=False)  # mail submitted over SMTP is put into Sent, too
    undo_s = models.PositiveSmallIntegerField(null=True)  # mail waits so long before it goes; null: UNDO_SEND_S
    undo_submitted = models.BooleanField(default=False)  # mail from mail programs, too
    tags_to_folders = models.BooleanField(default=False)  # user+tag goes to the folder "tag" where there is one
    theme = models.CharField(max_length=10, blank=True, default="", choices=Theme.choices)
    density = models.CharField(max_length=10, blank=True, default="", choices=Density.choices)
    time_zone = models.CharField(max_length=64, blank=True, default="")  # IANA name; "": the browser's
    has_second_factor = models.BooleanField(default=False)  # mail programs then need app passwords
    removal_clock_s = models.BigIntegerField(null=True)  # deleted at this reading of the RetentionClock; null: not
    credential_version = models.PositiveIntegerField(default=0)  # part of the login cache's key
    created_at = models.DateTimeField(auto_now_add=True)
    last_login = None  # a sign-in does not write to the mail database

    USERNAME_FIELD = "login"
    REQUIRED_FIELDS: ClassVar[list[str]] = []
    objects = UserManager()

    def __str__(self) -> str:
        return self.login

    @property
    def is_admin(self) -> bool:
        return self.role == Role.ADMIN

    @property
    def is_staff(self) -> bool:
        """May see the console, or a part of it."""
        return self.role != Role.USER

    def get_full_name(self) -> str:
        return self.name or self.login


class Credential(models.Model):
    """A secret that we made, besides the user's own password: 128 random bits, of which only the SHA-256 is kept."""

    class Kind(models.TextChoices):
        APP_PASSWORD = "app-password", "App password"
        TOKEN = "token", "Access token"  # for OAUTHBEARER and XOAUTH2

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="credentials")
    kind = models.CharField(max_length=20, choices=Kind.choices)
    name = models.CharField(max_length=100)  # what it is for: "phone"
    digest = models.BinaryField(max_length=32, unique=True)
    scopes = models.CharField(max_length=100)  # services it opens, separated by spaces: "imap smtp"
    expires_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("user", "kind", "name"), name="credential_name_once"),)


class ApiToken(models.Model):
    """What a program signs in to the API with: it may do a part of what its owner may. Only its SHA-256 is kept."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="api_tokens")
    name = models.CharField(max_length=100)  # which program: "provisioning"
    digest = models.BinaryField(max_length=32, unique=True)
    permissions = models.CharField(max_length=500)  # names of `accounts.roles.Permission`, separated by spaces
    expires_at = models.DateTimeField()
    created_at = models.DateTimeField(auto_now_add=True)
    used_at = models.DateTimeField(null=True)  # to the hour

    class Meta:
        constraints = (models.UniqueConstraint(fields=("user", "name"), name="api_token_name_once"),)


class SecondFactor(models.Model):
    """What a user shows besides the password: an authenticator app's codes, or a passkey."""

    class Kind(models.TextChoices):
        TOTP = "totp", "Authenticator app"
        PASSKEY = "passkey", "Passkey"

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="second_factors")
    kind = models.CharField(max_length=10, choices=Kind.choices)
    name = models.CharField(max_length=100)
    secret = models.BinaryField(blank=True)  # TOTP: sealed
    used_step = models.BigIntegerField(default=0)  # TOTP: the last time step whose code was taken: none works twice
    credential = models.BinaryField(max_length=1023, null=True, unique=True)  # passkey: its id
    public_key = models.BinaryField(blank=True)  # passkey: COSE
    sign_count = models.BigIntegerField(default=0)  # passkey: as it last said
    created_at = models.DateTimeField(auto_now_add=True)
    last_used_at = models.DateTimeField(null=True)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("user", "name"), name="second_factor_name_once"),)


class RecoveryCode(models.Model):
    """A way in once, for a second factor that is lost: only the SHA-256 is kept (they are random)."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="recovery_codes")
    digest = models.BinaryField(max_length=32)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("user", "digest"), name="recovery_code_once"),)


class ServerCertificate(models.Model):
    """A certificate for all listeners; the newest is in use, unless files are named in the settings."""

    class Source(models.TextChoices):
        UPLOAD = "upload", "Uploaded"
        ACME = "acme", "Got by ACME"

    source = models.CharField(max_length=10, choices=Source.choices)
    chain = models.TextField()  # PEM, our own certificate first
    sealed_key = models.BinaryField()  # PEM
    created_at = models.DateTimeField(auto_now_add=True)


class ServerValue(models.Model):
    """What the installation decides and remembers about itself while it runs; who writes a name says what it is."""

    name = models.CharField(max_length=200, primary_key=True)
    value = models.JSONField()


class RoleRule(models.Model):
    """What is asked of everybody with a role."""

    role = models.CharField(max_length=20, primary_key=True, choices=Role.choices)
    needs_second_factor = models.BooleanField(default=False)


class WebSession(models.Model):
    """A browser that is signed in: for its user to see and to end. The session itself lies in the web database."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="web_sessions")
    session_key = models.CharField(max_length=40, unique=True)
    agent = models.CharField(max_length=300, blank=True)  # the browser's words
    address = models.CharField(max_length=45, blank=True)
    signed_in_at = models.DateTimeField()
    seen_at = models.DateTimeField()


class Device(models.Model):
    """A mail program that signed in: by protocol, what it signed in with, and what it calls itself."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="devices")
    credential = models.ForeignKey(Credential, on_delete=models.CASCADE, null=True)  # None: the user's own password
    protocol = models.CharField(max_length=10)
    client = models.CharField(max_length=200, blank=True)  # IMAP ID, or EHLO's name
    address = models.CharField(max_length=45, blank=True)  # the last one
    first_seen_at = models.DateTimeField()
    seen_at = models.DateTimeField()

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=("user", "credential", "protocol", "client"),
                name="device_once",
                nulls_distinct=False,
            ),
        )


class ScramKeys(models.Model):
    """What SCRAM-SHA-256 needs of a password (`accounts.auth.scram`): the user's own, or an app password."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="scram_keys")
    credential = models.OneToOneField(Credential, on_delete=models.CASCADE, null=True, blank=True)
    salt = models.BinaryField(max_length=16)
    iterations = models.PositiveIntegerField()
    stored_key = models.BinaryField(max_length=32)
    server_key = models.BinaryField(max_length=32)


class Address(models.Model):
    """An address that is not a login: an alias (one target) or a group (several)."""

    domain = models.ForeignKey(Domain, on_delete=models.CASCADE, related_name="addresses")
    address = models.CharField(max_length=320, unique=True)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.address


class AddressTarget(models.Model):
    """Where mail for an `Address` goes: one of our users, or (`remote`) an address elsewhere."""

    address = models.ForeignKey(Address, on_delete=models.CASCADE, related_name="targets")
    user = models.ForeignKey(User, on_delete=models.CASCADE, null=True, blank=True, related_name="aliases")
    remote = models.CharField(max_length=320, blank=True)

    class Meta:
        constraints = (
            models.CheckConstraint(
                condition=models.Q(user__isnull=False, remote="")
                | (models.Q(user__isnull=True) & ~models.Q(remote="")),
                name="target_is_user_or_remote",
            ),
            models.UniqueConstraint(fields=("address", "user", "remote"), name="target_once"),
        )


class DkimKey(models.Model):
    """A domain's signing key (RFC 6376). The private key is encrypted with the installation's secret.

    Not active and not retired: its record is to be published first, then it takes over (outbound/dkim_rotation.py)."""

    domain = models.ForeignKey(Domain, on_delete=models.CASCADE, related_name="dkim_keys")
    selector = models.CharField(max_length=63)
    algorithm = models.CharField(max_length=20, default="rsa-sha256")
    private_key = models.BinaryField()
    public_key = models.TextField()  # base64, as in the DNS record's p=
    is_active = models.BooleanField(default=True)
    retired_at = models.DateTimeField(null=True)  # no longer signs; its record stays for mail that is on its way
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("domain", "selector"), name="dkim_selector_once"),)


class OneTimeLink(models.Model):
    """A link that works once, to sign in or to choose a password: only the SHA-256 of its token is kept."""

    user = models.ForeignKey(User, on_delete=models.CASCADE)
    sets_password = models.BooleanField(default=False)
    token_digest = models.BinaryField(max_length=32, unique=True)
    expires_at = models.DateTimeField()


class AuditEntry(models.Model):
    """What an administrator did; written in the same transaction as the act, never changed."""

    at = models.DateTimeField(db_index=True)
    actor = models.CharField(max_length=320)  # login, or "command line"
    action = models.CharField(max_length=60)  # e.g. "user.create"
    subject = models.CharField(max_length=320)
    detail = models.JSONField(default=dict)
    chain = models.CharField(max_length=64)  # SHA-256 over the one before and this entry, see services.audit
