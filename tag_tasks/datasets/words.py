"""How figures and codes are said in the report: in one language, as people write them there.

The report's sentences stand in the code in English; another language is a mapping from them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import ROUND_HALF_UP, Decimal

NONE = "—"
SPACE = "\u202f"  # narrow, and no line breaks there
SIZES = tuple(Decimal(10**power) for power in (12, 9, 6, 3))


@dataclass(frozen=True, kw_only=True, slots=True)
class Words:
    """A language: its words, and how it writes numbers and dates."""

    code: str
    """As HTML names it."""

    texts: Mapping[str, str] | None
    """By the English sentence; None for English itself."""

    tables: Mapping[str, str]
    statuses: Mapping[str, str]
    methods: Mapping[str, str]
    roles: Mapping[str, str]
    filters: Mapping[str, str]
    columns: Mapping[str, str]
    months: Sequence[str]
    sizes: Sequence[str]
    """What follows a number of SIZES."""

    group: str
    """Between the thousands."""

    point: str
    date_form: str
    day_form: str
    last_days: Callable[[int], str]
    """`the last 90 days`, which in some languages bends with the number."""

    def say(self, text: str) -> str:
        """A sentence of the report. A KeyError for one that has no translation."""
        return text if self.texts is None else self.texts[text]

    # -- numbers -----------------------------------------------------------------------------

    def count(self, number: float) -> str:
        return f"{round(number):,}".replace(",", self.group)

    def money(self, amount: Decimal | float | None) -> str:
        """Whole units: cents are for the tables that can be downloaded."""
        if amount is None:
            return NONE
        return self.count(int(Decimal(str(amount)).quantize(Decimal(1), rounding=ROUND_HALF_UP)))

    def share(self, part: float | None) -> str:
        return NONE if part is None else f"{100 * part:.1f}".replace(".", self.point) + "%"

    def short(self, number: float) -> str:
        """For scales: 1500 is 1.5K. Rounded before the unit is chosen: 999 999 is 1M, not 1000K."""
        rounded = Decimal(f"{number:.3g}")
        for size, name in zip(SIZES, self.sizes, strict=True):
            if abs(rounded) >= size:
                return f"{self._plain(rounded / size)}{name}"
        return self._plain(rounded)

    def _plain(self, number: Decimal) -> str:
        """With neither an exponent nor noughts at the end."""
        return f"{number.normalize() or Decimal(0):f}".replace(".", self.point)

    # -- dates -------------------------------------------------------------------------------

    def month(self, text: str) -> str:
        """`2024-03` is Mar 24."""
        year, _, number = text.rpartition("-")
        return f"{self.months[int(number) - 1]}{SPACE}{year[-2:]}"

    def full_day(self, moment: date) -> str:
        return moment.strftime(self.date_form)

    def day(self, moment: date) -> str:
        """Without its year: for scales."""
        return moment.strftime(self.day_form)

    def since(self, moment: datetime) -> str:
        """A beginning. Midnight goes without saying."""
        return self.full_day(moment) if moment.time() == time() else self._to_the_second(moment)

    def until(self, moment: datetime) -> str:
        """An end, itself included: the last second of a day is that day, but its midnight is only an instant of it."""
        return self.full_day(moment) if moment.time() >= time(23, 59, 59) else self._to_the_second(moment)

    def _to_the_second(self, moment: datetime) -> str:
        clock = f"{moment:%H:%M:%S}" if moment.second else f"{moment:%H:%M}"
        return f"{self.full_day(moment)} {clock}"

    # -- codes -------------------------------------------------------------------------------

    def status(self, code: str | None) -> str:
        return NONE if code is None else self.statuses.get(code, code)

    def method(self, code: str | None) -> str:
        return NONE if code is None else self.methods.get(code, code)

    def condition(self, key: str, value: object) -> str:
        """A filter, as it was asked for."""
        said = self._value(key, value)
        return self.filters[key].format(said) if key in self.filters else f"{key}: {said}"

    def _value(self, key: str, value: object) -> str:
        if isinstance(value, bool):
            return self.say("yes" if value else "no")
        if isinstance(value, float):
            return self._plain(Decimal(str(value)))
        known = {"status": self.statuses, "role": self.roles}.get(key, {})
        return known.get(str(value), str(value))
