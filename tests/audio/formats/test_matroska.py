"""What the header of a Matroska file names, and that damage to it is harmless."""

import io
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sonant import audio
from sonant.audio.formats.matroska import read_matroska


@pytest.fixture(scope="module")
def webm(encode_av, speechlike):
    return encode_av(speechlike(1.0, 48000)[:, 0], 48000, "webm", "libopus")


def test_a_file_names_its_size_and_length(webm):
    end, seconds = read_matroska(io.BytesIO(webm))
    assert end == len(webm)
    assert seconds == pytest.approx(1.0, abs=0.02)


def test_a_stream_names_neither(encode_av, speechlike):
    data = encode_av(speechlike(1.0, 48000)[:, 0], 48000, "webm", "libopus", piped=True)
    assert read_matroska(io.BytesIO(data)) == (None, None)


@given(place=st.integers(0, 400), junk=st.binary(max_size=16), cut=st.integers(0, 500))
def test_damage_never_hangs_or_crashes(webm, place, junk, cut):
    data = webm[:place] + junk + webm[place + len(junk) :]
    for part in (data, data[:cut]):
        seconds = read_matroska(io.BytesIO(part)).seconds
        assert seconds is None or 0 < seconds < 1e9


def test_a_file_joined_to_it_counts(webm):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        samples = audio.read(webm + webm)
        assert len(samples) > 1.9 * len(audio.read(webm))
        assert audio.duration(webm + webm) == len(samples) / 16000
