"""How a figure is printed, with its bound where there is one."""

from __future__ import annotations

from collections.abc import Sequence

_missed: list[str] = []


def figure(
    name: str, value: float, unit: str = "", most: float | None = None, least: float | None = None, note: str = ""
) -> None:
    """Print a figure, and whether it keeps its bound."""
    bound = "" if most is None and least is None else (f"≤ {most}" if most is not None else f"≥ {least}")
    kept = (most is None or value <= most) and (least is None or value >= least)
    sign = "" if not bound else ("ok" if kept else "MISSED")
    if not kept:
        _missed.append(name)
    print(f"  {name:<62} {value:>10.2f} {unit:<4} {bound:<8} {sign:<6} {note}", flush=True)


def title(text: str) -> None:
    print(f"\n{text}", flush=True)


def percentile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def verdict() -> None:
    print(f"\nmissed: {', '.join(_missed)}" if _missed else "\nevery bound kept")
