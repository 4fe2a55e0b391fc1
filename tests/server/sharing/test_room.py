"""How much may be held: a bound on the whole, room left by each share for the others, and nobody shut out for good."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sonant.server.sharing.room import LONE_PART, SharedRoom

CAPACITY = 1000.0


def room(**held: int) -> SharedRoom:
    made = SharedRoom()
    for share, amount in held.items():
        made.add(share, amount)
    return made


def test_one_share_leaves_room_for_the_others() -> None:
    full = room(greedy=750)
    assert full.excess(1, CAPACITY, "greedy") == 1
    assert full.excess(250, CAPACITY, "modest") == 0
    assert full.excess(251, CAPACITY, "modest") == 1


@pytest.mark.parametrize("greedy", [1, 2, 5, 29])
def test_whoever_comes_first_and_however_many_want_all_there_is_room_for_the_first_request_of_another(
    greedy: int,
) -> None:
    made = room()
    progress = True
    while progress:
        progress = False
        for share in map(str, range(greedy)):
            if made.excess(1, CAPACITY, share) == 0:
                made.add(share, 1)
                progress = True
    held = [made._held[str(share)] for share in range(greedy)]
    assert max(held) - min(held) <= 1
    free = CAPACITY - made.total
    assert free >= CAPACITY / (3 * greedy + 1) - 1
    assert made.excess(int(free), CAPACITY, "another") == 0


def test_what_is_larger_than_the_room_comes_in_when_its_share_has_nothing_there() -> None:
    assert room().excess(100_000, CAPACITY, "long") == 0
    after = room(long=100_000)
    assert after.excess(1, CAPACITY, "long") > 0
    assert after.excess(200, CAPACITY, "modest") == 0
    assert room(modest=400).excess(100_000, CAPACITY, "long") == 400 + LONE_PART * CAPACITY - CAPACITY


requests = st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(1, 3000)), max_size=50)


@given(requests)
def test_the_whole_is_bounded_and_all_of_it_comes_back(requests: list[tuple[str, int]]) -> None:
    made, held = room(), dict.fromkeys("abcdef", 0)
    for share, amount in requests:
        if made.excess(amount, CAPACITY, share) == 0:
            made.add(share, amount)
            held[share] += amount
        assert made.total == sum(held.values())
        assert sum(min(each, LONE_PART * CAPACITY) for each in held.values()) <= CAPACITY
    for share, each in held.items():
        made.remove(share, each)
    assert made.total == 0
    assert made.excess(750, CAPACITY, "a") == 0


@given(st.integers(1, 1000), st.integers(0, 500), st.integers(1, 700))
def test_giving_the_excess_back_is_enough(own: int, others: int, amount: int) -> None:
    made = room(a=own, b=others)
    excess = math.ceil(made.excess(amount, CAPACITY, "a"))
    made.remove("a", excess)
    assert excess > own or made.excess(amount, CAPACITY, "a") == 0
