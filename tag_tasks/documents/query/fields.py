"""The fields that a query may name, each with its columns and with what its values look like."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass

from tag_tasks.documents.query.tree import ANY_TEXT

MOST = 10**18 - 1
"""Of any number: what 18 digits hold fits into a long."""


class Kind(enum.Enum):
    """How a field's values are compared, and written in a query."""

    TEXT = "words and phrases"
    SIGIL = "one word"
    """A word of the title or the content that has this field's sign before it."""

    EXACT = "a value"
    """The whole value, without regard to case and accents."""

    ID = "an id"
    """The whole value, letter by letter: ids elsewhere differ by case."""

    URL = "an address"
    """As EXACT, whether or not it is written with http:// before it and a / behind it."""

    NAME = "a name of letters, digits and underscores"
    COUNTRY = "two letters, such as US"
    LANGUAGE = "two letters, such as en"
    GENDER = "MALE, FEMALE or UNKNOWN"
    NUMBER = "a whole number"
    TIME = "a day (YYYY-MM-DD), a moment (YYYY-MM-DDTHH:MM:SSZ) or milliseconds since 1970"
    HAS = "image"


@dataclass(frozen=True, slots=True)
class Field:
    """`columns`: where it is looked for, in any of them."""

    kind: Kind
    columns: tuple[str, ...]
    many: bool = False
    """Its column is a list, and one value of it is enough."""
    sigil: str = ""
    low: int = -MOST
    high: int = MOST

    @property
    def allowed(self) -> str:
        """What its values are, for people."""
        if self.kind is Kind.NUMBER and self.low > -MOST:
            return f"{self.kind.value} from {self.low} to {self.high}"
        return self.kind.value


TEXTS = ("title", "content")

FIELDS: Mapping[str, Field] = {
    "title": Field(Kind.TEXT, ("title",)),
    "content": Field(Kind.TEXT, ("content",)),
    "author": Field(Kind.TEXT, ("author_name",)),
    "author_id": Field(Kind.ID, ("author_id",)),
    "source_id": Field(Kind.ID, ("source_id",)),
    "lang": Field(Kind.LANGUAGE, ("lang",)),
    "sourcetype": Field(Kind.NAME, ("source_type",), many=True),
    "posttype": Field(Kind.NAME, ("post_type",), many=True),
    "domainurl": Field(Kind.URL, ("domain_url",)),
    "host_url": Field(Kind.URL, ("host_url",)),
    "root_url": Field(Kind.URL, ("root_url",)),
    "sentiment": Field(Kind.NUMBER, ("sentiment",), low=-5, high=5),
    "engagement": Field(Kind.NUMBER, ("engagement",)),
    "word_count": Field(Kind.NUMBER, ("word_count",)),
    "sourcecountry": Field(Kind.COUNTRY, ("country_code",)),
    "tag": Field(Kind.EXACT, ("tags",), many=True),
    "hashtag": Field(Kind.SIGIL, TEXTS, sigil="#"),
    "mention": Field(Kind.SIGIL, TEXTS, sigil="@"),
    "gender": Field(Kind.GENDER, ("author_gender",)),
    "has": Field(Kind.HAS, ("image_urls",)),
    "published": Field(Kind.TIME, ("published",)),
}
ANY = Field(Kind.TEXT, TEXTS)


def field(name: str) -> Field:
    """The field of that name, that of words that name none included."""
    return ANY if name == ANY_TEXT else FIELDS[name]
