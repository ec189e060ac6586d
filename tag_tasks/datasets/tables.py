"""The four tables of business data, as data: columns, filters, and what an export shows.

Knows neither Spark nor HTTP: the work reads it here, and whoever validates a request is handed it.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass


class Kind(enum.Enum):
    """What a column holds."""

    INT = "int"
    """A whole number of any width."""

    MONEY = "money"
    """A decimal number with two digits after the point."""

    TEXT = "str"
    BOOL = "bool"
    DATE = "date"
    TIME = "timestamp"
    """A moment; without an offset it is UTC."""


class Match(enum.Enum):
    """How a filter compares."""

    EQUAL = "equal"
    AT_LEAST = "at least"
    AT_MOST = "at most"


@dataclass(frozen=True, slots=True)
class Filter:
    """A filter key: a value of the column's kind, and which rows it finds."""

    key: str
    column: str
    kind: Kind
    match: Match = Match.EQUAL


@dataclass(frozen=True, slots=True)
class Table:
    """One table. The order of `columns` is that of the source, of `export` that of the file."""

    name: str
    columns: Mapping[str, Kind]
    range_column: str
    """What `date_from` and `date_to` bound, both ends included."""

    filters: Mapping[str, Filter]
    """By key."""

    export: Mapping[str, str]
    """Header → column."""

    currency: str | None = None
    """The column that says what its money is in; without one nobody can tell."""

    def filter_kinds(self) -> dict[str, str]:
        """Filter key → the kind of its value, in words: for whoever validates requests."""
        return {key: one.kind.value for key, one in self.filters.items()}

    def kind(self, header: str) -> Kind:
        """What the exported column under this header holds."""
        return self.columns[self.export[header]]


ORDER = "id"
"""The column that every table has and every export is ordered by."""


def _by_key(*filters: Filter) -> Mapping[str, Filter]:
    return {one.key: one for one in filters}


BOOKINGS = Table(
    name="bookings",
    columns={
        "id": Kind.INT,
        "customer_id": Kind.INT,
        "customer_email": Kind.TEXT,
        "service_id": Kind.INT,
        "service_title": Kind.TEXT,
        "provider_id": Kind.INT,
        "provider_email": Kind.TEXT,
        "status": Kind.TEXT,
        "location": Kind.TEXT,
        "preferred_date": Kind.DATE,
        "preferred_time": Kind.TEXT,
        "frequency": Kind.TEXT,
        "scheduled_datetime": Kind.TIME,
        "total_price": Kind.MONEY,
        "created_at": Kind.TIME,
    },
    range_column="created_at",
    filters=_by_key(
        Filter("status", "status", Kind.TEXT),
        Filter("customer_id", "customer_id", Kind.INT),
        Filter("provider_id", "provider_id", Kind.INT),
    ),
    export={
        "ID": "id",
        "Customer Email": "customer_email",
        "Service Title": "service_title",
        "Provider Email": "provider_email",
        "Status": "status",
        "Location": "location",
        "Preferred Date": "preferred_date",
        "Preferred Time": "preferred_time",
        "Frequency": "frequency",
        "Scheduled DateTime": "scheduled_datetime",
        "Total Price": "total_price",
        "Created At": "created_at",
    },
)

PAYMENTS = Table(
    name="payments",
    columns={
        "id": Kind.INT,
        "user_id": Kind.INT,
        "user_email": Kind.TEXT,
        "amount": Kind.MONEY,
        "currency": Kind.TEXT,
        "status": Kind.TEXT,
        "payment_method": Kind.TEXT,
        "transaction_id": Kind.TEXT,
        "description": Kind.TEXT,
        "created_at": Kind.TIME,
    },
    range_column="created_at",
    filters=_by_key(Filter("status", "status", Kind.TEXT), Filter("user_id", "user_id", Kind.INT)),
    export={
        "ID": "id",
        "User Email": "user_email",
        "Amount": "amount",
        "Currency": "currency",
        "Status": "status",
        "Payment Method": "payment_method",
        "Transaction ID": "transaction_id",
        "Description": "description",
        "Created At": "created_at",
    },
    currency="currency",
)

USERS = Table(
    name="users",
    columns={
        "id": Kind.INT,
        "email": Kind.TEXT,
        "first_name": Kind.TEXT,
        "last_name": Kind.TEXT,
        "role": Kind.TEXT,
        "is_active": Kind.BOOL,
        "date_joined": Kind.TIME,
        "last_login": Kind.TIME,
    },
    range_column="date_joined",
    filters=_by_key(Filter("role", "role", Kind.TEXT), Filter("is_active", "is_active", Kind.BOOL)),
    export={
        "ID": "id",
        "Email": "email",
        "First Name": "first_name",
        "Last Name": "last_name",
        "Role": "role",
        "Is Active": "is_active",
        "Date Joined": "date_joined",
        "Last Login": "last_login",
    },
)

SERVICES = Table(
    name="services",
    columns={
        "id": Kind.INT,
        "provider_id": Kind.INT,
        "provider_email": Kind.TEXT,
        "title": Kind.TEXT,
        "description": Kind.TEXT,
        "price": Kind.MONEY,
        "created_at": Kind.TIME,
    },
    range_column="created_at",
    filters=_by_key(
        Filter("provider_id", "provider_id", Kind.INT),
        Filter("min_price", "price", Kind.MONEY, Match.AT_LEAST),
        Filter("max_price", "price", Kind.MONEY, Match.AT_MOST),
    ),
    export={
        "ID": "id",
        "Provider Email": "provider_email",
        "Title": "title",
        "Description": "description",
        "Price": "price",
        "Created At": "created_at",
    },
)

TABLES: Mapping[str, Table] = {table.name: table for table in (BOOKINGS, PAYMENTS, USERS, SERVICES)}
