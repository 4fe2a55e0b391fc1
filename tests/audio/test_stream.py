"""Blocks of a long recording, laid end to end, are what `read` gives at once."""

import tracemalloc

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from sonant import audio
from sonant.errors import EmptyAudio, NonFiniteAudio, TooShortAudio, TruncatedAudio, UndecodableAudio


@settings(deadline=None, max_examples=20)
@given(
    kind=st.sampled_from(["wav", "wav-24", "flac", "ogg", "mp3", "array"]),
    rate=st.sampled_from([16000, 22050, 44100, 48000]),
    target=st.sampled_from([16000, 22050, 44100]),
    channels=st.integers(1, 2),
    samples=st.integers(20000, 300000),
)
def test_blocks_are_the_recording(encode, speechlike, kind, rate, target, channels, samples):
    written = speechlike(samples / rate, rate, channels)
    source = written if kind == "array" else encode(written, rate, kind)
    whole = audio.read(source, sampling_rate=target, source_rate=rate)
    joined = np.concatenate(list(audio.blocks(source, sampling_rate=target, source_rate=rate)))
    assert joined.dtype == np.float32
    if rate == target:
        np.testing.assert_array_equal(joined, whole)
    else:
        np.testing.assert_allclose(joined, whole, atol=1e-5)


@pytest.mark.parametrize("rate", [16000, 44100])
def test_memory_does_not_grow_with_the_file(tmp_path, rate):
    def peak(seconds):
        path = tmp_path / f"{seconds}.wav"
        with soundfile.SoundFile(path, "w", rate, 1, "PCM_16") as file:
            for _ in range(seconds // 10):
                file.write(np.full(10 * rate, 0.1))
        tracemalloc.start()
        total = sum(len(block) for block in audio.blocks(path))
        used = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert total == seconds * 16000
        return used

    assert peak(240) < 1.1 * peak(60) < 16 << 20


def test_a_cut_file_gives_its_good_part_first(encode, speechlike):
    data = encode(speechlike(40.0), 16000, "flac")
    blocks = audio.blocks(data[: int(0.7 * len(data))])
    first = next(blocks)
    np.testing.assert_array_equal(first, audio.read(data)[: len(first)])
    with pytest.raises(TruncatedAudio):
        list(blocks)


def test_bad_recordings_are_refused(encode):
    poisoned = np.full(300_000, 0.1, np.float32)
    poisoned[200_000] = np.nan
    for source in (poisoned, encode(poisoned, 16000, "wav-float")):
        with pytest.raises(NonFiniteAudio, match=r"12\.500 s"):
            list(audio.blocks(source))
    with pytest.raises(NonFiniteAudio, match=r"4\.535 s"):  # the place in the file, not in what is made of it
        list(audio.blocks(poisoned, source_rate=44100))
    with pytest.raises(TooShortAudio, match="399"):
        list(audio.blocks(np.zeros(399)))
    assert len(list(audio.blocks(np.zeros(399), min_samples=1))) == 1
    with pytest.raises(EmptyAudio):
        list(audio.blocks(encode(np.zeros((0, 1)), 16000, "wav")))
    with pytest.raises(UndecodableAudio):
        list(audio.blocks(b"no audio" * 100))
