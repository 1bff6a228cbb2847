"""Sizes for people: `{{ size|octets }}` is "1.5 MiB"."""

from __future__ import annotations

from django import template

from accounts.services.names import format_octets

register = template.Library()
register.filter("octets", format_octets)
