"""The diarization error rate, by cases that can be added up by hand."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sonant.decoding.results import SpeakerTurn
from sonant.errors import MeasurementError
from sonant.evaluation import DiarizationError, diarization_error, jaccard_errors


def turns(*spans: tuple[str, float, float]) -> list[SpeakerTurn]:
    return [SpeakerTurn(*span) for span in spans]


REFERENCE = turns(("a", 0, 10), ("b", 10, 20))


@pytest.mark.parametrize(
    ("found", "missed", "false_alarm", "confusion"),
    [
        (turns(("x", 0, 10), ("y", 10, 20)), 0, 0, 0),
        (turns(("y", 10, 20), ("x", 0, 10)), 0, 0, 0),
        (turns(("x", 0, 8), ("y", 10, 20)), 2, 0, 0),
        (turns(("x", 0, 10), ("y", 10, 25)), 0, 5, 0),
        (turns(("x", 0, 13), ("y", 13, 20)), 0, 0, 3),
        (turns(("x", 0, 20)), 0, 0, 10),
        (turns(("x", 0, 10), ("y", 5, 20)), 0, 5, 0),
        (turns(("x", 0, 4), ("x", 3, 10), ("y", 10, 20)), 0, 0, 0),  # one speaker twice at once is one
        ([], 20, 0, 0),
        (turns(("x", 30, 31)), 20, 1, 0),
        (turns(("x", 0, 5), ("y", 5, 10), ("z", 10, 20)), 0, 0, 5),
    ],
)
def test_by_hand(found: list[SpeakerTurn], missed: float, false_alarm: float, confusion: float) -> None:
    error = diarization_error(REFERENCE, found)
    assert error == DiarizationError(missed, false_alarm, confusion, 20)
    assert error.rate == pytest.approx((missed + false_alarm + confusion) / 20)


def test_two_at_once_count_twice() -> None:
    reference = turns(("a", 0, 10), ("b", 5, 10))
    error = diarization_error(reference, turns(("x", 0, 10)))
    assert error == DiarizationError(5, 0, 0, 15)


def test_collars_hide_what_lies_about_the_boundaries() -> None:
    late = turns(("x", 0.2, 10.2), ("y", 10.2, 20.2))
    assert diarization_error(REFERENCE, late).rate == pytest.approx((0.2 + 0.2 + 0.2) / 20)
    error = diarization_error(REFERENCE, late, collar_seconds=0.25)
    assert error.rate == 0
    assert error.speech_seconds == pytest.approx(20 - 4 * 0.25)


@pytest.mark.parametrize("parts", [((0, 2), (1, 3)), ((1, 3), (0, 2)), ((0, 3), (1, 2)), ((0, 1), (1, 3), (2, 2))])
@pytest.mark.parametrize("collar", [0, 0.25])
def test_turns_of_one_speaker_that_overlap_or_touch_are_one(parts: list[tuple[int, int]], collar: float) -> None:
    """The seconds they share count once, and there is no collar where they meet."""
    whole, several = turns(("a", 0, 3)), turns(*(("a", *part) for part in parts))
    for reference, found in ((several, whole), (whole, several), (several, several)):
        error = diarization_error(reference, found, collar_seconds=collar)
        assert error == DiarizationError(0, 0, 0, 3 - 2 * collar)
    unheard = diarization_error(several, turns(("x", 0, 1)), collar_seconds=collar)
    assert unheard == DiarizationError(2 - collar, 0, 0, 3 - 2 * collar)


def test_a_turn_that_ends_before_it_begins_is_refused() -> None:
    with pytest.raises(MeasurementError, match="begins at 8 s and ends at 3 s"):
        diarization_error(turns(("a", 8, 3)), REFERENCE)


@pytest.mark.parametrize("end", [float("inf"), float("nan")])
def test_times_are_finite(end: float) -> None:
    endless = [SpeakerTurn(start_seconds=0, end_seconds=end, speaker="a")]
    for pair in ((endless, REFERENCE), (REFERENCE, endless)):
        with pytest.raises(MeasurementError, match="begins at 0 s and ends at"):
            diarization_error(*pair)
    with pytest.raises(MeasurementError, match="region"):
        diarization_error(REFERENCE, REFERENCE, regions=[(0, end)])


def test_a_reference_without_speech_has_false_alarms_and_no_rate() -> None:
    silent = diarization_error([], REFERENCE)
    assert silent == DiarizationError(0, 20, 0, 0)
    assert diarization_error([], []) == DiarizationError(0, 0, 0, 0)
    assert jaccard_errors([], REFERENCE) == {}
    for nothing in (silent, diarization_error(turns(("a", 0, 1)), REFERENCE, collar_seconds=1)):
        with pytest.raises(MeasurementError, match="no speech that is scored"):
            _ = nothing.rate
    assert DiarizationError.total([silent, diarization_error(REFERENCE, [])]).rate == 2


def test_overlaps_can_be_skipped() -> None:
    reference = turns(("a", 0, 10), ("b", 6, 12))
    found = turns(("x", 0, 12))
    assert diarization_error(reference, found) == DiarizationError(4, 0, 2, 16)
    assert diarization_error(reference, found, skip_overlap=True) == DiarizationError(0, 0, 2, 8)


def test_only_regions_are_scored() -> None:
    found = turns(("x", 0, 13), ("y", 13, 25))
    assert diarization_error(REFERENCE, found, regions=[(0, 11), (10.5, 12), (24, 26)]) == DiarizationError(0, 1, 2, 12)
    assert diarization_error(REFERENCE, found, regions=[]) == DiarizationError(0, 0, 0, 0)
    with pytest.raises(MeasurementError, match="ends before it begins"):
        diarization_error(REFERENCE, found, regions=[(3, 2)])


def test_jaccard_errors_by_hand() -> None:
    """Missed and false seconds over those of either, for the mapping with most seconds in common."""
    found = turns(("x", 0, 8), ("y", 8, 16))
    errors = jaccard_errors((*REFERENCE, *turns(("c", 30, 31))), found)
    assert errors == pytest.approx({"a": 2 / 10, "b": (4 + 2) / 12, "c": 1})
    assert jaccard_errors(REFERENCE, found, regions=[(0, 8)]) == {"a": 0}
    assert jaccard_errors(REFERENCE, []) == {"a": 1, "b": 1}


spans = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 20), st.integers(1, 10)), min_size=1, max_size=6)


@given(spans, spans)
@settings(max_examples=40)
def test_against_counting_seconds(reference: list[tuple[str, int, int]], found: list[tuple[str, int, int]]) -> None:
    """Turns in whole seconds, every pairing of names tried."""
    from itertools import permutations

    def seconds(given_spans: list[tuple[str, int, int]]) -> list[set[str]]:
        return [{name for name, start, length in given_spans if start <= t < start + length} for t in range(30)]

    def made(given_spans: list[tuple[str, int, int]]) -> list[SpeakerTurn]:
        return turns(*((name, start, start + length) for name, start, length in given_spans))

    spoke, told = seconds(reference), seconds(found)
    least = min(
        sum(
            max(len(one), len(other)) - len({names[name] for name in other} & one)
            for one, other in zip(spoke, told, strict=True)
        )
        for names in (dict(zip("abc", way, strict=True)) for way in permutations("abc"))
    )
    error = diarization_error(made(reference), made(found))
    assert error.rate == pytest.approx(least / sum(map(len, spoke)))
