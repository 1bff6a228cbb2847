#!/usr/bin/env python3
"""Django's command line, with one option of ours in front: `--data-dir DIR`.

All state lives under the data directory, so it must be known before the settings are read. Every command,
Django's own included, therefore takes `--data-dir` (or the environment's POSTROOM_DATA_DIR).
"""

import os
import sys


def take_data_dir(argv: list[str]) -> list[str]:
    """Move `--data-dir DIR` or `--data-dir=DIR` from the arguments into the environment."""
    rest: list[str] = []
    words = iter(argv)
    for word in words:
        if word == "--data-dir":
            value = next(words, None)
            if value is None:
                sys.exit("manage.py: --data-dir needs a directory")
            os.environ["POSTROOM_DATA_DIR"] = value
        elif word.startswith("--data-dir="):
            os.environ["POSTROOM_DATA_DIR"] = word.partition("=")[2]
        else:
            rest.append(word)
    return rest


def main() -> None:
    argv = take_data_dir(sys.argv)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    try:
        from django.core.management import execute_from_command_line
    except ImportError:
        sys.exit("manage.py: Django is not installed here; run `make install` and use .venv/bin/python")
    execute_from_command_line(argv)


if __name__ == "__main__":
    main()
