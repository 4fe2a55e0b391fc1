"""Within any span there is no more than the rate; and no less is let through."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sonant.server.accounts.rate_limits import Rate, RateLimits


class Clock:
    def __init__(self, monkeypatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(time, "monotonic", lambda: self.now)


@given(st.lists(st.tuples(st.floats(0, 40), st.floats(0.01, 12)), max_size=40))
def test_the_law(steps):
    """Against a plain list of all that was ever taken; and after the wait that is told, the same amount fits."""
    with pytest.MonkeyPatch.context() as patch:
        clock, limits, rate = Clock(patch), RateLimits(), Rate(10, 60)
        taken: list[tuple[float, float]] = []

        def room() -> float:
            return rate.amount - sum(amount for when, amount in taken if when > clock.now - rate.seconds)

        for pause, amount in steps:
            clock.now += pause
            wait = limits.wait("a", rate, amount)
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
    assert limits.wait("a", Rate(1)) is None
    assert limits.wait("b", Rate(1)) is None
    assert limits.wait("a", Rate(1)) == 60


def test_what_was_given_back_may_be_taken_again(monkeypatch):
    Clock(monkeypatch)
    limits = RateLimits()
    for _ in range(5):
        assert limits.wait("a", Rate(1)) is None
        limits.give_back("a")
    limits.give_back("nobody")


def test_nothing_is_kept_of_those_who_left(monkeypatch):
    clock, limits = Clock(monkeypatch), RateLimits()
    for i in range(100):
        limits.wait(f"{i}", Rate(5))
    clock.now += 30
    limits.wait("stays", Rate(5))
    clock.now += 31
    limits.forget()
    assert list(limits._windows) == ["stays"]
