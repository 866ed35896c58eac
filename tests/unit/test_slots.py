"""Slots: never more than there are, and never a ready task beside a free slot with nobody under way to bring them together."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from jobmgr.slots import LONGEST_HOLD_S, Offer, Slots

COUNT = 3


class AnyOrder(RuleBasedStateMachine):
    """Submissions, ends and claims under way at once; the store takes them in any order, and some fail."""

    def __init__(self) -> None:
        super().__init__()
        self.slots = Slots(COUNT)
        self.slots.open = True
        self.ready = 0
        self.running = 0
        self.under_way: list[tuple[Offer, int]] = []

    def send(self, brings: int, **fields: int | bool) -> None:
        """Hand a commit in that makes so many tasks ready."""
        offer = self.slots.offer(self.running, 0.0, arriving=brings > 0, wanted=fields.get("wanted"))
        if brings or offer.limit:
            self.under_way.append((offer, brings))

    def fill(self) -> None:
        """What the manager does after every commit."""
        if self.slots.wants_claim(self.running, 0.0):
            self.send(0)

    @rule(count=st.integers(1, 5), known=st.booleans())
    def submit(self, count: int, known: bool) -> None:
        """Tasks arrive."""
        self.send(count, **({"wanted": count} if known else {}))

    @precondition(lambda self: self.running > 0)
    @rule()
    def end(self) -> None:
        """An attempt ends: its slot is free at once, the commit of its end claims for it."""
        self.running -= 1
        self.send(0)

    @precondition(lambda self: self.under_way)
    @rule(data=st.data(), works=st.booleans())
    def commit(self, data: st.DataObject, works: bool) -> None:
        """The store takes one of those under way, or refuses it."""
        offer, brings = self.under_way.pop(data.draw(st.integers(0, len(self.under_way) - 1)))
        if not works:
            self.slots.settle(offer, None)
        else:
            self.ready += brings
            claimed = min(offer.limit, self.ready)
            self.ready -= claimed
            self.running += claimed
            self.slots.settle(offer, claimed)
        self.fill()

    @invariant()
    def never_more_than_there_are(self) -> None:
        """Running and promised together."""
        assert self.running + self.slots.reserved <= COUNT

    @invariant()
    def nothing_waits_beside_a_free_slot(self) -> None:
        """When nobody is under way, what is ready waits only because nothing is free."""
        assert self.under_way or not self.ready or self.running == COUNT


TestAnyOrder = AnyOrder.TestCase


def test_closed_slots_offer_nothing() -> None:
    """A server that leaves, or has not recovered yet, begins nothing."""
    slots = Slots(COUNT)
    assert slots.offer(0, 0.0, arriving=True).limit == 0
    slots.open = True
    assert slots.offer(0, 0.0, arriving=True).limit == COUNT


def test_a_lack_of_the_machine_closes_the_slots_longer_each_time() -> None:
    """FAULT 75: 0.5 s, doubling, at most 30 s; the first thing that begins makes the next lack a new one."""
    slots = Slots(COUNT)
    slots.open = True
    waits = [slots.hold(0.0) for _ in range(9)]
    assert waits[:3] == [0.5, 1.0, 2.0]
    assert waits[-1] == LONGEST_HOLD_S
    assert slots.offer(0, LONGEST_HOLD_S - 0.1, arriving=True).limit == 0
    assert slots.offer(0, LONGEST_HOLD_S, arriving=True).limit == COUNT
    slots.relent()
    assert slots.hold(100.0) == 0.5
