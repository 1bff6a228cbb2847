"""The installation's secret: made once, kept under the data directory, readable by its owner only."""

import os
import secrets
from pathlib import Path


def read_or_make(path: Path) -> str:
    """The secret in `path`; made with mode 0600 if it is not there. Two processes starting at once agree."""
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        pass
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    draft.touch(mode=0o600)
    draft.write_text(secrets.token_urlsafe(48))
    try:
        os.link(draft, path)  # fails if another process was first: its secret stands
    except FileExistsError:
        pass
    finally:
        draft.unlink()
    return path.read_text().strip()
