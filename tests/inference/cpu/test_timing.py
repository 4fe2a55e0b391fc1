"""Times of computations that share a busy machine."""

import pytest
import torch

from sonant.inference.cpu import timing
from sonant.inference.cpu.timing import seconds, time_ratio


class Clock:
    """Time that passes only while something is computed."""

    now = 0.0

    def __call__(self) -> float:
        return self.now

    def computation(self, *times: float):
        """One that takes so long at each call, and the last of the times from then on."""
        left = list(times)

        def compute() -> None:
            self.now += left.pop(0) if len(left) > 1 else left[0]
            self.calls += 1

        return compute

    calls = 0


@pytest.fixture
def clock(monkeypatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(timing, "clock", made)
    return made


def test_the_best_of_several_turns_counts(clock) -> None:
    assert seconds(clock.computation(4), clock.computation(1, 50, 2, 30)) == [4, 2]


def test_measurements_take_one_thread_and_give_the_others_back(monkeypatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 7)
    asked: list[int] = []
    monkeypatch.setattr(torch, "set_num_threads", asked.append)
    seconds(lambda: None)
    with pytest.raises(ZeroDivisionError):
        seconds(lambda: 1 / 0)
    assert asked == [1, 7, 1, 7]


@pytest.mark.parametrize(("given", "most_calls"), [(100.0, 2), (3.0, 8), (0.2, 8), (1.0, 40)])
def test_a_clear_ratio_is_found_in_few_calls(clock, given, most_calls) -> None:
    assert time_ratio(clock.computation(given), clock.computation(1.0)) == pytest.approx(given)
    assert clock.calls <= most_calls


def test_what_disturbs_a_measurement_does_not_decide(clock) -> None:
    disturbed = clock.computation(5.0, 1.1, 1.2, 1.3, 1.0, 1.1)
    assert time_ratio(disturbed, clock.computation(6.0, 1.0)) == pytest.approx(1.0)
