"""What limits by address have counted is forgotten between tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mailservers.smtp import defences


@pytest.fixture(autouse=True)
def nothing_counted() -> Iterator[None]:
    yield
    defences.errors_by_address.clear()
    defences.messages_by_address.clear()
