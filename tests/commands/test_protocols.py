"""`manage.py protocols`: the tables in docs/protocols.md say what the code says."""

from dataclasses import replace

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command

from mailservers.imap import documentation
from mailservers.imap.extensions import EXTENSIONS


def test_the_tables_are_not_stale():
    call_command("protocols", "--check")


def test_a_stale_table_is_noticed(monkeypatch):
    monkeypatch.setattr(documentation, "EXTENSIONS", EXTENSIONS[:-1])
    with pytest.raises(CommandError, match="stale"):
        call_command("protocols", "--check")


def test_what_is_named_must_be_there(monkeypatch):
    monkeypatch.setattr(documentation, "EXTENSIONS", (replace(EXTENSIONS[0], tests=("imap/test_nothing.py",)),))
    with pytest.raises(CommandError, match=r"tests/imap/test_nothing.py, named for RFC 3501, 9051, is not there"):
        call_command("protocols", "--check")
    with pytest.raises(documentation.Untrue, match="marks"):
        documentation.with_tables("# Protocols", "")
    assert (settings.BASE_DIR / "docs" / "protocols.md").is_file()
