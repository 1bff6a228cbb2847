"""What a form is sent to, opened like a page."""

from __future__ import annotations

import pytest
from django.test import Client

pytestmark = pytest.mark.django_db(transaction=True)


def test_it_is_a_page_and_not_the_browsers_own() -> None:
    answer = Client().get("/sign-out/")
    assert answer.status_code == 405 and answer["Allow"] == "POST"
    assert b"Nothing was done" in answer.content and b"<h1>" in answer.content


def test_a_program_is_told_in_few_octets() -> None:
    answer = Client().delete("/sign-out/")
    assert answer.status_code in (403, 405) and b"Nothing was done" not in answer.content
