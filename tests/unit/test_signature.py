"""Signatures, against the `standardwebhooks` package."""

from __future__ import annotations

import base64
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from jobmgr.signature import headers, new_secret, secret_trouble

SECRETS = st.binary(min_size=24, max_size=64).map(lambda key: "whsec_" + base64.b64encode(key).decode())


@given(SECRETS, st.text(), st.from_regex(r"[a-z0-9_]{1,40}", fullmatch=True))
def test_the_package_verifies_what_is_signed(secret: str, body: str, message: str) -> None:
    """Whatever the body is."""
    sent = body.encode("utf-8", "replace")
    Webhook(secret).verify(sent, dict(headers(message, int(time.time()), sent, [secret])), json_parse=False)


@given(SECRETS, SECRETS, SECRETS)
def test_each_of_two_secrets_verifies_and_no_third(one: str, other: str, third: str) -> None:
    """So a secret can be changed without a gap."""
    sent = headers("msg_1", int(time.time()), b"{}", [one, other])
    for secret in (one, other):
        Webhook(secret).verify(b"{}", dict(sent))
    if third not in (one, other):
        with pytest.raises(WebhookVerificationError):
            Webhook(third).verify(b"{}", dict(sent))


def test_another_body_is_not_verified() -> None:
    """One byte is enough."""
    secret = new_secret()
    sent = headers("msg_1", int(time.time()), b'{"a":1}', [secret])
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(b'{"a":2}', dict(sent))


def test_a_secret_that_is_made_is_a_good_one_and_no_two_are_the_same() -> None:
    """32 random bytes."""
    assert secret_trouble(new_secret()) is None
    assert new_secret() != new_secret()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "whsec_",
        "correct-horse-battery",
        "whsec_" + base64.b64encode(b"x" * 23).decode(),
        "whsec_" + base64.b64encode(b"x" * 65).decode(),
        "whsec_not base64 at all, but long enough to be",
        base64.b64encode(b"x" * 32).decode(),
        "whsec_" + "ä" * 40,
    ],
)
def test_what_is_no_secret_is_refused_and_not_quoted(text: str) -> None:
    """It may be a real one, mistyped."""
    trouble = secret_trouble(text)
    assert trouble is not None and "leave it out" in trouble
    assert not text.removeprefix("whsec_") or text not in trouble
