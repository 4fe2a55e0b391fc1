"""Formats whose size is known from their blocks: a cut file, or one with another behind it, is named."""

import io

import pytest
import soundfile

from sonant import audio
from sonant.errors import TruncatedAudio, UndecodableAudio


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


@pytest.mark.parametrize("container", ["mp4", "mov"])
def test_a_second_film_behind_the_first_is_refused(encode_av, speechlike, container):
    data = encode_av(speechlike(1.0)[:, 0], 16000, container, "aac")
    for measure in (audio.read, audio.duration):
        with pytest.raises(UndecodableAudio, match=f"second recording begins at byte {len(data)} "):
            measure(data + data)
