"""What the tests of checking and sending have."""

from tests.checks.conftest import receiving
from tests.outbound.test_tls_policy import authority

__all__ = ["authority", "receiving"]
