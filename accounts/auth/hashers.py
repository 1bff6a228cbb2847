"""Password hashing.

`PostroomArgon2Hasher` is Argon2id with 19 MiB and two passes (the OWASP minimum): about 20 ms and 19 MiB a check,
where Django's default costs 200 ms of CPU and 100 MB, and phones log in often.

A thousand users imported at once cannot each wait for that, so `users import` stores a quick salted PBKDF2
(`ImportHasher`) that is replaced at the first login, and `strengthen` wraps the others in Argon2
(`ArgonOverImportHasher`) without knowing the password.
"""

from __future__ import annotations

from typing import Any

import argon2
from django.contrib.auth.hashers import Argon2PasswordHasher, PBKDF2PasswordHasher


class PostroomArgon2Hasher(Argon2PasswordHasher):
    time_cost = 2
    memory_cost = 19 * 1024  # KiB
    parallelism = 1


class ImportHasher(PBKDF2PasswordHasher):
    """Quick: for imports only, until the first login or `strengthen`."""

    algorithm = "import_pbkdf2"
    iterations = 5000

    def harden_runtime(self, password: str, encoded: str) -> None:
        """Another algorithm than the preferred one: Django already hashes once more with that."""


class ArgonOverImportHasher(PostroomArgon2Hasher):
    """Argon2id over an `ImportHasher` digest: `argon2_import$<iterations>$<salt>$<argon2 hash>`."""

    algorithm = "argon2_import"

    def wrap(self, encoded: str) -> str:
        """Strengthen a stored `ImportHasher` value."""
        _, iterations, salt, digest = encoded.split("$", 3)
        return f"{self.algorithm}${iterations}${salt}${self._argon2().hash(digest)}"

    def verify(self, password: str, encoded: str) -> bool:
        _, iterations, salt, rest = encoded.split("$", 3)
        digest = ImportHasher().encode(password, salt, int(iterations)).rsplit("$", 1)[1]
        try:
            return self._argon2().verify(rest, digest)
        except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
            return False

    def must_update(self, encoded: str) -> bool:
        return True  # the password is known at a login: hash it plainly

    def safe_summary(self, encoded: str) -> dict[Any, Any]:
        return {"algorithm": self.algorithm}

    def harden_runtime(self, password: str, encoded: str) -> None:
        """As above."""

    def _argon2(self) -> argon2.PasswordHasher:
        return argon2.PasswordHasher(self.time_cost, self.memory_cost, self.parallelism)
