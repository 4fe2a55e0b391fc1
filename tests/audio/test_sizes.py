"""Formats of old sound cards and samplers: a cut file is named."""

import io

import pytest
import soundfile

from sonant import audio
from sonant.errors import TruncatedAudio


@pytest.mark.parametrize(
    "kind", [("VOC", "PCM_16"), ("VOC", "ULAW"), ("SDS", "PCM_S8"), ("SDS", "PCM_16"), ("SDS", "PCM_24")]
)
def test_whole_and_cut(speechlike, kind):
    file = io.BytesIO()
    soundfile.write(file, speechlike(0.5), 16000, format=kind[0], subtype=kind[1])
    data = file.getvalue()
    assert len(audio.read(data)) == pytest.approx(8000, abs=60)
    for part in (0.3, 0.95):
        with pytest.raises(TruncatedAudio, match="cut off"):
            audio.read(data[: int(part * len(data))])
