"""Settings, read from the environment or `.env` in the project's folder; every name starts with POSTROOM_.

Each limit of the system is here with a default that suits a small organisation. `docs/settings.md` lists them.
"""

import socket
from pathlib import Path

import environ
from django.core.exceptions import ImproperlyConfigured

from config.secret import read_or_make

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.Env()
environ.Env.read_env(BASE_DIR / ".env")

# ---------------------------------------------------------------- where state lives

DATA_DIR = Path(env.str("POSTROOM_DATA_DIR", default=str(BASE_DIR / "data"))).resolve()
DATA_DIR.mkdir(parents=True, exist_ok=True, mode=0o700)
SECRET_KEY = env.str("POSTROOM_SECRET_KEY", default="") or read_or_make(DATA_DIR / "secret.key")
DEBUG = env.bool("POSTROOM_DEBUG", default=False)

SQLITE_OPTIONS = {
    # FULL: an acknowledged row survives a power cut (WAL with NORMAL lost every one of them in a test).
    "init_command": (
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA temp_store=MEMORY;"
        "PRAGMA cache_size=-16000; PRAGMA mmap_size=268435456; PRAGMA wal_autocheckpoint=4000;"
    ),
    "transaction_mode": "IMMEDIATE",
    "cached_statements": 256,  # a batch's statements differ by its size
    "timeout": 30,
}
_database_url = env.str("POSTROOM_DATABASE_URL", default="")
if _database_url:
    _database = env.db_url_config(_database_url)
    if _database["ENGINE"].endswith("postgresql"):  # a host that is gone must not hold the store for minutes
        _database["OPTIONS"] = {"connect_timeout": 5, **_database.get("OPTIONS", {})}
    DATABASES = {"default": {**_database, "CONN_MAX_AGE": None, "CONN_HEALTH_CHECKS": True}}
    DATABASE_ROUTERS: list[str] = []
else:
    DATABASES = {
        alias: {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": str(DATA_DIR / f"{file}.sqlite3"),
            "OPTIONS": SQLITE_OPTIONS,
            "CONN_MAX_AGE": None,
        }
        for alias, file in (("default", "postroom"), ("web", "web"))
    }
    DATABASE_ROUTERS = ["config.routers.WebStateRouter"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

MESSAGE_FILES_DIR = DATA_DIR / "messages"  # large bodies, and what is on its way in
S3_BUCKET = env.str("POSTROOM_S3_BUCKET", default="")  # large bodies are kept there instead: several hosts, one store
S3_ENDPOINT = env.str("POSTROOM_S3_ENDPOINT", default="")  # URL of another S3 than Amazon's
S3_REGION = env.str("POSTROOM_S3_REGION", default="us-east-1")
S3_PREFIX = env.str("POSTROOM_S3_PREFIX", default="bodies")  # of the objects' keys
S3_ACCESS_KEY = env.str("POSTROOM_S3_ACCESS_KEY", default="")  # "" as the AWS libraries find it
S3_SECRET_KEY = env.str("POSTROOM_S3_SECRET_KEY", default="")
STORAGES: dict[str, dict[str, object]] = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    "messages": {"BACKEND": "mailservers.store.bodies.LocalBodies"},
}
if S3_BUCKET:
    STORAGES["messages"] = {
        "BACKEND": "mailservers.store.s3_bodies.S3Bodies",
        "OPTIONS": {
            "bucket_name": S3_BUCKET,
            "endpoint_url": S3_ENDPOINT or None,
            "region_name": S3_REGION,
            "location": S3_PREFIX,
            "access_key": S3_ACCESS_KEY or None,
            "secret_key": S3_SECRET_KEY or None,
        },
    }

# ---------------------------------------------------------------- who and where we are

HOSTNAME = env.str("POSTROOM_HOSTNAME", default="") or socket.getfqdn()
BIND = env.list("POSTROOM_BIND", default=["127.0.0.1"])
PORTS = {
    name: env.int(f"POSTROOM_{name.upper()}_PORT", default=port)
    for name, port in {
        "smtp": 2525,
        "submission": 2587,
        "submissions": 2465,
        "imap": 2143,
        "imaps": 2993,
        "pop3": 2110,
        "pop3s": 2995,
        "web": 8025,
    }.items()
}
PUBLIC_PORTS = {  # where clients reach them, when a firewall or proxy moves them
    name: env.int(f"POSTROOM_PUBLIC_{name.upper()}_PORT", default=port) for name, port in PORTS.items()
}
MX_HOSTS = env.list("POSTROOM_MX_HOSTS", default=[HOSTNAME])  # that mail comes to, in order of preference
LMTP_SOCKET = env.str("POSTROOM_LMTP_SOCKET", default="")  # path of a Unix socket; empty: none
if _lmtp_port := env.str("POSTROOM_LMTP_PORT", default=""):  # empty: no LMTP over TCP
    PORTS["lmtp"] = int(_lmtp_port)
    if PORTS["lmtp"] == 25:
        raise ImproperlyConfigured("POSTROOM_LMTP_PORT: LMTP must not be on port 25 (RFC 2033 5)")
if _https_port := env.str("POSTROOM_HTTPS_PORT", default=""):  # empty: no TLS on the web side, a proxy speaks it
    PORTS["https"] = int(_https_port)
    PUBLIC_PORTS["https"] = env.int("POSTROOM_PUBLIC_HTTPS_PORT", default=PORTS["https"])
PROXY_FROM = env.list("POSTROOM_PROXY_FROM", default=[])  # networks of proxies that send the PROXY protocol's header
TLS_CERT_FILE = env.str("POSTROOM_TLS_CERT_FILE", default="")  # both empty: self-signed, made on first start
TLS_KEY_FILE = env.str("POSTROOM_TLS_KEY_FILE", default="")
ACME_DIRECTORY = env.str("POSTROOM_ACME_DIRECTORY", default="https://acme-v02.api.letsencrypt.org/directory")
ACME_CA_FILE = env.str("POSTROOM_ACME_CA_FILE", default="")  # PEM: whom to believe that it is the directory

# ---------------------------------------------------------------- limits of the mail servers

MESSAGE_SIZE_LIMIT = env.int("POSTROOM_MESSAGE_SIZE_LIMIT", default=50 * 1024 * 1024)  # octets
MAX_RECIPIENTS = env.int("POSTROOM_MAX_RECIPIENTS", default=1000)  # a transaction; RFC 5321 4.5.3.1.8 asks 100
MAX_RECEIVED = env.int("POSTROOM_MAX_RECEIVED", default=50)  # Received fields: more is a loop (RFC 5321 6.3)
FUTURE_RELEASE_MAX_S = env.int("POSTROOM_FUTURE_RELEASE_MAX", default=30 * 24 * 3600)  # RFC 4865: held at most
UNDO_SEND_S = env.int("POSTROOM_UNDO_SEND", default=10)  # mail from the webmail can be taken back; users may choose
SMTP_TIMEOUT_S = env.int("POSTROOM_SMTP_TIMEOUT", default=300)  # RFC 5321 4.5.3.2.7
IMAP_SUBMIT_USER = env.str("POSTROOM_IMAP_SUBMIT_USER", default="")  # fetches "submit+" URLs (RFC 4467); "": nobody
IMAP_LOGIN_TIMEOUT_S = env.int("POSTROOM_IMAP_LOGIN_TIMEOUT", default=60)
IMAP_WRITE_TIMEOUT_S = env.int("POSTROOM_IMAP_WRITE_TIMEOUT", default=300)  # for a client that reads nothing
IMAP_IDLE_TIMEOUT_S = env.int("POSTROOM_IMAP_IDLE_TIMEOUT", default=30 * 60)  # RFC 9051 5.4: at least 30 min
POP3_TIMEOUT_S = env.int("POSTROOM_POP3_TIMEOUT", default=600)  # RFC 1939 3: at least 10 min
POP3_LOGIN_DELAY_S = env.int("POSTROOM_POP3_LOGIN_DELAY", default=0)  # between sessions of a user (RFC 2449 6.5)
MAX_CONNECTIONS = env.int("POSTROOM_MAX_CONNECTIONS", default=12_000)  # a listener
MAX_CONNECTIONS_PER_ADDRESS = env.int("POSTROOM_MAX_CONNECTIONS_PER_ADDRESS", default=100)  # loopback excepted
MAX_CONNECTION_RATE = env.int("POSTROOM_MAX_CONNECTION_RATE", default=600)  # a minute, an address and port; 0: no limit
LIMIT_LOOPBACK = env.bool("POSTROOM_LIMIT_LOOPBACK", default=False)  # limits by address hold for this machine, too
SMTP_ERRORS_PER_ADDRESS = env.int("POSTROOM_SMTP_ERRORS_PER_ADDRESS", default=200)  # in ten minutes; 0: no limit
SMTP_MESSAGES_PER_ADDRESS = env.int("POSTROOM_SMTP_MESSAGES_PER_ADDRESS", default=0)  # a minute; 0: no limit
SMTP_TARPIT_S = env.float(
    "POSTROOM_SMTP_TARPIT", default=1.0
)  # more for each error: replies to guessers wait; 0: never
SUBMISSION_MESSAGES_PER_HOUR = env.int("POSTROOM_SUBMISSION_MESSAGES_PER_HOUR", default=1000)  # a user; 0: no limit
SUBMISSION_MESSAGES_PER_DAY = env.int("POSTROOM_SUBMISSION_MESSAGES_PER_DAY", default=5000)
SUBMISSION_RECIPIENTS_PER_HOUR = env.int("POSTROOM_SUBMISSION_RECIPIENTS_PER_HOUR", default=3000)
SUBMISSION_RECIPIENTS_PER_DAY = env.int("POSTROOM_SUBMISSION_RECIPIENTS_PER_DAY", default=10_000)
SUBMISSION_STRANGERS_PER_DAY = env.int("POSTROOM_SUBMISSION_STRANGERS_PER_DAY", default=1000)  # then mail is held
SUBMISSION_PRIORITY = env.int("POSTROOM_SUBMISSION_PRIORITY", default=4)  # RFC 6710: the highest a user may ask for
SMTP_GREET_DELAY_S = env.float("POSTROOM_SMTP_GREET_DELAY", default=0.0)  # port 25: who talks before it is turned away
SMTP_MIN_RATE = env.int("POSTROOM_SMTP_MIN_RATE", default=100)  # octets a second of a message, after its first minute
WRITE_BUFFER_LIMIT = env.int("POSTROOM_WRITE_BUFFER_LIMIT", default=1024 * 1024)  # octets, a connection

STREAM_OVER = env.int("POSTROOM_STREAM_OVER", default=1024 * 1024)  # octets: larger messages are never whole in memory
STORE_QUEUE_LIMIT = env.int("POSTROOM_STORE_QUEUE_LIMIT", default=2000)  # operations waiting
STORE_BATCH_LIMIT = env.int("POSTROOM_STORE_BATCH_LIMIT", default=64)  # operations in one transaction
STORE_READERS = env.int("POSTROOM_STORE_READERS", default=2)  # reader threads
STORE_INLINE_LIMIT = env.int("POSTROOM_STORE_INLINE_LIMIT", default=64 * 1024)  # compressed octets in the database
UNDELETE_DAYS = env.int("POSTROOM_UNDELETE_DAYS", default=14)  # deleted mail can be restored; 0: it is gone at once
REMOVAL_DAYS = env.int("POSTROOM_REMOVAL_DAYS", default=14)  # a deleted user can be restored; 0: gone at once
QUOTA_WARNING_PERCENT = env.int("POSTROOM_QUOTA_WARNING", default=90)  # of a quota: the owner is told; 0 never
DISK_RESERVE = env.int("POSTROOM_DISK_RESERVE", default=64 * 1024 * 1024)  # octets: new mail leaves them free
CHANGE_POLL_S = env.float("POSTROOM_CHANGE_POLL", default=1.0)  # what another process changed is seen after

# ---------------------------------------------------------------- sending

ROUTES = dict(
    route.split("=", 1) for route in env.list("POSTROOM_ROUTES", default=[]) if "=" in route
)  # domain=host:port; "*" is everything else
QUEUE_RETRY_FIRST_S = env.int("POSTROOM_QUEUE_RETRY_FIRST", default=300)
QUEUE_RETRY_MAX_S = env.int("POSTROOM_QUEUE_RETRY_MAX", default=3600)
QUEUE_LIFETIME_S = env.int("POSTROOM_QUEUE_LIFETIME", default=5 * 24 * 3600)
QUEUE_LEASE_S = env.int("POSTROOM_QUEUE_LEASE", default=600)
QUEUE_CONCURRENCY = env.int("POSTROOM_QUEUE_CONCURRENCY", default=100)  # connections at once
QUEUE_POLL_S = env.float("POSTROOM_QUEUE_POLL", default=5.0)
QUEUE_PER_DESTINATION = env.int("POSTROOM_QUEUE_PER_DESTINATION", default=20)  # connections at once, a domain
QUEUE_DESTINATION_START = env.int("POSTROOM_QUEUE_DESTINATION_START", default=3)  # of them, until it proves good
QUEUE_DELAY_NOTICE_S = env.int("POSTROOM_QUEUE_DELAY_NOTICE", default=4 * 3600)  # the sender is told once; 0 never
OUTBOUND_REUSE_IDLE_S = env.float("POSTROOM_OUTBOUND_REUSE_IDLE", default=5.0)  # a connection is kept for the next
OUTBOUND_REUSE_MESSAGES = env.int("POSTROOM_OUTBOUND_REUSE_MESSAGES", default=100)  # at most over one connection
DKIM_ROTATE_DAYS = env.int("POSTROOM_DKIM_ROTATE_DAYS", default=180)  # new keys are made then; 0 never
DKIM_FORGET_DAYS = env.int("POSTROOM_DKIM_FORGET_DAYS", default=30)  # a retired key's record is shown that long
SRS_DAYS = env.int("POSTROOM_SRS_DAYS", default=21)  # bounces of forwarded mail find back that long; 0: no SRS
OUTBOUND_SOURCE = env.list("POSTROOM_OUTBOUND_SOURCE", default=[])  # our addresses to send from: an IPv4, an IPv6
OUTBOUND_EHLO_NAME = env.str("POSTROOM_OUTBOUND_EHLO_NAME", default="")  # what we call ourselves; else HOSTNAME
OUTBOUND_IP_VERSIONS = env.list("POSTROOM_OUTBOUND_IP_VERSIONS", cast=int, default=[6, 4])  # tried in this order
OUTBOUND_PORT = env.int("POSTROOM_OUTBOUND_PORT", default=25)  # of hosts found by MX
OUTBOUND_HTTPS_PORT = env.int("POSTROOM_OUTBOUND_HTTPS_PORT", default=443)  # of hosts with an MTA-STS policy
OUTBOUND_ALLOW_PRIVATE = env.bool("POSTROOM_OUTBOUND_ALLOW_PRIVATE", default=False)  # MX may be in private networks
OUTBOUND_DNS_SERVERS = env.list("POSTROOM_OUTBOUND_DNS_SERVERS", default=[])  # host or host:port; else resolv.conf
OUTBOUND_CA_FILE = env.str("POSTROOM_OUTBOUND_CA_FILE", default="")  # PEM: trusted besides the system's authorities
OUTBOUND_TIMEOUT_SCALE = env.float("POSTROOM_OUTBOUND_TIMEOUT_SCALE", default=1.0)  # of RFC 5321 4.5.3.2's

# ---------------------------------------------------------------- checks of what comes in (mailservers/checks)

DNS_SERVERS = env.list("POSTROOM_DNS_SERVERS", default=OUTBOUND_DNS_SERVERS)  # host or host:port; else resolv.conf
EGRESS_TEST = env.str("POSTROOM_EGRESS_TEST", default="gmail-smtp-in.l.google.com:25")  # can mail leave? asked there
WATCHED_LISTS = env.list(  # block lists that are asked for our own addresses
    "POSTROOM_WATCHED_LISTS", default=["zen.spamhaus.org", "bl.spamcop.net", "b.barracudacentral.org"]
)
AUTHORITATIVE_DNS_PORT = env.int("POSTROOM_AUTHORITATIVE_DNS_PORT", default=53)  # of our domains' own name servers
DNSSEC_TRUST = env.bool("POSTROOM_DNSSEC_TRUST", default=False)  # believe the resolver's AD flag also off loopback
DNS_TIMEOUT_S = env.float("POSTROOM_DNS_TIMEOUT", default=5.0)  # for one question, all servers and tries
CHECK_TIMEOUT_S = env.float("POSTROOM_CHECK_TIMEOUT", default=10.0)  # each of two stages; then "temperror"
CHECK_EXEMPT = env.list("POSTROOM_CHECK_EXEMPT", default=[])  # networks whose mail is not checked
CHECK_PRIVATE = env.bool("POSTROOM_CHECK_PRIVATE", default=False)  # check loopback and private networks, too
JUNK_SCORE = env.float("POSTROOM_JUNK_SCORE", default=5.0)  # reasons that weigh so much put a message into Junk
DMARC_REJECT = env.bool("POSTROOM_DMARC_REJECT", default=True)  # False: p=reject is Junk instead of 550
ARC_TRUSTED_SEALERS = env.list("POSTROOM_ARC_TRUSTED_SEALERS", default=[])  # domains whose ARC seals are believed
DNS_LISTS = {
    zone: float(weight or 3)
    for zone, _, weight in (entry.partition("=") for entry in env.list("POSTROOM_DNS_LISTS", default=[]))
}  # zone=weight; below 0 for lists of good senders
GREYLIST = env.bool("POSTROOM_GREYLIST", default=True)  # doubtful first contacts are asked to come again
GREYLIST_SCORE = env.float("POSTROOM_GREYLIST_SCORE", default=2.0)  # what is doubtful
GREYLIST_DELAY_S = env.int("POSTROOM_GREYLIST_DELAY", default=60)
RSPAMD_ADDRESS = env.str("POSTROOM_RSPAMD_ADDRESS", default="")  # host:port or a socket's path; empty: not asked
RSPAMD_REQUIRED = env.bool("POSTROOM_RSPAMD_REQUIRED", default=False)  # True: 451 when it does not answer
CLAMAV_ADDRESS = env.str("POSTROOM_CLAMAV_ADDRESS", default="")  # clamd's host:port or socket; empty: not asked
CLAMAV_REQUIRED = env.bool("POSTROOM_CLAMAV_REQUIRED", default=False)
REPORTS = env.bool("POSTROOM_REPORTS", default=True)  # tell others daily, where they ask for it (DMARC, TLS-RPT)
REPORTS_LOCAL_PART = env.str("POSTROOM_REPORTS_LOCAL_PART", default="reports")  # where ours come to, in each domain
REPORTS_KEPT_DAYS = env.int("POSTROOM_REPORTS_KEPT", default=90)
EVENTS_KEPT_S = env.int("POSTROOM_EVENTS_KEPT", default=90 * 24 * 3600)  # the trace; 0: for ever

METRICS_TOKEN = env.str("POSTROOM_METRICS_TOKEN", default="")  # for /metrics (Prometheus); empty: there is none

# ---------------------------------------------------------------- sign-in

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["accounts.auth.backend.OneDoorBackend"]
PASSWORD_HASHERS = [
    "accounts.auth.hashers.PostroomArgon2Hasher",
    "accounts.auth.hashers.ArgonOverImportHasher",
    "accounts.auth.hashers.ImportHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
AUTH_CACHE_S = env.int("POSTROOM_AUTH_CACHE", default=300)
AUTH_FAILURES_PER_ADDRESS = env.int("POSTROOM_AUTH_FAILURES_PER_ADDRESS", default=20)  # in AUTH_WINDOW_S
AUTH_FAILURES_PER_LOGIN = env.int("POSTROOM_AUTH_FAILURES_PER_LOGIN", default=10)  # by one address
AUTH_FAILURES_PER_ACCOUNT = env.int("POSTROOM_AUTH_FAILURES_PER_ACCOUNT", default=50)  # then strangers wait
AUTH_WINDOW_S = env.int("POSTROOM_AUTH_WINDOW", default=300)
SCRAM = env.bool("POSTROOM_SCRAM", default=True)  # offer SCRAM-SHA-256 and keep keys of passwords for it
TOKEN_ISSUERS = env.list("POSTROOM_TOKEN_ISSUERS", default=[])  # "postroom": `manage.py tokens`; none: no OAUTHBEARER
API_RATE = env.int("POSTROOM_API_RATE", default=300)  # requests a minute, of one token; 0: any number
LOGIN_URL = "sign-in"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "sign-in"

# ---------------------------------------------------------------- Django

INSTALLED_APPS = [
    "accounts",
    "mailservers",
    "webmail",
    "channels",
    "csp",
    "django_htmx",
    "django_prose_editor",
    "lucide",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "accounts.published.middleware.PublishedDocuments",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "accounts.security.required.SecondFactorRequired",
    "accounts.security.web_sessions.NoteWebSessions",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "config.not_allowed.PageForNotAllowed",
]
ROOT_URLCONF = "config.urls"
ASGI_APPLICATION = "config.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
            "builtins": ["lucide.templatetags.lucide"],
        },
    },
]
_redis_url = env.str("POSTROOM_REDIS_URL", default="")
CHANNEL_LAYERS = {
    "default": (
        {"BACKEND": "channels_redis.core.RedisChannelLayer", "CONFIG": {"hosts": [_redis_url]}}
        if _redis_url
        else {"BACKEND": "channels.layers.InMemoryChannelLayer"}
    )
}

LANGUAGE_CODE = "en"
TIME_ZONE = env.str("POSTROOM_TIME_ZONE", default="UTC")
USE_I18N = True
USE_TZ = True

STATIC_URL = "static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = DEBUG

# ---------------------------------------------------------------- security of the web side

ALLOWED_HOSTS = env.list("POSTROOM_ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]", HOSTNAME])
CSRF_TRUSTED_ORIGINS = env.list("POSTROOM_TRUSTED_ORIGINS", default=[])
WEB_TLS = env.bool("POSTROOM_WEB_TLS", default="https" in PORTS)  # True behind a proxy that speaks TLS, too
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = WEB_TLS
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if WEB_TLS and "https" not in PORTS else None
SECURE_SSL_REDIRECT = WEB_TLS and "https" in PORTS  # what comes without TLS goes there
SECURE_SSL_HOST = HOSTNAME if PUBLIC_PORTS.get("https", 443) == 443 else f"{HOSTNAME}:{PUBLIC_PORTS['https']}"
SECURE_REDIRECT_EXEMPT = [r"^\.well-known/acme-challenge/"]
SECURE_HSTS_SECONDS = 31_536_000 if WEB_TLS else 0
SILENCED_SYSTEM_CHECKS = [  # of `check --deploy`: what is not ours to decide
    "security.W005",  # HSTS for subdomains: they may be other people's servers
    "security.W021",  # and for the browsers' preload lists
    "security.W008",  # redirects: plain HTTP answers ACME's challenges; a proxy, or HSTS, brings browsers to HTTPS
]
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_AGE = 14 * 24 * 3600
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
DATA_UPLOAD_MAX_MEMORY_SIZE = 5 * 1024 * 1024
WEB_ATTACHMENTS_LIMIT = env.int("POSTROOM_WEB_ATTACHMENTS_LIMIT", default=25 * 1024 * 1024)  # octets, a message
WEB_BODY_LIMIT = WEB_ATTACHMENTS_LIMIT + 5 * 1024 * 1024  # octets of a request; more is answered 413
IMPORT_SIZE_LIMIT = env.int("POSTROOM_IMPORT_SIZE_LIMIT", default=4 * 1024**3)  # octets of a file of mail handed in
IMPORT_UNPACKED_LIMIT = env.int("POSTROOM_IMPORT_UNPACKED_LIMIT", default=16 * 1024**3)  # octets of what is in it
IMPORT_MAX_FILES = env.int("POSTROOM_IMPORT_MAX_FILES", default=500_000)  # in a zip file
FILE_UPLOAD_MAX_MEMORY_SIZE = 2 * 1024 * 1024
DATA_UPLOAD_MAX_NUMBER_FIELDS = 2000
DATA_UPLOAD_MAX_NUMBER_FILES = 100
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'", "data:", "blob:"],
        "font-src": ["'self'"],
        "connect-src": ["'self'"],
        "frame-src": ["'self'"],
        "form-action": ["'self'"],
        "manifest-src": ["'self'"],
        "worker-src": ["'self'"],
        "base-uri": ["'none'"],
        "frame-ancestors": ["'none'"],
    }
}

# ---------------------------------------------------------------- logs: to standard error, one line each

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": env.str("POSTROOM_LOG_LEVEL", default="WARNING")},
}
