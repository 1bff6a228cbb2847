"""Small PNG pictures, drawn in rows and spans (PNG: ISO/IEC 15948)."""

import struct
import zlib
from collections.abc import Sequence

Colour = tuple[int, int, int]

WHITE: Colour = (255, 255, 255)
NAVY: Colour = (24, 48, 84)


class Canvas:
    """A grid of 24-bit pixels, origin at the top left."""

    def __init__(self, width: int, height: int, colour: Colour = WHITE) -> None:
        self.width, self.height = width, height
        self._rows = [bytearray(bytes(colour) * width) for _ in range(height)]

    def span(self, y: int, left: int, right: int, colour: Colour) -> None:
        """Colour the pixels left <= x < right of row y; what lies outside the canvas is left out."""
        left, right = max(left, 0), min(right, self.width)
        if 0 <= y < self.height and left < right:
            self._rows[y][left * 3 : right * 3] = bytes(colour) * (right - left)

    def rectangle(self, left: int, top: int, right: int, bottom: int, colour: Colour) -> None:
        for y in range(top, bottom):
            self.span(y, left, right, colour)

    def trapezium(self, top: tuple[int, int, int], bottom: tuple[int, int, int], colour: Colour) -> None:
        """Fill between two level edges, each given as (y, left, right)."""
        for y in range(top[0], bottom[0]):
            share = (y - top[0]) / max(bottom[0] - top[0], 1)
            left = top[1] + (bottom[1] - top[1]) * share
            right = top[2] + (bottom[2] - top[2]) * share
            self.span(y, round(left), round(right), colour)

    def disc(self, x: int, y: int, radius: int, colour: Colour) -> None:
        for dy in range(-radius, radius + 1):
            half = int((radius * radius - dy * dy) ** 0.5)
            self.span(y + dy, x - half, x + half + 1, colour)

    def png(self) -> bytes:
        header = struct.pack(">IIBBBBB", self.width, self.height, 8, 2, 0, 0, 0)
        pixels = b"".join(b"\0" + row for row in self._rows)
        chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(pixels, 6)), (b"IEND", b""))
        return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _between(a: Colour, b: Colour, share: float) -> Colour:
    red, green, blue = (round(x + (y - x) * share) for x, y in zip(a, b))
    return red, green, blue


def sailing_boat(
    width: int = 320,
    height: int = 200,
    *,
    hull: Colour = (60, 40, 30),
    dusk: bool = False,
    sails: bool = True,
) -> bytes:
    """A cutter at sea; without sails she lies at her mooring."""
    high, low = ((52, 40, 92), (244, 150, 96)) if dusk else ((96, 160, 220), (214, 234, 246))
    canvas = Canvas(width, height)
    horizon = height * 3 // 5
    for y in range(horizon):
        canvas.span(y, 0, width, _between(high, low, y / horizon))
    for y in range(horizon, height):
        shade = _between((30, 84, 120), (12, 44, 76), (y - horizon) / (height - horizon))
        canvas.span(y, 0, width, _between(shade, WHITE, 0.12) if y % 9 == 0 else shade)
    canvas.disc(width * 4 // 5, height // 4, height // 12, (255, 236, 170))
    middle, deck = width * 2 // 5, horizon + height // 12
    canvas.rectangle(middle, height // 8, middle + 3, deck, (90, 62, 40))
    if sails:
        canvas.trapezium((height // 7, middle + 4, middle + 6), (deck - 6, middle + 4, middle + width // 4),
                         (206, 104, 66))  # fmt: skip
        canvas.trapezium((height // 6, middle - 4, middle - 2), (deck - 4, middle - width // 6, middle - 3),
                         (238, 226, 204))  # fmt: skip
    canvas.trapezium((deck, middle - width // 5, middle + width // 4),
                     (deck + height // 9, middle - width // 7, middle + width // 5), hull)  # fmt: skip
    canvas.rectangle(middle - width // 5, deck, middle + width // 4, deck + 2, WHITE)
    return canvas.png()


def planks(width: int = 280, height: int = 160, *, rows: int = 7, gap: int = -1) -> bytes:
    """Planking seen from outside; the plank with index `gap` is missing."""
    canvas = Canvas(width, height, (40, 30, 24))
    tall = height // rows
    for index in range(rows):
        if index == gap:
            for frame in range(20, width, 56):
                canvas.rectangle(frame, index * tall, frame + 14, (index + 1) * tall, (120, 86, 54))
            continue
        for y in range(index * tall + 1, (index + 1) * tall):
            grain = (y * 7919) % 13 / 60
            canvas.span(y, 0, width, _between((178, 128, 78), (120, 80, 44), grain + index / (rows * 3)))
        for x in range(27 + index % 2 * 20, width, 56):
            canvas.disc(x, index * tall + tall // 2, 2, (190, 170, 110))
    return canvas.png()


def bar_chart(values: Sequence[int], width: int = 320, height: int = 160, colour: Colour = (38, 116, 140)) -> bytes:
    canvas = Canvas(width, height)
    step, top = (width - 20) // len(values), max(values)
    for index, value in enumerate(values):
        left = 12 + index * step
        canvas.rectangle(left, height - 12 - value * (height - 24) // top, left + step - 6, height - 12, colour)
    canvas.rectangle(8, 8, 10, height - 10, NAVY)
    canvas.rectangle(8, height - 12, width - 8, height - 10, NAVY)
    return canvas.png()


def emblem(colour: Colour = NAVY, size: int = 64) -> bytes:
    """A round mark with a sail on it, for signatures and letterheads."""
    canvas = Canvas(size, size)
    canvas.disc(size // 2, size // 2, size // 2 - 2, colour)
    canvas.trapezium((size // 5, size // 2, size // 2 + 1), (size * 2 // 3, size // 2, size * 3 // 4), WHITE)
    canvas.trapezium((size // 3, size // 2 - 3, size // 2 - 2), (size * 2 // 3, size // 4, size // 2 - 2), WHITE)
    canvas.trapezium((size * 7 // 10, size // 5, size * 4 // 5), (size * 4 // 5, size // 3, size * 2 // 3), WHITE)
    return canvas.png()
