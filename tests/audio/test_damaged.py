"""Cut and damaged files: a named error or the honest sound there is; never a crash, and never zeros made up."""

import contextlib
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sonant import audio
from sonant.errors import AudioError, AudioWarning, EmptyAudio, TooShortAudio, TruncatedAudio, UndecodableAudio

PROMISING = [
    "wav",
    "wav-float",
    "wav-24",
    "wavex",
    "rf64",
    "w64",
    "aiff",
    "au",
    "caf",
    "nist",
    "flac",
]  # length in the header
STREAMS = ["ogg", "opus", "mp3"]


@pytest.fixture(scope="module")
def corpus(encode, speechlike):
    samples = speechlike(1.5)
    return {kind: encode(samples, 16000, kind) for kind in PROMISING + STREAMS}


@settings(deadline=None, max_examples=40)
@given(kind=st.sampled_from(PROMISING), cut=st.floats(0.05, 0.998))  # a few bytes may be missing
def test_a_cut_file_that_promised_more_is_truncated(corpus, kind, cut):
    data = corpus[kind]
    with pytest.raises(TruncatedAudio, match="cut off"):
        audio.read(data[: int(cut * len(data))])


@settings(deadline=None, max_examples=40)
@given(kind=st.sampled_from(PROMISING), last=st.integers(0, 200))
def test_a_file_cut_in_its_header_is_an_audio_error(corpus, kind, last):
    with pytest.raises(AudioError):
        audio.read(corpus[kind][:last])


@settings(deadline=None, max_examples=40)
@given(kind=st.sampled_from(STREAMS), cut=st.floats(0, 1, exclude_max=True))
def test_a_cut_stream_gives_its_beginning_or_an_audio_error(corpus, kind, cut):
    data = corpus[kind]
    with contextlib.suppress(AudioError), warnings.catch_warnings():
        warnings.simplefilter("ignore", AudioWarning)
        whole, part = audio.read(data), audio.read(data[: int(cut * len(data))])
        assert len(part) <= len(whole)
        settled = len(part) - 2000  # the last packet's overlap is missing its other half
        if settled > 0:
            np.testing.assert_allclose(part[:settled], whole[:settled], atol=1e-3)


@pytest.mark.filterwarnings("ignore::sonant.errors.AudioWarning")
@settings(deadline=None, max_examples=40)
@given(
    kind=st.sampled_from(PROMISING + STREAMS),
    place=st.floats(0, 1, exclude_max=True),
    junk=st.binary(min_size=1, max_size=64),
)
def test_junk_in_a_file_never_crashes_and_never_gives_silence(corpus, kind, place, junk):
    data = bytearray(corpus[kind])
    begin = int(place * len(data))
    data[begin : begin + len(junk)] = junk
    with contextlib.suppress(AudioError), warnings.catch_warnings():
        warnings.simplefilter("ignore", AudioWarning)
        read = audio.read(bytes(data))
        assert np.isfinite(read).all()
        assert read.any()


@pytest.mark.filterwarnings("ignore::sonant.errors.AudioWarning")
@settings(deadline=None, max_examples=60)
@given(
    kind=st.sampled_from(PROMISING + STREAMS),
    place=st.floats(0, 1, exclude_max=True),
    junk=st.binary(max_size=64),
    cut=st.one_of(st.just(1.0), st.floats(0, 1)),
)
def test_a_file_and_its_bytes_are_read_alike(corpus, tmp_path_factory, kind, place, junk, cut):
    # libsndfile reads the file by itself, and bytes through Python.
    data = bytearray(corpus[kind])
    begin = int(place * len(data))
    data[begin : begin + len(junk)] = junk
    data = bytes(data[: round(cut * len(data))])
    path = tmp_path_factory.getbasetemp() / "either"
    path.write_bytes(data)
    outcomes = []
    for source in (path, data):
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            try:
                outcomes.append((audio.duration(source), audio.read(source).tobytes(), len(warned)))
            except AudioError as error:
                outcomes.append((type(error), len(warned)))
    assert outcomes[0] == outcomes[1]


@pytest.mark.parametrize(
    ("container", "codec", "piped"),
    [("mp4", "aac", False), ("webm", "libopus", False), ("webm", "libopus", True), ("adts", "aac", False)],
)
@pytest.mark.parametrize("cut", [0.9, 0.5, 0.1, 0.02])
def test_cut_files_of_other_formats(encode_av, speechlike, container, codec, piped, cut):
    data = encode_av(speechlike(3.0, 48000)[:, 0], 48000, container, codec, piped=piped)
    part = data[: int(cut * len(data))]
    if piped:  # a browser's recording: no length in the header, so what is there counts
        if cut > 0.05:
            assert len(audio.read(part)) == pytest.approx(cut * 48000, abs=3000)
        else:
            with pytest.raises((EmptyAudio, TooShortAudio)):
                audio.read(part)
    else:
        with pytest.raises(TruncatedAudio, match="cut off"):
            audio.read(part)


def test_a_flac_that_promises_more_than_it_has_frames(corpus):
    data = bytearray(corpus["flac"])
    data[24] += 1  # 256 samples more, in a header that is followed by whole frames only
    with pytest.raises(TruncatedAudio):
        audio.read(data)


def test_a_codec_that_nobody_knows(corpus):
    data = bytearray(corpus["wav"])
    data[20:22] = b"\x34\x12"  # the format tag
    with pytest.raises(UndecodableAudio, match="codec"):
        audio.read(data)


def test_a_stream_is_truncated_even_where_no_block_is_short(encode_av, speechlike):
    data = encode_av(speechlike(3.0)[:, 0], 16000, "flac", "flac", piped=True)  # unknown length, but whole frames
    assert len(audio.read(data)) == 48000
    with pytest.raises(TruncatedAudio):
        audio.read(data[: len(data) // 2])
