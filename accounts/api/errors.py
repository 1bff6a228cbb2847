"""Every refusal is JSON: {"error": a whole sentence, "field": the value at fault, or ""}."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from ninja import NinjaAPI
from ninja.errors import AuthenticationError, HttpError, ValidationError

from accounts.services import AccountError, AlreadyExists, InvalidValue, NotAllowed, NotFound, StillInUse
from mailservers.store.errors import StoreError

STATUS: dict[type[StoreError], int] = {
    InvalidValue: 422,
    AlreadyExists: 409,
    StillInUse: 409,
    NotAllowed: 403,
    NotFound: 422,  # something that was named in the body; what the address is about is looked up before
}
NO_TOKEN = "Send an API token: “Authorization: Bearer pra_…”."
NOTHING = "There is nothing here, or it is not yours to see."


class Refused(Exception):
    """`retry_after_s` 0: asking again does not help."""

    def __init__(self, status: int, text: str, retry_after_s: float = 0.0) -> None:
        super().__init__(text)
        self.status, self.retry_after_s = status, retry_after_s


def add_handlers(api: NinjaAPI) -> None:
    def told(request: HttpRequest, status: int, text: str, field: str = "") -> HttpResponse:
        return api.create_response(request, {"error": text, "field": field}, status=status)

    def refused(request: HttpRequest, error: Refused) -> HttpResponse:
        answer = told(request, error.status, str(error))
        if error.retry_after_s:
            answer["Retry-After"] = str(math.ceil(error.retry_after_s))
        return answer

    def store_error(request: HttpRequest, error: StoreError) -> HttpResponse:
        if isinstance(error, AccountError):  # a sentence already, which may begin with an address
            return told(request, STATUS.get(type(error), 422), str(error), error.field)
        return told(request, 503 if error.temporary else 422, _sentence(str(error)))

    def no_token(request: HttpRequest, error: AuthenticationError) -> HttpResponse:
        answer = told(request, 401, NO_TOKEN)
        answer["WWW-Authenticate"] = "Bearer"
        return answer

    def invalid(request: HttpRequest, error: ValidationError) -> HttpResponse:
        first: dict[str, Any] = error.errors[0]
        where = [str(part) for part in first["loc"] if not _is_wrapping(part)]
        return told(request, 422, _sentence(first["msg"]), ".".join(where))

    handlers: dict[type[Exception], Callable[..., HttpResponse]] = {
        Refused: refused,
        StoreError: store_error,
        AuthenticationError: no_token,
        ValidationError: invalid,
        Http404: lambda request, error: told(request, 404, NOTHING),
        HttpError: lambda request, error: told(request, error.status_code, str(error)),
    }
    for kind, handler in handlers.items():
        api.add_exception_handler(kind, handler)


def _is_wrapping(part: object) -> bool:
    """Names that are ours, not the caller's: where the value was looked for."""
    return part in ("body", "query", "path", "values", "wanted")


def _sentence(text: str) -> str:
    text = f"{text[:1].upper()}{text[1:]}"
    return text if text.endswith((".", "”", "!")) else f"{text}."
