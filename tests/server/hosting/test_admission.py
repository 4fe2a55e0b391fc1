"""How much may wait: a bound on the whole, room left by each share for the others, and nobody shut out for good."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sonant.server.hosting.admission import SHARE_PART, Admission

CAPACITY = 1000.0


def admission(**waiting: int) -> Admission:
    made = Admission()
    for share, samples in waiting.items():
        made.add(share, samples)
    return made


def test_one_share_leaves_room_for_the_others() -> None:
    full = admission(greedy=750)
    assert full.excess(1, CAPACITY, "greedy") == 1
    assert full.excess(250, CAPACITY, "modest") == 0
    assert full.excess(251, CAPACITY, "modest") == 1


def test_what_is_larger_than_the_queue_comes_in_when_its_share_has_nothing_waiting() -> None:
    assert Admission().excess(100_000, CAPACITY, "long") == 0
    after = admission(long=100_000)
    assert after.excess(1, CAPACITY, "long") > 0
    assert after.excess(200, CAPACITY, "modest") == 0
    assert admission(modest=400).excess(100_000, CAPACITY, "long") == 400 + SHARE_PART * CAPACITY - CAPACITY


requests = st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(1, 3000)), max_size=50)


@given(requests)
def test_the_whole_is_bounded_and_the_excess_is_what_must_go_first(requests: list[tuple[str, int]]) -> None:
    made, waiting = Admission(), dict.fromkeys("abcdef", 0)
    for share, samples in requests:
        excess = made.excess(samples, CAPACITY, share)
        if excess == 0:
            made.add(share, samples)
            waiting[share] += samples
        assert made.total == sum(waiting.values())
        assert sum(min(held, SHARE_PART * CAPACITY) for held in waiting.values()) <= CAPACITY
    for share, held in waiting.items():
        made.remove(share, held)
    assert made.total == 0
    assert made.excess(750, CAPACITY, "a") == 0


@pytest.mark.parametrize("gone", [0, 99, 100, 150])
def test_waiting_for_the_excess_is_enough(gone: int) -> None:
    made = admission(a=600, b=200)
    assert made.excess(300, CAPACITY, "c") == 100
    made.remove("a", gone)
    assert made.excess(300, CAPACITY, "c") == max(0, 100 - gone)
