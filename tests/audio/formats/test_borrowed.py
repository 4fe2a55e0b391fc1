"""File objects of the caller's: read by several at once, failing, left as they were."""

import io
from concurrent.futures import ThreadPoolExecutor
from itertools import zip_longest

import numpy as np
import pytest

from sonant import audio
from sonant.errors import AudioError, UndecodableAudio

ID3V2 = b"ID3\x03\x00\x00\x00\x00\x02\x00" + bytes(256)


@pytest.fixture(scope="module", params=["wav", "flac", "mp3", "ogg", "m4a"])
def data(request, encode, encode_av, speechlike):
    samples = speechlike(20.0)
    if request.param == "m4a":
        return ID3V2 + encode_av(samples[:, 0], 16000, "mp4", "aac")
    return ID3V2 + encode(samples, 16000, request.param)


@pytest.mark.parametrize("kind", ["memory", "disk"])
def test_threads_may_share_one(data, tmp_path, kind):
    path = tmp_path / "recording"
    path.write_bytes(data)
    expected = audio.read(data)
    with io.BytesIO(data) if kind == "memory" else path.open("rb") as file, ThreadPoolExecutor(4) as pool:
        for samples in pool.map(lambda _: audio.read(file), range(8)):
            np.testing.assert_array_equal(samples, expected)


def test_blocks_may_be_read_in_turns(data):
    file = io.BytesIO(data)
    pairs = list(zip_longest(audio.blocks(file), audio.blocks(file)))
    assert len(pairs) > 2
    for first, second in pairs:
        np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("place", [1, 1000, 10**9])
def test_wherever_it_stands_it_is_left(data, place):
    file = io.BytesIO(data)
    file.seek(place)
    np.testing.assert_array_equal(audio.read(file), audio.read(data))
    assert file.tell() == place


class _Failing(io.BytesIO):
    """A file of a connection that breaks."""

    left = 0

    def read(self, size=-1):
        self.left -= 1
        if self.left < 0:
            raise EOFError("the line is dead")
        return super().read(size)


@pytest.mark.parametrize("reads", range(4))
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_whatever_it_raises_becomes_an_error_of_audio(data, reads):
    for measure in (audio.read, audio.duration):
        file = _Failing(data)
        file.left = reads
        if reads:
            try:
                measure(file)
            except AudioError:
                continue
        else:
            with pytest.raises(UndecodableAudio, match="could not be read .EOFError: the line is dead"):
                measure(file)


def test_reads_may_give_less_than_asked_for(data):
    class Slow(io.BytesIO):
        def read(self, size=-1):
            return super().read(min(size, 7000) if size > 0 else size)

    np.testing.assert_array_equal(audio.read(Slow(data)), audio.read(data))
