"""The project's settings on a data directory of the test run's own."""

import atexit
import os
import shutil
import tempfile

_directory = tempfile.mkdtemp(prefix="postroom-tests-")
atexit.register(shutil.rmtree, _directory, ignore_errors=True)
os.environ["POSTROOM_DATA_DIR"] = _directory
os.environ.setdefault("POSTROOM_HOSTNAME", "mx.postroom.test")
os.environ.setdefault("POSTROOM_UNDO_SEND", "0")  # what is sent goes at once, unless a test is about that

from config.settings import *  # noqa: E402, F403
from config.settings import DATABASES, env  # noqa: E402

if not env.str("POSTROOM_DATABASE_URL", default=""):
    for _alias, _database in DATABASES.items():
        # A file, not memory: the store thread and the readers have connections of their own.
        _database["TEST"] = {"NAME": os.path.join(_directory, f"test-{_alias}.sqlite3")}
        _database["OPTIONS"] = {
            **_database["OPTIONS"],
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF; PRAGMA temp_store=MEMORY;",
        }
