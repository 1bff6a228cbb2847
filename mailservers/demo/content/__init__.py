"""The letters of the demo organisation, one module a theme."""

from . import (
    bronze_motors_rope,
    crew,
    diary,
    harbour,
    junk,
    newsletters,
    oddments,
    reports,
    sanderling,
    shops,
    slipway,
    timber_sails_paint,
    world,
)

_THEMES = (
    sanderling, harbour, timber_sails_paint, bronze_motors_rope, world, crew, slipway, shops, newsletters, diary,
    reports, junk, oddments,
)  # fmt: skip

LETTERS = tuple(letter for theme in _THEMES for letter in theme.LETTERS)
