"""`manage.py check --deploy` with production settings, and what must not be installed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from django.conf import settings


def test_the_deployment_check_is_clean(tmp_path: Path) -> None:
    production = {**os.environ, "POSTROOM_DATA_DIR": str(tmp_path), "POSTROOM_WEB_TLS": "True"}
    production |= {"POSTROOM_DEBUG": "False", "DJANGO_SETTINGS_MODULE": "config.settings"}
    code = "import django; django.setup(); from django.core.checks import run_checks;"
    code += "print([m.id for m in run_checks(include_deployment_checks=True) if not m.is_silenced()])"
    run = subprocess.run(
        [sys.executable, "-c", code], env=production, cwd=settings.BASE_DIR, capture_output=True, text=True, timeout=60
    )
    assert run.stdout.strip() == "[]", run.stdout + run.stderr


def test_djangos_admin_stays_off() -> None:
    assert "django.contrib.admin" not in settings.INSTALLED_APPS
