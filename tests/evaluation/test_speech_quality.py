"""STOI against values of pystoi, on noise with the envelope of speech."""

import sys

import numpy as np
import pytest

from sonant.errors import MeasurementError, MissingExtra
from sonant.evaluation import pesq, stoi

rng = np.random.default_rng(0)
CLEAN = rng.normal(size=12_000) * np.abs(np.sin(np.arange(12_000) / 600)) ** 3
NOISY = CLEAN + 0.4 * rng.normal(size=12_000)


@pytest.mark.parametrize(("extended", "expected"), [(False, 0.909648824), (True, 0.520452721)])
def test_stoi_is_that_of_pystoi(extended: bool, expected: float) -> None:
    assert stoi(NOISY, CLEAN, 10_000, extended=extended) == pytest.approx(expected, abs=1e-9)  # by pystoi 0.4.1


def test_clean_speech_is_intelligible_at_any_rate_and_level() -> None:
    assert stoi(0.2 * CLEAN, CLEAN, 10_000) == pytest.approx(1)
    assert stoi(CLEAN, CLEAN, 16_000) == pytest.approx(1)


def test_too_little_speech_is_refused() -> None:
    with pytest.raises(MeasurementError, match=r"0\.\d\d s; STOI compares 30 frames"):
        stoi(NOISY[:3_000], CLEAN[:3_000], 10_000)
    with pytest.raises(MeasurementError, match="one recording"):
        stoi([NOISY], [CLEAN], 10_000)


def test_pesq_of_speech_is_that_of_its_package_and_needs_a_quarter_of_a_second() -> None:
    package = pytest.importorskip("pesq")
    expected = package.pesq(16_000, CLEAN.astype(np.float32), NOISY.astype(np.float32), "wb")
    assert pesq(NOISY, CLEAN, 16_000) == pytest.approx(expected)
    with pytest.raises(MeasurementError, match="too short"):
        pesq(NOISY[:3_000], CLEAN[:3_000], 16_000)


def test_pesq_tells_its_package_and_its_rates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pesq", None)
    with pytest.raises(MissingExtra, match="pesq"):
        pesq(NOISY, CLEAN, 16_000)
    with pytest.raises(MeasurementError, match="16,000 Hz"):
        pesq(NOISY, CLEAN, 44_100)
