"""The API's description, as OpenAPI and as a page of our own that needs no script. Open to all: it names no one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from ninja import NinjaAPI

METHODS = ("get", "post", "put", "patch", "delete")


@dataclass(frozen=True, slots=True)
class Described:
    """One route. `fields`: (name, type, whether it must be given) of its query or body; `answer`: likewise."""

    method: str
    path: str
    summary: str
    permission: str
    status: str
    fields: tuple[tuple[str, str, bool], ...]
    answer: str


def openapi(request: HttpRequest) -> HttpResponse:
    return JsonResponse(_schema())


def page(request: HttpRequest) -> HttpResponse:
    return render(request, "api/docs.html", {"groups": _groups(), "base": request.build_absolute_uri("/api/v1")})


@cache
def _schema() -> dict[str, Any]:
    schema: dict[str, Any] = json.loads(json.dumps(_api().get_openapi_schema(path_prefix="/api/v1")))
    return schema


def _api() -> NinjaAPI:
    from accounts.api.urls import api  # which imports this module

    return api


@cache
def _groups() -> dict[str, list[Described]]:
    groups: dict[str, list[Described]] = {}
    for path, methods in _schema()["paths"].items():
        for method in METHODS:
            if method in methods:
                groups.setdefault(methods[method]["tags"][0], []).append(_described(path, method, methods[method]))
    return groups


def _described(path: str, method: str, route: dict[str, Any]) -> Described:
    status, answer = next(iter(route["responses"].items()))
    content = answer.get("content", {}).get("application/json", {}).get("schema", {})
    return Described(
        method=method.upper(),
        path=path.removeprefix("/api/v1"),
        summary=route["summary"],
        permission=route["x-permission"],
        status=status,
        fields=tuple(_fields(route)),
        answer=", ".join(name for name, _, _ in _properties(content)) if content else "",
    )


def _fields(route: dict[str, Any]) -> Iterator[tuple[str, str, bool]]:
    for one in route.get("parameters", ()):
        if one["in"] == "query":
            yield one["name"], _type(one["schema"]), one["required"]
    body = route.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    if body:
        yield from _properties(body)


def _properties(schema: dict[str, Any]) -> Iterator[tuple[str, str, bool]]:
    schema = _resolved(schema)
    if schema.get("type") == "array":
        schema = _resolved(schema["items"])
    for name, value in schema.get("properties", {}).items():
        yield name, _type(value), name in schema.get("required", ())


def _resolved(schema: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in schema:
        found: dict[str, Any] = _schema()["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        return found
    return schema


def _type(schema: dict[str, Any]) -> str:
    schema = _resolved(schema)
    if "anyOf" in schema:
        return " or ".join(_type(one) for one in schema["anyOf"])
    if "enum" in schema:
        return " | ".join(map(str, schema["enum"]))
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    return str(schema.get("format") or schema.get("type", "any"))
