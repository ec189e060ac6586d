"""Charts as inline SVG: no script, no network, sharp on paper. Colours come from the page's style sheet.

Each is drawn twice, wide and narrow, and the style sheet shows the one whose letters can be read
there: a drawing that shrinks to a phone's width takes its letters along.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, floor, log10

from tag_tasks.datasets.words import Words

GRID = 4  # lines above the base
LETTER = 7.5  # the width of one, rather more than less
ROW = 40  # of a ranking: a line of text, and the bar below it

Point = tuple[str, float]
Say = Callable[[float], str]


@dataclass(frozen=True, slots=True)
class Canvas:
    """What is drawn on. A unit is a pixel where the page is as wide as the canvas was made for."""

    name: str
    """The class by which the style sheet knows it."""
    width: int
    height: int
    left: int
    letters: int
    """Of a name, at most."""

    right = 12
    top = 12
    bottom = 32

    @property
    def inner_width(self) -> int:
        return self.width - self.left - self.right

    @property
    def inner_height(self) -> int:
        return self.height - self.top - self.bottom

    @property
    def base(self) -> int:
        return self.top + self.inner_height

    def y(self, share: float) -> float:
        """Of a value that is this share of the highest."""
        return self.top + self.inner_height * (1 - max(0.0, share))


WIDE = Canvas("wide", width=832, height=270, left=76, letters=60)
NARROW = Canvas("narrow", width=328, height=220, left=70, letters=28)


class Charts:
    """Charts in one language."""

    def __init__(self, words: Words) -> None:
        self._words = words

    def bars(self, title: str, points: Sequence[Point], say: Say, partial: Collection[int] = ()) -> str:
        """A bar for each point; a lighter one where its time is only partly in the figures."""
        if not points:
            return self._nothing(title)
        most = _round_up(max(value for _, value in points))

        def drawn(canvas: Canvas) -> str:
            step = canvas.inner_width / len(points)
            bars = []
            for index, (label, value) in enumerate(points):
                x, y = canvas.left + index * step + step * 0.12, canvas.y(value / most)
                look, name = ("bar partial", self._partly(label)) if index in partial else ("bar", label)
                bars.append(
                    f'<rect class="{look}" x="{x:.1f}" y="{y:.1f}" width="{step * 0.76:.1f}" '
                    f'height="{canvas.base - y:.1f}" rx="2">'
                    f"<title>{escape(name)}: {escape(say(value))}</title></rect>"
                )
            return _framed(canvas, title, points, most, say, "".join(bars))

        return _on_both(drawn) + self._legend("Lighter bar", points, partial)

    def area(self, title: str, points: Sequence[Point], say: Say, partial: Collection[int] = ()) -> str:
        """A line through the points, and what is under it; a ring where a time is only partly in the figures."""
        if not points:
            return self._nothing(title)
        most = _round_up(max(value for _, value in points))

        def drawn(canvas: Canvas) -> str:
            step = canvas.inner_width / len(points)
            places = [
                (canvas.left + (index + 0.5) * step, canvas.y(value / most)) for index, (_, value) in enumerate(points)
            ]
            line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
            under = f"{places[0][0]:.1f},{canvas.base} {line} {places[-1][0]:.1f},{canvas.base}"
            rings = "".join(
                f'<circle class="ring" cx="{places[index][0]:.1f}" cy="{places[index][1]:.1f}" r="4">'
                f"<title>{escape(self._partly(points[index][0]))}: {escape(say(points[index][1]))}</title></circle>"
                for index in sorted(partial)
            )
            shape = f'<polygon class="area" points="{under}"/><polyline class="line" points="{line}"/>'
            return _framed(canvas, title, points, most, say, shape + rings)

        return _on_both(drawn) + self._legend("Ring", points, partial)

    def ranking(self, title: str, points: Sequence[Point], say: Say) -> str:
        """Lying bars below their names and values: shares of a whole."""
        if not points:
            return self._nothing(title)
        most = max(1.0, *(value for _, value in points))

        def drawn(canvas: Canvas) -> str:
            rows = []
            for index, (label, value) in enumerate(points):
                y, width = index * ROW, max(0.0, value) / most * canvas.width
                rows.append(
                    f'<text class="name" x="0" y="{y + 14}">{escape(_short(label, canvas.letters))}</text>'
                    f'<text class="name" x="{canvas.width}" y="{y + 14}" text-anchor="end">{escape(say(value))}</text>'
                    f'<rect class="bar" x="0" y="{y + 20}" width="{width:.1f}" height="10" rx="2"/>'
                )
            return _svg(canvas, title, len(points) * ROW, "".join(rows))

        return _on_both(drawn)

    def _legend(self, mark: str, points: Sequence[Point], partial: Collection[int]) -> str:
        """For paper, where there are no tooltips."""
        names = ", ".join(self._partly(points[index][0]) for index in sorted(partial))
        return f'<p class="legend">{self._words.say(mark)} — {escape(names)}</p>' if names else ""

    def _partly(self, label: str) -> str:
        return self._words.say("{} (partial)").format(label)

    def _nothing(self, title: str) -> str:
        return f'<p class="nothing" aria-label="{escape(title)}">{self._words.say("No data")}</p>'


def _on_both(drawn: Callable[[Canvas], str]) -> str:
    return drawn(WIDE) + drawn(NARROW)


def _framed(canvas: Canvas, title: str, points: Sequence[Point], most: float, say: Say, drawn: str) -> str:
    """Axes, grid and labels around what is drawn."""
    grid = []
    for line in range(GRID + 1):
        y, label = canvas.y(line / GRID), escape(say(most * line / GRID))
        grid.append(
            f'<line class="grid" x1="{canvas.left}" x2="{canvas.width - canvas.right}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text class="scale" x="{canvas.left - 8}" y="{y + 4:.1f}" text-anchor="end">{label}</text>'
        )
    step = canvas.inner_width / len(points)
    every = ceil((max(len(label) for label, _ in points) + 2) * LETTER / step)  # so that none runs into the next
    middles = [(canvas.left + (index + 0.5) * step, points[index][0]) for index in range(0, len(points), every)]
    below = [
        f'<text class="scale" x="{x:.1f}" y="{canvas.height - 10}" text-anchor="middle">{escape(label)}</text>'
        for x, label in middles
        if x + len(label) * LETTER / 2 <= canvas.width  # else it would be cut
    ]
    return _svg(canvas, title, canvas.height, "".join([*grid, drawn, *below]))


def _svg(canvas: Canvas, title: str, height: int, inside: str) -> str:
    return (
        f'<svg class="{canvas.name}" viewBox="0 0 {canvas.width} {height}" role="img" aria-label="{escape(title)}">'
        f"<title>{escape(title)}</title>{inside}</svg>"
    )


def _short(label: str, most: int) -> str:
    return label if len(label) <= most else f"{label[: most - 1]}…"


def _round_up(value: float) -> float:
    """The next 1, 2, 2.5 or 5 times a power of ten: a scale that people read at a glance."""
    if value <= 0:
        return 1.0
    power = 10.0 ** floor(log10(value))
    return next(power * step for step in (1, 2, 2.5, 5, 10, 20) if power * step >= value)
