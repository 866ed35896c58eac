"""How long a webhook waits between tries."""

from __future__ import annotations

import random
from email.utils import formatdate

import pytest

from jobmgr.clock import now_us
from jobmgr.webhooks.retrying import LONGEST_S, TRIES, Retrying, asked_wait

CHANCE = random.Random(1)


def waits(delay_s: float = 5.0, **more: float) -> list[float]:
    """The waits after each try, in seconds."""
    rule = Retrying(delay_s)
    found = (rule.wait_us(tries, chance=CHANCE, **more) for tries in range(1, TRIES))
    return [wait / 1e6 for wait in found if wait is not None]


def test_each_wait_is_four_times_the_one_before_up_to_twelve_hours() -> None:
    """Each 10 % longer or shorter."""
    plain = [5, 20, 80, 320, 1280, 5120, 20480, 43200, 43200]
    assert waits() == pytest.approx(plain, rel=0.1)
    assert len(set(waits())) == len(plain)


def test_after_ten_tries_there_is_no_more() -> None:
    """About a day and a half after the first one."""
    assert Retrying().wait_us(TRIES) is None
    assert sum(waits()) == pytest.approx(31.5 * 3600, rel=0.1)


def test_a_receiver_may_ask_for_a_longer_wait_and_for_no_shorter_one() -> None:
    """Up to twelve hours."""
    assert waits(asked_s=600)[:4] == [600] * 4
    assert waits(asked_s=1)[0] >= 4.5
    assert max(waits(asked_s=1e9)) <= LONGEST_S * 1.1


@pytest.mark.parametrize(
    ("text", "seconds"),
    [(None, 0), ("120", 120), (" 7 ", 7), ("soon", 0), ("-5", 0), ("1.5", 0), ("٣", 0), ("9" * 99, 999_999_999)],
)
def test_what_it_asks_is_a_number_of_seconds(text: str | None, seconds: float) -> None:
    """Anything else asks for nothing."""
    assert asked_wait(text) == seconds


def test_what_it_asks_may_be_a_date() -> None:
    """As HTTP writes it; one that has passed asks for nothing."""
    now = now_us() / 1e6
    assert asked_wait(formatdate(now + 90, usegmt=True)) == pytest.approx(90, abs=2)
    assert asked_wait(formatdate(now - 90, usegmt=True)) == 0
