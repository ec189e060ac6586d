"""E-mail addresses and phone numbers as a platform compares them: normalised, SHA-256, hexadecimal, on Spark.

Meta: https://developers.facebook.com/docs/marketing-api/audiences/guides/custom-audiences#hash;
Google: https://developers.google.com/data-manager/api/devguides/concepts/formatting.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pyspark.sql import Column
from pyspark.sql import functions as F

ADDRESS = r"^[^@\s]+@[^@\s]+\.[^@\s.]+$"
INTERNATIONAL = r"^\s*(\+|00)"
"""A number that begins otherwise is of a country that nobody knows."""
NUMBER = r"^[1-9][0-9]{6,14}$"
"""E.164, without its plus."""
WITHOUT_DOTS = ("gmail.com", "googlemail.com")
"""Where dots before the @ make no difference."""


def _meta_email(raw: Column) -> Column:
    """Trimmed, in lower case."""
    return F.lower(F.regexp_replace(raw, r"^\s+|\s+$", ""))


def _google_email(raw: Column) -> Column:
    address = _meta_email(raw)
    name, domain = F.substring_index(address, "@", 1), F.substring_index(address, "@", -1)
    without_dots = F.concat(F.regexp_replace(name, r"\.", ""), F.lit("@"), domain)
    return F.when(domain.isin(*WITHOUT_DOTS), without_dots).otherwise(address)


def _meta_phone(raw: Column) -> Column:
    """Digits with the country code, without zeros before it."""
    return F.regexp_replace(F.regexp_replace(raw, "[^0-9]", ""), "^0+", "")


def _google_phone(raw: Column) -> Column:
    return F.concat(F.lit("+"), _meta_phone(raw))


EMAILS: Mapping[str, Callable[[Column], Column]] = {"meta": _meta_email, "google": _google_email}
PHONES: Mapping[str, Callable[[Column], Column]] = {"meta": _meta_phone, "google": _google_phone}


def hashed_email(raw: Column, platform: str) -> Column:
    """64 hexadecimal digits; "" for what is no address, or null."""
    return _hashed(EMAILS[platform](raw), valid_email(raw))


def hashed_phone(raw: Column, platform: str) -> Column:
    """64 hexadecimal digits; "" for what is no international number, or null."""
    return _hashed(PHONES[platform](raw), valid_phone(raw))


def valid_email(raw: Column) -> Column:
    return _meta_email(raw).rlike(ADDRESS)


def valid_phone(raw: Column) -> Column:
    return raw.rlike(INTERNATIONAL) & _meta_phone(raw).rlike(NUMBER)


def invalid(raw: Column, valid: Column) -> Column:
    """1 where something is given that is not valid, else 0."""
    given = raw.isNotNull() & (F.trim(raw) != "")
    return F.when(given & ~F.coalesce(valid, F.lit(False)), 1).otherwise(0)


def _hashed(normalised: Column, valid: Column) -> Column:
    return F.when(F.coalesce(valid, F.lit(False)), F.sha2(normalised, 256)).otherwise("")
