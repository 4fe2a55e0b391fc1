"""Tags in front of a recording change nothing, whatever the format and however the recording is given."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sonant import audio
from sonant.audio.formats.id3 import after_tags
from sonant.errors import EmptyAudio, TruncatedAudio
from tests.formats import LIBSNDFILE


def id3(size, *, footer=False):
    sevens = bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0))
    head = bytes([4, 0, 0x10 if footer else 0]) + sevens
    return b"ID3" + head + bytes(size) + (b"3DI" + head if footer else b"")


def ape(size):
    fields = (2000).to_bytes(4, "little") + (size + 32).to_bytes(4, "little") + bytes(4)
    frame = b"APETAGEX" + fields
    return frame + b"\0\0\0\xa0" + bytes(8) + bytes(size) + frame + b"\0\0\0\x80" + bytes(8)


TAGS = {
    "empty": id3(0),
    "small": id3(100),
    "cover": id3(120_000),
    "large": id3(5 << 20),
    "two": id3(5000) + id3(700),
    "footer": id3(3000, footer=True),
    "ape": ape(2000),
    "both": ape(200) + id3(200),
}


class Pipe(io.RawIOBase):
    """A file object that cannot seek."""

    def __init__(self, data):
        self.file = io.BytesIO(data)

    def readable(self):
        return True

    def readinto(self, buffer):
        return self.file.readinto(buffer)


@pytest.fixture(scope="module")
def recordings(encode, encode_av, speechlike):
    samples = speechlike(1.0)
    made = {kind: encode(samples, 16000, kind) for kind in LIBSNDFILE}
    for container, codec in (("adts", "aac"), ("mp4", "aac"), ("webm", "libopus"), ("mpegts", "mp2")):
        made[container] = encode_av(np.tile(samples[:, 0], 3), 48000, container, codec)
    return made


KINDS = [*LIBSNDFILE, "adts", "mp4", "webm", "mpegts"]
CASES = [(kind, tag) for kind in KINDS for tag in TAGS if tag in ("cover", "both") or kind in ("wav", "flac", "mp3")]


@pytest.mark.parametrize(("kind", "tag"), CASES)
def test_tags_in_front_change_nothing(recordings, tmp_path, kind, tag):
    plain, tagged = recordings[kind], TAGS[tag] + recordings[kind]
    expected, seconds = audio.read(plain), audio.duration(plain)
    path = tmp_path / "tagged"
    path.write_bytes(tagged)
    for make in (lambda: path, lambda: tagged, lambda: io.BytesIO(tagged), lambda: Pipe(tagged)):
        np.testing.assert_array_equal(audio.read(make()), expected)
        assert audio.duration(make()) == seconds


def test_a_tag_without_a_recording():
    with pytest.raises(EmptyAudio, match="tags"):
        audio.read(id3(100))
    with pytest.raises(TruncatedAudio, match="cut off"):
        audio.read(id3(5000)[:400])


@given(st.binary(max_size=300))
def test_junk_behind_the_name_of_a_tag_never_hangs_or_crashes(junk):
    for name in (b"ID3", b"APETAGEX", b"TAG", id3(1)):
        assert after_tags(io.BytesIO(name + junk)) >= 0
