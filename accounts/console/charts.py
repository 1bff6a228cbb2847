"""Charts as SVG, drawn by the server: columns side by side for each moment, with everything said in words as well.

No style and no script in it: colours come from the style sheet, by class, so that they are right in the dark too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

WIDTH, HEIGHT = 640, 180
LEFT, BOTTOM, TOP = 40, 22, 8  # room for the words at the axes
MOST_LABELS = 8


@dataclass(frozen=True, slots=True)
class Series:
    name: str
    values: list[float]

    @property
    def total(self) -> float:
        return sum(self.values)


@dataclass(frozen=True, slots=True)
class Bar:
    x: str
    y: str
    width: str
    height: str
    series: int


@dataclass(frozen=True, slots=True)
class Tick:
    x: str
    y: str
    words: str


@dataclass(frozen=True, slots=True)
class Chart:
    title: str
    words: str  # what it shows, in a sentence
    bars: list[Bar]
    across: list[Tick]  # below the columns
    up: list[Tick]  # at the lines
    series: list[Series]
    table: list[tuple[str, list[str]]]
    is_empty: bool
    view_box: str = f"0 0 {WIDTH} {HEIGHT}"
    left: int = LEFT
    right: int = WIDTH


def bars(title: str, labels: list[str], *series: Series, unit: str = "") -> Chart:
    """`labels`: one for each value of each series. `unit` follows each number."""
    most = max((value for one in series for value in one.values), default=0.0)
    top = nice_top(most)
    room, height = (WIDTH - LEFT) / max(1, len(labels)), HEIGHT - BOTTOM - TOP
    width = room * 0.8 / len(series)
    drawn = [
        Bar(
            _number(LEFT + room * (at + 0.1) + width * order),
            _number(TOP + height * (1 - value / top)),
            _number(max(width - 1, 1)),
            _number(height * value / top),
            order + 1,
        )
        for order, one in enumerate(series)
        for at, value in enumerate(one.values)
        if value > 0
    ]
    every = math.ceil(len(labels) / MOST_LABELS)
    across = [
        Tick(_number(LEFT + room * (at + 0.5)), str(HEIGHT - 6), words)
        for at, words in enumerate(labels)
        if at % every == 0
    ]
    up = [
        Tick(str(LEFT - 6), _number(TOP + height * (1 - part)), _value(top * part, unit).strip())
        for part in (0, 0.5, 1)
    ]
    table = [(label, [_value(one.values[at], unit) for one in series]) for at, label in enumerate(labels)]
    return Chart(title, _sentence(series, labels, unit), drawn, across, up, list(series), table, most == 0)


def nice_top(most: float) -> float:
    """The smallest of 1, 2, 5, 10, 20, 50 … that is not below; 1 for nothing."""
    if most <= 1:
        return 1.0
    power = 10.0 ** math.floor(math.log10(most))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= most * (1 - 1e-9))


def _sentence(series: tuple[Series, ...], labels: list[str], unit: str) -> str:
    parts = []
    for one in series:
        at = max(range(len(one.values)), key=one.values.__getitem__, default=0)
        if not one.total:
            parts.append(f"{one.name}: none")
        elif unit:
            parts.append(f"{one.name}: at most {_value(one.values[at], unit)}, at {labels[at]}")
        else:
            parts.append(f"{one.name}: {_value(one.total, '')}, most at {labels[at]} ({_value(one.values[at], '')})")
    return "; ".join(parts) + "."


def _value(value: float, unit: str) -> str:
    return (f"{value:,.0f}" if value == int(value) or value >= 100 else f"{value:.1f}") + unit


def _number(value: float) -> str:
    return f"{value:.1f}"
