"""Whatever the bytes are: a waveform within the caps or an error of the caller's, in bounded time and memory."""

import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sonant.errors import AudioError, SonantError
from sonant.server.errors import ApiError, api_error
from sonant.server.settings import Limits
from tests.formats import LIBSNDFILE
from tests.server.intake.malformed import FFMPEG, malformed_files, recording

SPEECH = Path(__file__).parents[3] / "examples" / "speech"
LIMITS = Limits()
SECONDS = LIMITS.decode_seconds + 1.0


@pytest.fixture(scope="module")
def files():
    return dict(malformed_files())


def refusal(decode, data) -> ApiError:
    """What a caller is told."""
    begin = time.monotonic()
    with pytest.raises((SonantError, ApiError)) as refused:
        decode(data)
    assert time.monotonic() - begin < SECONDS
    error = refused.value
    return error if isinstance(error, ApiError) else api_error(error)


def peak_bytes(pid: int) -> int:
    """The most memory that a process has had; 0 where that cannot be told."""
    status = Path(f"/proc/{pid}/status")
    lines = status.read_text(encoding="utf-8").splitlines() if status.exists() else []
    return sum(int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM"))


def test_there_are_enough_of_them_and_they_are_small(files):
    assert len(files) >= 200
    assert sum(map(len, files.values())) < 60e6
    again = {name: len(data) for name, data in malformed_files()}
    assert again == {name: len(data) for name, data in files.items()}


def test_every_one_is_refused(decode, files):
    for name, data in files.items():
        if not name.startswith("bomb"):
            error = refusal(decode, data)
            assert 400 <= error.status < 500, name
            assert error.code in {"invalid_audio", "truncated_audio", "audio_too_short", "empty_audio",
                                  "non_finite_audio", "audio_too_long"}, name  # fmt: skip
            assert "/proc" not in error.message
            assert "root:" not in error.message


@pytest.mark.slow
def test_every_bomb_is_refused(decode, decoder, files):
    bombs = [name for name in files if name.startswith("bomb")]
    assert len(bombs) >= 10
    for name in bombs:
        assert (refusal(decode, files[name]).status, name) == (413, name)
    for worker in decoder._idle:
        assert peak_bytes(worker.pid) < 400 << 20


def test_what_a_header_promises_is_refused_before_decoding(decode, files):
    """Three hours of silence are worked through in half a second at best; refusing them is no work at all."""
    begin = time.monotonic()
    for _ in range(20):
        assert refusal(decode, files["bomb: 3 h of silence in 38 kB of flac"]).code == "audio_too_long"
    assert time.monotonic() - begin < 2


# ---------------------------------------------------------------------------------------------- arbitrary bytes


def check(decode, data):
    begin = time.monotonic()
    try:
        samples = decode(bytes(data))
    except AudioError:
        pass
    else:
        assert 400 <= len(samples) <= LIMITS.audio_seconds * 16000
        assert np.isfinite(samples).all()
    assert time.monotonic() - begin < SECONDS


BEGINNINGS = (
    b"RIFF\0\1\0\0WAVE", b"RF64\xff\xff\xff\xffWAVEds64", b"FORM\0\0\1\0AIFF", b"caff\0\1\0\0", b".snd",
    b"NIST_1A\n   1024\n", b"fLaC", b"OggS\0\2", b"ID3\4\0\0", b"\xff\xfb\x90", b"\xff\xf1", b"\0\0\0\x18ftypM4A ",
    b"\x1aE\xdf\xa3", b"#!AMR\n", b"0&\xb2u", b"FLV\1", b"wvpk",
)  # fmt: skip
originals = st.one_of(
    st.sampled_from([*LIBSNDFILE, *FFMPEG]).map(recording),
    st.sampled_from(sorted(SPEECH.glob("*.flac"))).map(Path.read_bytes),
)
places = st.floats(0, 1, exclude_max=True)
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@settings(unhurried, max_examples=100)
@given(data=st.binary(max_size=4096))
def test_arbitrary_bytes(decode, data):
    check(decode, data)


@settings(unhurried, max_examples=100)
@given(start=st.sampled_from(BEGINNINGS), rest=st.binary(max_size=2048))
def test_arbitrary_bytes_after_a_known_beginning(decode, start, rest):
    check(decode, start + rest)


@settings(unhurried, max_examples=150)
@given(data=originals, flips=st.lists(st.tuples(places, st.integers(1, 255)), min_size=1, max_size=20))
def test_flipped_bits(decode, data, flips):
    damaged = bytearray(data)
    for place, flip in flips:
        damaged[int(place * len(data))] ^= flip
    check(decode, damaged)


@settings(unhurried, max_examples=150)
@given(data=originals, place=st.integers(0, 200), junk=st.binary(min_size=1, max_size=16))
def test_junk_in_the_header(decode, data, place, junk):
    check(decode, data[:place] + junk + data[place + len(junk) :])


@settings(unhurried, max_examples=60)
@given(data=originals, begin=places, end=places)
def test_parts(decode, data, begin, end):
    check(decode, data[int(begin * len(data)) : int(end * len(data))])


@settings(unhurried, max_examples=60)
@given(data=originals, cut=places, other=originals, at=places)
def test_one_file_goes_on_as_another(decode, data, cut, other, at):
    check(decode, data[: int(cut * len(data))] + other[int(at * len(other)) :])
