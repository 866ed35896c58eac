"""Signatures of webhooks as Standard Webhooks has them, so that its libraries verify them in any language.

Signed is `id.timestamp.body` by HMAC-SHA256; a secret is `whsec_` and base64. With two secrets there are two signatures, one blank between them: a
receiver that knows either is content, so a secret can be changed without a gap.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Mapping, Sequence

PREFIX = "whsec_"
LEAST_BYTES, MOST_BYTES = 24, 64
_NEW_BYTES = 32


def new_secret() -> str:
    """A secret that nobody had."""
    return PREFIX + base64.b64encode(secrets.token_bytes(_NEW_BYTES)).decode()


def secret_trouble(text: str) -> str | None:
    """What is wrong with a secret that was given; None: nothing. Quotes nothing of it."""
    try:
        size = len(_key(text))
    except ValueError:
        return f"a secret is {PREFIX} and {LEAST_BYTES} to {MOST_BYTES} bytes in base64; leave it out to have one made"
    if not LEAST_BYTES <= size <= MOST_BYTES:
        return f"a secret has {LEAST_BYTES} to {MOST_BYTES} bytes, not {size}; leave it out to have one made"
    return None


def _key(text: str) -> bytes:
    if not text.startswith(PREFIX):
        raise ValueError(PREFIX)
    try:
        return base64.b64decode(text.removeprefix(PREFIX), validate=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from None


def headers(message: str, timestamp: int, body: bytes, secrets_: Sequence[str]) -> Mapping[str, str]:
    """What goes out with a body; `timestamp` is in seconds."""
    signed = f"{message}.{timestamp}.".encode() + body
    made = (base64.b64encode(hmac.new(_key(secret), signed, hashlib.sha256).digest()).decode() for secret in secrets_)
    return {
        "webhook-id": message,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(f"v1,{each}" for each in made),
    }
