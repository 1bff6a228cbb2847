"""Which tables live in which database: web sessions stay out of the mail database's write path."""

from typing import Any

WEB_APPS = {"sessions"}


class WebStateRouter:
    """Sends the tables of `WEB_APPS` to the `web` database and everything else to `default`."""

    def db_for_read(self, model: Any, **hints: Any) -> str | None:
        return "web" if model._meta.app_label in WEB_APPS else None

    db_for_write = db_for_read

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool | None:
        return (app_label in WEB_APPS) == (db == "web")
