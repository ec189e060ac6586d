"""The headers of idempotency, as clients know them from Stripe."""

from __future__ import annotations

KEY = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
