"""Divisions of recordings: by the manifest, by speaker, or at random, without labels that could not be learned."""

import numpy as np
import pytest

from sonant.analysis.splits import parts_for, plain_parts
from sonant.errors import MeasurementError

SPEAKERS = [f"s{number % 10}" for number in range(100)]
LABELS = [("a", "b")[number // 10 % 2] for number in range(100)]
NONE = [None] * 100


def names(parts, values):
    return [{values[place] for place in part} for part in parts.each]


def test_speakers_are_in_one_part_where_each_label_has_several():
    parts = parts_for(LABELS, SPEAKERS, NONE)
    train, dev, test = names(parts, SPEAKERS)
    assert parts.across_speakers
    assert len(train | dev | test) == len(train) + len(dev) + len(test)
    assert sorted(np.concatenate(parts.each)) == list(range(100))


def test_labels_of_one_speaker_are_divided_at_random():
    parts = parts_for(SPEAKERS, SPEAKERS, NONE)
    assert not parts.across_speakers
    assert all(part == set(SPEAKERS) for part in names(parts, SPEAKERS))


def test_segments_of_one_recording_stay_together():
    recordings = [number // 5 for number in range(100)]
    train, _, test = names(parts_for(LABELS, NONE, NONE, recordings), recordings)
    assert not train & test


def test_the_parts_of_the_manifest_are_taken():
    given = [("train", "valid", "test", "train", "train")[number % 5] for number in range(100)]
    parts = parts_for(LABELS, SPEAKERS, given)
    assert parts.test.tolist() == [number for number in range(100) if number % 5 == 2]
    assert parts.across_speakers  # 10 is a multiple of 5
    assert plain_parts(SPEAKERS, given).dev.tolist() == [number for number in range(100) if number % 5 == 1]


def test_parts_of_the_manifest_with_other_labels_are_not_taken():
    given = ["train"] * 50 + ["dev"] * 20 + ["test"] * 30
    speakers = [f"s{number // 10}" for number in range(100)]
    assert parts_for(speakers, speakers, given).by.startswith("at random")


def test_rare_labels_are_left_out_and_too_few_refused():
    labels = ["a"] * 50 + ["b"] * 48 + ["c"] * 2
    assert 98 not in np.concatenate(parts_for(labels, NONE, NONE).each)
    with pytest.raises(MeasurementError, match="two are needed"):
        parts_for(["a"] * 97 + ["b"] * 3, NONE, NONE)
    with pytest.raises(MeasurementError):
        plain_parts(["a"] * 3, [None] * 3)
