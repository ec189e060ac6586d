"""Charts as inline SVG: no script, no network, sharp on paper. Colours come from the page's style sheet."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from html import escape
from math import floor, log10

WIDTH, HEIGHT = 720, 240
LEFT, RIGHT, TOP, BOTTOM = 64, 12, 12, 32
INNER_WIDTH, INNER_HEIGHT = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
LABELS = 12  # along the bottom, at most: more would run into each other
GRID = 4  # lines above the base

Point = tuple[str, float]
Say = Callable[[float], str]


def bars(title: str, points: Sequence[Point], say: Say, partial: Collection[int] = ()) -> str:
    """A bar for each point; a lighter one where its time is only partly in the figures."""
    if not points:
        return _nothing(title)
    most = _round_up(max(value for _, value in points))
    step = INNER_WIDTH / len(points)
    drawn = []
    for index, (label, value) in enumerate(points):
        height = max(0.0, value) / most * INNER_HEIGHT
        x, y = LEFT + index * step + step * 0.12, TOP + INNER_HEIGHT - height
        look, name = ("bar partial", _partly(label)) if index in partial else ("bar", label)
        drawn.append(
            f'<rect class="{look}" x="{x:.1f}" y="{y:.1f}" width="{step * 0.76:.1f}" height="{height:.1f}" rx="2">'
            f"<title>{escape(name)}: {escape(say(value))}</title></rect>"
        )
    labels = [label for label, _ in points]
    return _frame(title, labels, most, say, "".join(drawn)) + _legend("Светлый столбец", labels, partial)


def area(title: str, points: Sequence[Point], say: Say, partial: Collection[int] = ()) -> str:
    """A line through the points, and what is under it; a ring where a point's time is only partly in the figures."""
    if not points:
        return _nothing(title)
    most = _round_up(max(value for _, value in points))
    step = INNER_WIDTH / len(points)
    places = [
        (LEFT + (index + 0.5) * step, TOP + INNER_HEIGHT * (1 - max(0.0, value) / most))
        for index, (_, value) in enumerate(points)
    ]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    base = TOP + INNER_HEIGHT
    under = f"{places[0][0]:.1f},{base} {line} {places[-1][0]:.1f},{base}"
    drawn = f'<polygon class="area" points="{under}"/><polyline class="line" points="{line}"/>'
    drawn += "".join(
        f'<circle class="ring" cx="{places[index][0]:.1f}" cy="{places[index][1]:.1f}" r="4">'
        f"<title>{escape(_partly(points[index][0]))}: {escape(say(points[index][1]))}</title></circle>"
        for index in sorted(partial)
    )
    labels = [label for label, _ in points]
    return _frame(title, labels, most, say, drawn) + _legend("Кружок", labels, partial)


def ranking(title: str, points: Sequence[Point], say: Say) -> str:
    """Lying bars with their names: shares of a whole."""
    if not points:
        return _nothing(title)
    most = max(1.0, *(value for _, value in points))
    row, named = 30, 190
    room = WIDTH - named - 110
    drawn = []
    for index, (label, value) in enumerate(points):
        y, width = index * row + 6, max(0.0, value) / most * room
        drawn.append(
            f'<text class="name" x="{named - 10}" y="{y + 14}" text-anchor="end">{escape(_short(label))}</text>'
            f'<rect class="bar" x="{named}" y="{y}" width="{width:.1f}" height="{row - 11}" rx="2"/>'
            f'<text class="value" x="{named + width + 8:.1f}" y="{y + 14}">{escape(say(value))}</text>'
        )
    return _svg(title, len(points) * row + 6, "".join(drawn))


def _frame(title: str, labels: Sequence[str], most: float, say: Say, drawn: str) -> str:
    """Axes, grid and labels around what is drawn."""
    grid = []
    for line in range(GRID + 1):
        y = TOP + INNER_HEIGHT * (1 - line / GRID)
        label = escape(say(most * line / GRID))
        grid.append(
            f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text class="scale" x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{label}</text>'
        )
    step, every = INNER_WIDTH / len(labels), -(-len(labels) // LABELS)
    below = [
        f'<text class="scale" x="{LEFT + (index + 0.5) * step:.1f}" y="{HEIGHT - 10}" text-anchor="middle">'
        f"{escape(label)}</text>"
        for index, label in enumerate(labels)
        if index % every == 0
    ]
    return _svg(title, HEIGHT, "".join([*grid, drawn, *below]))


def _svg(title: str, height: int, inside: str) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(title)}">'
        f"<title>{escape(title)}</title>{inside}</svg>"
    )


def _legend(mark: str, labels: Sequence[str], partial: Collection[int]) -> str:
    """For paper, where there are no tooltips."""
    names = ", ".join(_partly(labels[index]) for index in sorted(partial))
    return f'<p class="legend">{mark} — {escape(names)}</p>' if names else ""


def _partly(label: str) -> str:
    return f"{label} (неполный)"


def _nothing(title: str) -> str:
    return f'<p class="nothing" aria-label="{escape(title)}">Нет данных</p>'


def _short(label: str, most: int = 24) -> str:
    return label if len(label) <= most else f"{label[: most - 1]}…"


def _round_up(value: float) -> float:
    """The next 1, 2, 2.5 or 5 times a power of ten: a scale that people read at a glance."""
    if value <= 0:
        return 1.0
    power = 10.0 ** floor(log10(value))
    return next(power * step for step in (1, 2, 2.5, 5, 10, 20) if power * step >= value)
