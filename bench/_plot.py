"""A plot of lines as SVG, both axes logarithmic; nothing needs to be installed for it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

__all__ = ["line_plot"]

WIDTH, HEIGHT, MARGIN, LEGEND = 640, 400, 60, 190
COLOURS = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#bbbbbb", "#000000")


def line_plot(lines: Mapping[str, Sequence[tuple[float, float]]], x_name: str, y_name: str) -> str:
    """Each line a sequence of (x, y), all above 0."""
    lines = {name: points for name, points in lines.items() if points}
    xs = [math.log10(x) for points in lines.values() for x, _ in points]
    ys = [math.log10(y) for points in lines.values() for _, y in points]
    left, right = min(xs), max(max(xs), min(xs) + 1e-9)
    bottom, top = math.floor(min(ys)), math.ceil(max(max(ys), min(ys) + 1e-9))

    def at(x: float, y: float) -> tuple[float, float]:
        across = (math.log10(x) - left) / (right - left)
        up = (math.log10(y) - bottom) / (top - bottom)
        return MARGIN + across * (WIDTH - MARGIN - LEGEND), HEIGHT - MARGIN - up * (HEIGHT - 2 * MARGIN)

    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" font-family="sans-serif" '
             'font-size="11"><rect width="100%" height="100%" fill="white"/>']  # fmt: skip
    for exponent in range(bottom, top + 1):
        x, y = at(10**left, 10**exponent)
        parts.append(f'<path d="M{x:.1f} {y:.1f}H{WIDTH - LEGEND}" stroke="#ddd"/>')
        parts.append(f'<text x="{x - 6:.1f}" y="{y + 4:.1f}" text-anchor="end">{10**exponent:g} {y_name}</text>')
    for value in sorted({x for points in lines.values() for x, _ in points}):
        x, y = at(value, 10**bottom)
        parts.append(f'<text x="{x:.1f}" y="{y + 16:.1f}" text-anchor="middle">{value:,.0f}</text>')
    parts.append(f'<text x="{(WIDTH - LEGEND + MARGIN) / 2}" y="{HEIGHT - 20}" text-anchor="middle">{x_name}</text>')
    for number, (name, points) in enumerate(lines.items()):
        colour = COLOURS[number % len(COLOURS)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (at(*point) for point in points))
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in (at(*point) for point in points)
        ]
        y = MARGIN + 16 * number
        parts.append(f'<text x="{WIDTH - LEGEND + 14}" y="{y}" fill="{colour}">{name}</text>')
    return "\n".join([*parts, "</svg>\n"])
