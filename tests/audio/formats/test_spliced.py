"""A spliced file reads like the bytes that its pieces amount to."""

import io
import os

from hypothesis import given
from hypothesis import strategies as st

from sonant.audio.formats.spliced import splice

DATA = bytes(range(256))
ranges = st.tuples(st.integers(0, 256), st.integers(0, 256)).map(lambda ends: (min(ends), max(ends)))


@given(
    pieces=st.lists(st.one_of(ranges, st.binary(max_size=20)), max_size=6),
    moves=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 100)), max_size=6),
)
def test_pieces_read_like_their_bytes(pieces, moves):
    expected = io.BytesIO(b"".join(p if isinstance(p, bytes) else DATA[slice(*p)] for p in pieces))
    spliced = splice(io.BytesIO(DATA), pieces)
    assert spliced.seek(0, os.SEEK_END) == expected.seek(0, os.SEEK_END)
    for place, count in moves:
        assert spliced.seek(place) == expected.seek(place)
        assert spliced.read(count) == expected.read(count)
        assert spliced.tell() == expected.tell()


def test_seeks_to_before_the_beginning_stay_in_place():
    spliced = splice(io.BytesIO(DATA), [(0, 100)])
    spliced.seek(5)
    spliced.seek(-7)
    assert spliced.read(1) == b"\5"
