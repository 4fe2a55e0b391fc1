"""Within any span there is no more than the rate; no less is let through; and no flood of names changes that."""

import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sonant.server.accounts import rate_limits
from sonant.server.accounts.rate_limits import Rate, RateLimits
from sonant.server.errors import ApiError


class Clock:
    def __init__(self, monkeypatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(time, "monotonic", lambda: self.now)


def take(limits: RateLimits, name: str, rate: Rate, amount: float = 1.0) -> float | None:
    """The seconds to wait, or None if it was taken."""
    refusal = limits.take({name: rate}, amount)
    return None if refusal is None else refusal.wait


@given(st.lists(st.tuples(st.floats(0, 40), st.floats(0.01, 12)), max_size=40))
@example([(0.0, 1.0), (0.0, 5.686882027070686), (1.0, 10.0)])  # whose sum is rounded up
def test_the_law(steps):
    """Against a plain list of all that was ever taken; and after the wait that is told, the same amount fits."""
    with pytest.MonkeyPatch.context() as patch:
        clock, limits, rate = Clock(patch), RateLimits(), Rate(10, 60)
        taken: list[tuple[float, float]] = []

        def room() -> float:
            return rate.amount - sum(amount for when, amount in taken if when > clock.now - rate.seconds)

        for pause, amount in steps:
            clock.now += pause
            wait = take(limits, "a", rate, amount)
            if abs(room() - amount) < 1e-9:  # rounding decides
                return
            assert (wait is None) == (amount < room())
            if wait is None:
                taken.append((clock.now, amount))
            elif amount > rate.amount:
                assert wait == float("inf")
            else:
                clock.now += wait - 1e-3
                assert room() < amount
                clock.now += 2e-3
                assert room() > amount - 1e-9


def test_names_do_not_share(monkeypatch):
    Clock(monkeypatch)
    limits = RateLimits()
    assert take(limits, "a", Rate(1)) is None
    assert take(limits, "b", Rate(1)) is None
    assert take(limits, "a", Rate(1)) == 60


def test_what_was_given_back_may_be_taken_again(monkeypatch):
    Clock(monkeypatch)
    limits = RateLimits()
    for _ in range(5):
        assert take(limits, "a", Rate(1)) is None
        limits.give_back({"a": Rate(1)})
    limits.give_back({"nobody": Rate(1)})


def test_an_attempt_that_is_refused_is_counted_under_no_name(monkeypatch):
    Clock(monkeypatch)
    limits = RateLimits()
    assert take(limits, "network", Rate(1)) is None
    for name in ("a", "a", "b"):
        with pytest.raises(ApiError, match="try again in 1 min"):
            limits.count_attempt({name: Rate(2), "network": Rate(1)})
    assert len(limits) == 1
    assert limits.take({"a": Rate(2), "c": Rate(2)}) is None


def test_nothing_is_kept_of_those_who_left(monkeypatch):
    clock, limits = Clock(monkeypatch), RateLimits()
    for i in range(100):
        take(limits, f"{i}", Rate(5))
    clock.now += 30
    take(limits, "stays", Rate(5))
    clock.now += 31
    for i in range(100):
        take(limits, "others", Rate(200))
        take(limits, f"new {i}", Rate(5))
    assert len(limits) <= 102
    assert limits.take({"stays": Rate(1)}) is not None


def test_a_flood_of_names_takes_bounded_memory_and_no_limit_forgets(monkeypatch):
    """Names that came before the flood, in it and after it keep their limits, also when there is room again."""
    clock = Clock(monkeypatch)
    monkeypatch.setattr(rate_limits, "MOST", 500)
    monkeypatch.setattr(rate_limits, "SHARED", 100)
    limits, brake, flood = RateLimits(), Rate(3, 3600), Rate(10_000_000, 60)
    assert [take(limits, "before", brake) for _ in range(3)] == [None] * 3
    for number in range(500):
        take(limits, f"stranger {number}", Rate(1, 3600))
    victims = [f"victim {number}" for number in range(20)]
    for _ in range(3):
        for victim in victims:
            take(limits, victim, brake)
    for number in range(100_000):
        take(limits, f"{number}", flood)
    assert len(limits) == 500 + 100 + len({key for key in limits._shared if key[0] == 3600})
    assert all(take(limits, name, brake) for name in ("before", *victims))
    clock.now += 3599  # the flood has ended
    for number in range(1000):
        take(limits, f"later {number}", Rate(1))
    assert all(take(limits, name, brake) for name in ("before", *victims))
    clock.now += 2
    assert not any(take(limits, name, brake) for name in ("before", *victims))
