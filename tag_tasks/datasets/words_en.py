"""The report's words in English: most codes say by themselves what they are."""

from __future__ import annotations

from tag_tasks.datasets.tables import TABLES
from tag_tasks.datasets.words import Words


def last_days(number: int) -> str:
    return "the last day" if number == 1 else f"the last {number} days"


ENGLISH = Words(
    code="en",
    texts=None,
    tables={name: name.capitalize() for name in TABLES},
    statuses={"in_progress": "in progress"},
    methods={"bank_transfer": "bank transfer"},
    roles={},
    filters={
        "status": "status: {}",
        "customer_id": "customer {}",
        "provider_id": "provider {}",
        "user_id": "user {}",
        "role": "role: {}",
        "is_active": "active: {}",
        "min_price": "price from {}",
        "max_price": "price to {}",
    },
    columns={column: column.replace("_", " ") for table in TABLES.values() for column in table.columns},
    months=("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
    sizes=("T", "B", "M", "K"),
    group=",",
    point=".",
    date_form="%d %b %Y",
    day_form="%d %b",
    last_days=last_days,
)
