"""Voices among enrolled people: the right one, or nobody."""

import json
from math import exp, log2

import numpy as np
import pytest

from sonant.decoding.known_voices import (
    EnrolledRecording,
    KnownVoices,
    Person,
    checked_name,
    checked_vector,
    exported,
    people_of,
)
from sonant.decoding.voice_calibration import VoiceCalibration
from sonant.decoding.within_class import VoiceNormalization
from sonant.errors import ConfigurationError, MeasurementError

DIM = 8
CALIBRATION = VoiceCalibration((0.5, 0.6, 0.65), basis="Set in this test.", slope=10.0, offset=-4.0)


def person(name: str, *vectors: np.ndarray) -> Person:
    return Person(name.lower(), name, tuple(EnrolledRecording(f"{i}", v, 3.0, 1) for i, v in enumerate(vectors)))


def axis(number: int) -> np.ndarray:
    return np.eye(DIM, dtype=np.float32)[number]


ADA, GRACE = person("Ada", axis(0), 2 * axis(0) + axis(1)), person("Grace", axis(2))


def test_the_nearest_is_found_and_a_stranger_is_nobody() -> None:
    known = KnownVoices([ADA, GRACE], CALIBRATION)
    assert known.identify(axis(0) + 0.1 * axis(5)).name == "Ada"
    assert known.identify(axis(2)).name == "Grace"
    found = known.identify(axis(6))
    assert found.person is found.name is None
    assert [match.score for match in found.matches] == pytest.approx([0, 0])
    assert found.basis == "Set in this test."


def test_a_score_is_the_cosine_with_the_mean_direction() -> None:
    """However long the vectors of the recordings are."""
    known = KnownVoices([ADA, GRACE])
    mean = (axis(0) + (2 * axis(0) + axis(1)) / 5**0.5) / 2
    assert known.scores(axis(0)[None])[0] == pytest.approx([mean[0] / np.linalg.norm(mean), 0])


def test_the_threshold_rises_with_the_number_of_people() -> None:
    assert KnownVoices([ADA], CALIBRATION).threshold() == 0.5
    assert KnownVoices([ADA, GRACE], CALIBRATION).threshold() == 0.6
    assert [CALIBRATION.threshold_among(people) for people in (3, 4, 8, 16)] == pytest.approx(
        [0.6 + 0.05 * log2(1.5), 0.65, 0.7, 0.75]
    )
    card = VoiceCalibration((0.86,), basis="The card.")
    assert KnownVoices([ADA, GRACE], card).threshold() == 0.86
    assert KnownVoices([ADA, GRACE], CALIBRATION).threshold(0.3) == 0.3


def test_probabilities_are_those_of_bayes_rule() -> None:
    """Half of all voices are unknown; each person has an equal part of the other half."""
    scores = np.array([0.7, 0.1, -0.2])
    ratios = [exp(10 * score - 4) for score in scores]
    total = 0.5 + sum(ratio / 6 for ratio in ratios)
    assert CALIBRATION.posteriors(scores) == pytest.approx([ratio / 6 / total for ratio in ratios])
    assert CALIBRATION.posteriors(scores[:1]) == pytest.approx([1 / (1 + exp(-3))])


def test_without_a_calibration_there_is_no_verdict() -> None:
    found = KnownVoices([ADA]).identify(axis(0))
    assert found.person is found.threshold is found.matches[0].probability is None
    assert "without a verdict" in found.basis
    assert KnownVoices([ADA]).identify(axis(0), threshold=0.9).name == "Ada"
    with pytest.raises(ConfigurationError, match="calibrate"):
        KnownVoices([ADA]).names(axis(0)[None])


def test_scores_are_of_normalized_vectors() -> None:
    stretch = np.diag([0.0, 1.0, *[1.0] * (DIM - 2)]).astype(np.float16)  # the first direction counts for nothing
    normalization = VoiceNormalization(axis(3), stretch)
    known = KnownVoices([ADA, GRACE], VoiceCalibration((0.5,), "", normalization=normalization))
    plain = KnownVoices([person("Ada", *(v - axis(3) - v[0] * axis(0) for v in (axis(0), 2 * axis(0) + axis(1)))),
                         person("Grace", axis(2) - axis(3))])  # fmt: skip
    voice = axis(0) + axis(1) + axis(5)
    assert known.scores(voice[None])[0] == pytest.approx(plain.scores((voice - axis(0) - axis(3))[None])[0])
    with pytest.raises(ConfigurationError, match="another model"):
        known.scores(np.ones((1, DIM + 1)))


def test_names_are_those_of_identify() -> None:
    known = KnownVoices([ADA, GRACE], CALIBRATION)
    assert known.names(np.stack([axis(2), axis(6), axis(0)])) == ["Grace", None, "Ada"]
    assert KnownVoices([], CALIBRATION).names(axis(2)[None]) == [None]
    assert KnownVoices([], CALIBRATION).identify(axis(2)).matches == ()


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "x" * 101, "speaker_0", "channel_1_speaker_2", 7, None])
def test_names_that_would_confuse_are_refused(name: object) -> None:
    with pytest.raises(ConfigurationError):
        checked_name(name)


def test_names_are_compared_as_they_are_read() -> None:
    assert checked_name(" Zoe\u0308 ") == checked_name("Zo\u00eb") == "Zoë"


@pytest.mark.parametrize("vector", [np.zeros(4), np.array([1, np.nan]), np.array([np.inf]), np.ones((2, 2))])
def test_vectors_that_would_spoil_comparisons_are_refused(vector: np.ndarray) -> None:
    with pytest.raises(MeasurementError):
        checked_vector(vector)


def test_rows_become_people_and_people_become_json() -> None:
    rows = [(p.id, p.name, r.id, r.vector.tobytes(), r.speech_seconds, r.created) for p in (ADA, GRACE)
            for r in p.recordings]  # fmt: skip
    people = people_of(rows)
    assert [(p.name, len(p.recordings)) for p in people] == [("Ada", 2), ("Grace", 1)]
    data = json.loads(json.dumps(exported(people, model="m")))
    assert data["people"][0]["recordings"][1]["vector"] == [2, 1, 0, 0, 0, 0, 0, 0]
    assert KnownVoices(people, CALIBRATION).digest() == KnownVoices([ADA, GRACE], CALIBRATION).digest()
    assert KnownVoices([ADA], CALIBRATION).digest() != KnownVoices([ADA], None).digest()


@pytest.mark.parametrize(
    "data",
    [{}, {"thresholds": [0.5]}, {"thresholds": [0.5], "basis": "", "more": 1}, {"thresholds": [], "basis": ""},
     {"thresholds": [float("nan")], "basis": ""}, {"thresholds": [0.5], "basis": "", "slope": 1.0},
     {"thresholds": [0.5], "basis": "", "slope": -1.0, "offset": 0.0}, [], {"thresholds": "x", "basis": ""},
     {"thresholds": [0.5], "basis": "", "normalization": {"mean": "AAAA", "matrix": "%"}},
     {"thresholds": [0.5], "basis": "", "normalization": {"mean": "AACAPw==", "matrix": "AAA="}}],
)  # fmt: skip
def test_calibrations_that_are_none_are_refused(data: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError):
        VoiceCalibration.from_data(data)


def test_calibrations_survive_json() -> None:
    assert VoiceCalibration.from_data(json.loads(json.dumps(CALIBRATION.as_data()))) == CALIBRATION
