"""E-mail addresses and phone numbers as a platform compares them: normalised, SHA-256, hexadecimal, on Spark.

Meta: https://developers.facebook.com/docs/marketing-api/audiences/guides/custom-audiences#hash;
Google: https://developers.google.com/data-manager/api/devguides/concepts/formatting.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

ADDRESS = r"^[^@\s]+@[^@\s]+\.[^@\s.]+$"
NUMBER = r"^(\+|00)0*[1-9][0-9]{6,14}$"
"""E.164 without separators. A number that begins otherwise is of a country that nobody knows."""
SPACE = " \t\n\r\f\v\u00a0"
SEPARATORS = SPACE + "-./()\u2010\u2011\u2013"
"""What people put between digits. Anything else in a number makes it none."""
WITHOUT_DOTS = ("gmail.com", "googlemail.com")
"""Where dots before the @ make no difference, for Google."""


def _without_dots(address: Column) -> Column:
    name, domain = F.substring_index(address, "@", 1), F.substring_index(address, "@", -1)
    plain = F.concat(F.translate(name, ".", ""), F.lit("@"), domain)
    return F.when(domain.isin(*WITHOUT_DOTS), plain).otherwise(address)


EMAILS: Mapping[str, Callable[[Column], Column]] = {"meta": lambda address: address, "google": _without_dots}
"""What a platform makes of an address in lower case."""
PHONES: Mapping[str, Callable[[Column], Column]] = {
    "meta": lambda digits: digits,
    "google": lambda digits: F.concat(F.lit("+"), digits),
}
"""What a platform makes of the digits of a number, from its country code on."""


def with_hashes(users: DataFrame, platform: str) -> DataFrame:
    """Of users (`user_id, email, phone`): `user_id, email, phone, invalid`.

    A hash is 64 hexadecimal digits, or "" where there is nothing to be hashed; `invalid` is how many of the two
    are given, and are no address or no international number. Each step is computed once, for it costs.
    """
    normal = users.select(
        "user_id",
        F.lower(F.btrim(F.col("email").cast("string"), F.lit(SPACE))).alias("address"),
        F.translate(F.col("phone").cast("string"), SEPARATORS, "").alias("number"),
    )
    judged = normal.select(
        "*",
        F.coalesce(F.col("address").rlike(ADDRESS), F.lit(False)).alias("has_address"),
        F.coalesce(F.col("number").rlike(NUMBER), F.lit(False)).alias("has_number"),
    )
    digits = F.ltrim(F.col("number"), F.lit("+0"))
    return judged.select(
        "user_id",
        _hashed(EMAILS[platform](F.col("address")), F.col("has_address")).alias("email"),
        _hashed(PHONES[platform](digits), F.col("has_number")).alias("phone"),
        (_invalid("address", "has_address") + _invalid("number", "has_number")).alias("invalid"),
    )


def _hashed(normal: Column, valid: Column) -> Column:
    return F.when(valid, F.sha2(normal, 256)).otherwise("")


def _invalid(given: str, valid: str) -> Column:
    return F.when((F.col(given) != "") & ~F.col(valid), 1).otherwise(0)
