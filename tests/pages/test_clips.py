"""Clips of a page: the right part of a recording, cut and bounded."""

from base64 import b64decode
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import soundfile

from sonant.audio import Segment
from sonant.data import ManifestEntry
from sonant.pages import clips
from sonant.pages.clips import audio_clips

RATE = 16_000


def seconds(clip: str | None) -> float:
    assert clip is not None
    head, _, data = clip.partition(",")
    assert head == "data:audio/mpeg;base64"
    samples, rate = soundfile.read(BytesIO(b64decode(data)))
    return len(samples) / rate


def test_clips_are_cut_and_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, 0.1 * np.random.default_rng(0).standard_normal(4 * RATE), RATE)
    (tmp_path / "bad.wav").write_bytes(b"not audio")
    entries = [
        ManifestEntry(path),
        ManifestEntry(tmp_path / "bad.wav"),
        ManifestEntry(path, segment=Segment(1.0, 2.0)),
        ManifestEntry(path, segment=Segment(3.0)),
    ]
    monkeypatch.setattr(clips, "CLIP_SECONDS", 3.0)
    whole, bad, part, rest = audio_clips(entries)
    assert bad is None
    assert seconds(whole) == pytest.approx(3, abs=0.1)
    assert seconds(part) == pytest.approx(1, abs=0.1)
    assert seconds(rest) == pytest.approx(1, abs=0.1)
    monkeypatch.setattr(clips, "MOST_BYTES", len(whole) + 10)
    assert list(audio_clips(entries)) == [whole, None, None, None]
