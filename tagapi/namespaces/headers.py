"""The headers of idempotency, as clients know them from Stripe, and the one that names a request."""

from __future__ import annotations

KEY = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
REQUEST_ID = "X-Request-ID"
