"""How a delivery is signed: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md."""

from __future__ import annotations

import hmac
from base64 import b64encode
from collections.abc import Mapping
from datetime import datetime


def headers(secret: bytes, message_id: str, now: datetime, body: bytes) -> Mapping[str, str]:
    """What a receiver checks: the message's id, which is the same however often it is sent, the time, the signature."""
    timestamp = str(int(now.timestamp()))
    signed = hmac.digest(secret, f"{message_id}.{timestamp}.".encode() + body, "sha256")
    return {
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": f"v1,{b64encode(signed).decode()}",
    }
