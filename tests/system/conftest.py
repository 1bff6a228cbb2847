from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.instance import Instance, instance


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/system/" in str(item.path):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="package")
def demo() -> Iterator[Instance]:
    """One instance with the demo organisation, for all tests of this folder."""
    with instance(demo=True) as server:
        yield server
        server.stop()
        assert "sound" in server.manage("check").stdout
        assert "Traceback" not in server.log(), server.log()
