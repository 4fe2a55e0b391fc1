"""Lengths of a corpus by some of its headers."""

from pathlib import Path

import numpy as np
import pytest

from sonant.data import ManifestEntry
from sonant.training import corpus_headers
from sonant.training.corpus_headers import read_headers
from tests.training.corpus import write_corpus


def test_headers_count_before_the_manifest_and_unreadable_ones_are_named(tmp_path: Path) -> None:
    folder = write_corpus(tmp_path / "speech", [16_000, 8_000, 4_000])
    (folder / "2.wav").write_bytes(b"no audio")
    recordings = [
        ManifestEntry(folder / "0.wav", 1.0),
        ManifestEntry(folder / "1.wav", 3.0),
        ManifestEntry(folder / "2.wav", 0.25),
        ManifestEntry(folder / "missing.wav"),
    ]
    headers = read_headers(recordings, 16_000)
    assert headers.samples.tolist() == [16_000, 8_000, 0, 0]
    assert headers.mislabeled == [str(folder / "1.wav")]
    assert set(headers.unreadable) == {str(folder / "2.wav"), str(folder / "missing.wav")}
    assert (headers.num_read, headers.num_unknown) == (4, 0)


def test_lengths_that_nothing_says_are_drawn_from_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_corpus(tmp_path / "speech", [16_000] * 6)
    monkeypatch.setattr(corpus_headers, "MOST_READ", 2)
    recordings = [ManifestEntry(folder / f"{number}.wav") for number in range(6)]
    headers = read_headers(recordings, 8_000)
    assert (headers.num_read, headers.num_unknown) == (2, 4)
    np.testing.assert_array_equal(headers.samples, 8_000)
    labeled = read_headers([ManifestEntry(folder / f"{number}.wav", 2.0) for number in range(6)], 8_000)
    assert sorted(labeled.samples.tolist()) == [8_000] * 2 + [16_000] * 4
    assert labeled.num_unknown == 0
