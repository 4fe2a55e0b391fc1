"""Ogg: streams one behind another and side by side, and pages that were cut, lost, damaged or put in between."""

import contextlib
import io
import struct
import time
import warnings

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from sonant import audio
from sonant.audio.formats.ogg_pages import Pages, _checksum
from sonant.errors import AudioError, AudioWarning, TruncatedAudio, UndecodableAudio

RATE = 48000
HEADERS = {"vorbis": 2, "opus": 2, "flac": 2}  # pages before the sound


def pages(data):
    return [data[page.begin : page.end] for page in Pages(io.BytesIO(data), len(data))]


def changed(page, *, granule=None, serial=None, number=None, flags=None, body=None):
    """A page with other fields, and the checksum that they need."""
    page = bytearray(page)
    for value, layout, place in ((granule, "<q", 6), (serial, "<I", 14), (number, "<I", 18), (flags, "B", 5)):
        if value is not None:
            struct.pack_into(layout, page, place, value)
    if body is not None:
        page[27 + page[26] :] = body
    struct.pack_into("<I", page, 22, _checksum(bytes(page[:22]), bytes(page[26:])))
    return bytes(page)


def granule(page):
    return struct.unpack_from("<q", page, 6)[0]


def read(data):
    return audio.read(data, sampling_rate=RATE)


@pytest.fixture(scope="module")
def files(encode, encode_av, speechlike):
    mono = [speechlike(seconds, RATE, seed=seed) for seed, seconds in enumerate((2.3, 3.1, 2.9))]
    return {
        "vorbis": encode(mono[0], RATE, "ogg"),
        "opus": encode(mono[1], RATE, "opus"),
        "flac": encode_av(mono[2][:, 0], RATE, "ogg", "flac"),
    }


@pytest.fixture(scope="module")
def stereo(encode, speechlike):
    return encode(speechlike(2.0, RATE, 2), RATE, "ogg")


each = pytest.mark.parametrize("kind", sorted(HEADERS))


@settings(deadline=None, max_examples=20)
@given(kinds=st.lists(st.sampled_from(sorted(HEADERS)), min_size=1, max_size=4))
def test_streams_one_behind_another_are_read_whole(files, kinds):
    """Of the same serial number too, if a kind is drawn twice."""
    chain = b"".join(files[kind] for kind in kinds)
    expected = np.concatenate([read(files[kind]) for kind in kinds])
    np.testing.assert_array_equal(read(chain), expected)
    np.testing.assert_array_equal(np.concatenate(list(audio.blocks(chain, sampling_rate=RATE))), expected)
    assert audio.duration(chain) == pytest.approx(len(expected) / RATE)


def test_other_channels_are_averaged_and_other_rates_refused(files, stereo, encode, speechlike):
    with pytest.warns(AudioWarning, match="1 and 2 channels"):
        np.testing.assert_array_equal(read(files["opus"] + stereo), np.concatenate([read(files["opus"]), read(stereo)]))
    for measure in (audio.read, audio.duration):
        with pytest.raises(UndecodableAudio, match="48000 Hz and at 16000 Hz"):
            measure(files["vorbis"] + encode(speechlike(1.0), 16000, "ogg"))


@each
def test_whole_files_are_what_they_were(files, kind, tmp_path):
    (tmp_path / "whole.ogg").write_bytes(files[kind])
    for source in (files[kind], tmp_path / "whole.ogg", io.BytesIO(files[kind])):
        whole = read(source)
        if kind != "flac":
            np.testing.assert_array_equal(whole, soundfile.read(io.BytesIO(files[kind]), dtype="float32")[0])
        assert audio.duration(source) * RATE == pytest.approx(len(whole))


def side_by_side(first, second):
    first, second = pages(first), [changed(page, serial=7) for page in pages(second)]
    both = [*first[:1], *second[:1]]
    for pair in zip(first[1:], second[1:], strict=False):
        both += pair
    return b"".join([*both, *first[len(second) :], *second[len(first) :]])


def test_two_sounds_side_by_side_are_refused(files, stereo):
    for measure in (audio.read, audio.duration):
        with pytest.raises(UndecodableAudio, match="2 streams side by side.*Vorbis, Opus"):
            measure(side_by_side(files["vorbis"], files["opus"]))
        with pytest.raises(UndecodableAudio, match=r"after 3\.10 s"):
            measure(files["opus"] + side_by_side(files["vorbis"], stereo))


@each
def test_sound_beside_pictures_is_read_alone(files, stereo, kind):
    first, *rest = pages(stereo)
    film = b"".join([changed(first, body=b"\x80theora" + bytes(len(first) - 27 - first[26] - 7)), *rest])
    np.testing.assert_array_equal(read(side_by_side(files[kind], film)), read(files[kind]))
    np.testing.assert_array_equal(read(side_by_side(film, files[kind])), read(files[kind]))


@settings(deadline=None, max_examples=60)
@given(kind=st.sampled_from(sorted(HEADERS)), cut=st.floats(0, 1, exclude_max=True), twice=st.booleans())
def test_a_cut_file_is_truncated_or_ends_with_a_page(files, kind, cut, twice):
    whole = files[kind] * (1 + twice)
    part = whole[: int(cut * len(whole))]
    ends = {page.end for page in Pages(io.BytesIO(whole), len(whole))}
    for measure in (audio.read, audio.duration):
        try:
            with warnings.catch_warnings(record=True):
                warnings.simplefilter("always", AudioWarning)
                measure(part)
        except AudioError as error:
            assert isinstance(error, TruncatedAudio) or len(part) in {0, 1, 2, 3, 4, *ends}  # noqa: PT017
        else:
            assert len(part) in ends


@each
def test_a_stream_that_was_stopped_is_read_with_a_warning(files, kind):
    whole = pages(files[kind])
    with pytest.warns(AudioWarning, match="no mark of its end"):
        part = read(b"".join(whole[:-1]))
    assert len(read(files[kind])) > len(part) > RATE
    np.testing.assert_allclose(part[:-2000], read(files[kind])[: len(part) - 2000], atol=1e-6)


@each
def test_a_lost_or_damaged_page_is_truncated(files, kind):
    whole = pages(files[kind])
    middle = len(whole) - 2
    seconds = granule(whole[middle - 1]) / RATE
    flipped = bytearray(whole[middle])
    flipped[len(flipped) // 2] ^= 1
    for instead in (b"", bytes(flipped), whole[middle][:-100], whole[middle][100:], bytes(len(flipped))):
        data = b"".join([*whole[:middle], instead, *whole[middle + 1 :]])
        for measure in (audio.read, audio.duration):
            with pytest.raises(TruncatedAudio, match=rf"after {seconds:.1f}\d s|after {seconds - 0.01:.2f} s"):
                measure(data)


@each
def test_a_whole_stream_lost_from_a_chain_is_truncated(files, kind):
    damaged = bytes(255 if index % 300 == 200 else byte for index, byte in enumerate(files[kind]))
    with pytest.raises(TruncatedAudio):
        audio.read(files["opus"] + damaged + files["vorbis"])


@each
def test_junk_between_pages_is_passed_over_with_a_warning(files, kind):
    whole = pages(files[kind])
    for place in (1, 2, len(whole) - 1, len(whole)):
        data = b"".join([*whole[:place], b"\x55" * 1000, *whole[place:]])
        with pytest.warns(AudioWarning, match="1000 bytes.*belong to no page"):
            np.testing.assert_array_equal(read(data), read(files[kind]))
    np.testing.assert_array_equal(read(files[kind] + b"TAG" + bytes(125)), read(files[kind]))


@each
def test_a_stream_joined_late_is_read_with_a_warning(files, kind):
    """As from a radio station: the headers, then pages from the middle, which count from the station's beginning."""
    whole, skipped = pages(files[kind]), HEADERS[kind] + 1
    late = [changed(page, granule=granule(page) + 10_000_000) for page in whole[skipped:]]
    with pytest.warns(AudioWarning, match="beginning is missing"):
        part = read(b"".join([*whole[: HEADERS[kind]], *late]))
    assert len(part) == pytest.approx(len(read(files[kind])) - granule(whole[skipped - 1]), abs=2000)


def test_a_flac_that_ends_before_its_header_says(files):
    whole = pages(files["flac"])
    body = bytearray(whole[0][27 + whole[0][26] :])
    samples = len(read(files["flac"]))
    for total, is_cut in ((samples, False), (samples + RATE, True)):
        body[30] &= 0xF0
        body[31:35] = struct.pack(">I", total)
        data = changed(whole[0], body=bytes(body)) + b"".join(whole[1:])
        if is_cut:
            for measure in (audio.read, audio.duration):
                with pytest.raises(TruncatedAudio, match=r"ends after 2\.90 s.*promises 3\.90 s"):
                    measure(data)
        else:
            assert len(read(data)) == samples


def test_a_position_that_the_sound_never_reaches(files):
    *rest, last = pages(files["vorbis"])
    with pytest.raises(TruncatedAudio):
        audio.read(b"".join([*rest, changed(last, granule=granule(last) + 2 * RATE)]))


@pytest.mark.parametrize("evil", ["tiny", "fake", "marks"])
def test_hostile_files_take_time_in_proportion(files, evil):
    whole = pages(files["vorbis"])
    match evil:
        case "tiny":
            empty = whole[2][:26] + b"\0"
            middle = b"".join(changed(empty, granule=-1, number=2 + number) for number in range(50_000))
        case "fake":
            middle = (whole[2][:26] + b"\xff") * 100_000
        case _:
            middle = b"OggS" * 1_000_000
    begin = time.process_time()
    with warnings.catch_warnings(), contextlib.suppress(AudioError):
        warnings.simplefilter("ignore", AudioWarning)
        audio.duration(b"".join(whole[:2]) + middle + b"".join(whole[2:]))
    assert time.process_time() - begin < 3


@pytest.mark.slow
def test_noise_in_a_file_is_an_audio_error_or_a_warning(files):
    rng = np.random.default_rng(0)
    for number in range(3000):
        whole = pages(files[sorted(files)[number % len(files)]]) + pages(files["opus"]) * (number % 2)
        at = int(rng.integers(0, len(whole)))
        match rng.integers(0, 6):
            case 0:
                body = bytearray(whole[at][27 + whole[at][26] :])
                body[rng.integers(0, len(body))] ^= 1 << rng.integers(0, 8)
                whole[at] = changed(whole[at], body=bytes(body))
            case 1:
                whole[at] = changed(whole[at], granule=int(rng.integers(-10, 1 << rng.integers(1, 62))))
            case 2:
                whole[at] = changed(whole[at], flags=int(rng.integers(0, 8)))
            case 3:
                whole[at] = changed(whole[at], serial=int(rng.integers(0, 4)), number=int(rng.integers(0, 9)))
            case 4:
                whole.insert(at, whole[int(rng.integers(0, len(whole)))])
            case _:
                del whole[at]
        data = bytearray(b"".join(whole))
        if number % 5 == 0:
            data[rng.integers(0, len(data))] ^= 1 << rng.integers(0, 8)
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            try:
                length, seconds = len(read(bytes(data))), audio.duration(bytes(data))
            except AudioError:
                continue
            assert abs(seconds * RATE - length) <= RATE // 5  # a forged position may be off by that in silence
            assert {warning.category for warning in warned} <= {AudioWarning}
