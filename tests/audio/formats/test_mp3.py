"""MP3: recordings one behind another, tags that are wrong, and what was cut, lost or put in between."""

import contextlib
import io
import struct
import time
import tracemalloc
import warnings

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from sonant import audio
from sonant.audio.formats.mp3 import find_mp3
from sonant.errors import AudioError, AudioWarning, TruncatedAudio, UndecodableAudio

RATE = 44100
FRAME = 1152 / RATE  # seconds
ID3V2 = b"ID3\x03\x00\x00\x00\x00\x02\x00" + bytes(256)
ID3V1 = b"TAG" + bytes(125)
COUNT = 29  # where libsndfile's tag has the count of frames, in a mono file


def mp3(samples, rate=RATE, *, tag=True, constant=True):
    """Written by LAME through FFmpeg."""
    av = pytest.importorskip("av")
    file = io.BytesIO()
    quality = {} if constant else {"global_quality": str(2 * 118), "flags": "+qscale"}
    with av.open(file, "w", format="mp3", options={"write_xing": str(int(tag)), "id3v2_version": "0"}) as output:
        stream = output.add_stream("libmp3lame", rate=rate, layout="mono", options=quality)
        for begin in range(0, len(samples), 1024):
            frame = av.AudioFrame.from_ndarray(
                np.ascontiguousarray(samples[None, begin : begin + 1024]), format="fltp", layout="mono"
            )
            frame.sample_rate, frame.pts = rate, begin
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return file.getvalue()


def read(data, rate=RATE):
    return audio.read(data, sampling_rate=rate)


@pytest.fixture(scope="module")
def parts(encode, speechlike):
    mono = [speechlike(seconds, RATE, seed=seed)[:, 0] for seed, seconds in enumerate((0.7, 0.9, 1.1))]
    return {
        "libsndfile": encode(mono[0], RATE, "mp3"),
        "stereo": encode(speechlike(0.8, RATE, 2), RATE, "mp3"),
        "lame": mp3(mono[1]),
        "variable": mp3(mono[2], constant=False),
        "id3": ID3V2 + mp3(mono[0]) + ID3V1,
        "untagged": ID3V2 + mp3(mono[2], tag=False),
    }


@pytest.fixture(scope="module")
def tagged(encode, speechlike):
    return encode(speechlike(2.0, RATE)[:, 0], RATE, "mp3")


@pytest.fixture(scope="module")
def untagged(speechlike):
    return mp3(speechlike(2.0, RATE)[:, 0], tag=False)


@settings(deadline=None, max_examples=30)
@given(data=st.data())
def test_recordings_one_behind_another_are_read_whole(parts, data):
    kinds = data.draw(st.lists(st.sampled_from(sorted(parts)), min_size=1, max_size=4))
    chain = b"".join(parts[kind] for kind in kinds)
    expected = np.concatenate([read(parts[kind]) for kind in kinds])
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        np.testing.assert_allclose(read(chain), expected, atol=1e-6)
        assert len(warned) == (0 < kinds.count("stereo") < len(kinds)), "one for channels that differ"
        np.testing.assert_array_equal(np.concatenate(list(audio.blocks(chain, sampling_rate=RATE))), read(chain))
    assert audio.duration(chain) == pytest.approx(len(expected) / RATE)


def test_where_channels_differ_each_is_the_mean(parts):
    for first, second, channels in (("stereo", "lame", 2), ("lame", "stereo", 1)):
        assert audio.num_channels(parts[first] + parts[second]) == channels
        with pytest.warns(AudioWarning, match=f"all were given {channels}"):
            last = audio.read(parts[first] + parts[second], sampling_rate=RATE, channel=channels - 1)
        np.testing.assert_allclose(last[-len(read(parts[second])) :], read(parts[second]), atol=1e-6)


def test_a_recording_ends_where_its_tag_says_even_if_untagged_frames_follow(tagged, untagged):
    np.testing.assert_allclose(read(tagged + untagged), np.concatenate([read(tagged), read(untagged)]), atol=1e-6)


def test_recordings_of_two_rates_are_refused(tagged, encode, speechlike):
    for chain in (
        tagged + encode(speechlike(1.0), 16000, "mp3"),
        tagged + mp3(speechlike(1.0)[:, 0], 16000, tag=False),
    ):
        for measure in (audio.read, audio.duration):
            with pytest.raises(UndecodableAudio, match="44100 Hz.* 16000 Hz"):
                measure(chain)


def test_a_tag_that_counts_the_recordings_behind_it_too(tagged):
    frames = struct.unpack_from(">I", tagged, COUNT)[0]
    chain = bytearray(tagged + tagged)
    struct.pack_into(">II", chain, COUNT, 2 * frames + 1, len(chain))
    assert len(read(chain)) == 1152 * frames + len(read(tagged))


@pytest.mark.parametrize("kind", ["libsndfile", "stereo", "lame", "variable", "id3", "untagged"])
def test_whole_files_are_what_libsndfile_makes_of_them(parts, kind, tmp_path):
    expected = soundfile.read(io.BytesIO(parts[kind]), dtype="float32", always_2d=True)[0].mean(axis=1)
    (tmp_path / "whole.mp3").write_bytes(parts[kind])
    for source in (parts[kind], tmp_path / "whole.mp3", io.BytesIO(parts[kind])):
        np.testing.assert_array_equal(read(source), expected)


@pytest.mark.parametrize("more", [-1_000_000, -50, -2, -1, 1, 2, 50, 1_000_000])
@pytest.mark.parametrize("times", [1, 2])
def test_a_tag_with_a_wrong_count_of_frames(tagged, more, times):
    wrong = bytearray(tagged)
    frames = struct.unpack_from(">I", wrong, COUNT)[0]
    struct.pack_into(">I", wrong, COUNT, max(1, frames + more))
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        np.testing.assert_array_equal(read(wrong * times), np.tile(read(tagged), times))
        assert [warning.category for warning in warned] == [AudioWarning] * (abs(more) > 1)
        assert audio.duration(wrong * times) == pytest.approx(times * 2.0)


@pytest.mark.parametrize("size", [0, 5, 1 << 30])
def test_a_tag_with_a_wrong_count_of_bytes(tagged, size):
    wrong = bytearray(tagged)
    struct.pack_into(">I", wrong, COUNT + 4, size)
    np.testing.assert_array_equal(read(wrong), read(tagged))
    assert audio.duration(wrong) == 2.0


def uncounted(data):
    """The tag without a count of frames, the fields behind it moved up."""
    frame = bytearray(data[:417])
    frame[COUNT - 1] &= ~1
    return bytes(frame[:COUNT] + frame[COUNT + 4 :] + bytes(4)) + data[417:]


def test_a_tag_that_does_not_count(tagged):
    frames = struct.unpack_from(">I", tagged, COUNT)[0]
    for zero in (uncounted(tagged), tagged[:COUNT] + bytes(4) + tagged[COUNT + 4 :]):
        assert len(read(zero)) == frames * 1152
        assert audio.duration(zero) == frames * FRAME
    with pytest.raises(TruncatedAudio):
        audio.read(uncounted(tagged)[:-5000])


def test_an_untagged_file_that_begins_at_a_high_bit_rate():
    """libsndfile expects it to be short, and stops there."""
    loud = np.random.default_rng(0).uniform(-0.5, 0.5, RATE)
    data = mp3(np.concatenate([loud, np.zeros(4 * RATE)]).astype(np.float32), tag=False, constant=False)
    assert soundfile.info(io.BytesIO(data)).frames < 3 * RATE
    assert len(read(data)) == pytest.approx(5 * RATE, abs=4000)
    assert audio.duration(data) * RATE == pytest.approx(len(read(data)))


@settings(deadline=None, max_examples=100)
@given(cut=st.floats(0, 1, exclude_max=True), data=st.data())
def test_a_cut_recording_is_truncated(parts, cut, data):
    kind = data.draw(st.sampled_from(sorted(parts)))
    whole = parts[kind]
    part = whole[: int(cut * len(whole))]
    tags_only = kind == "id3" and len(part) >= len(whole) - 128
    for measure in (read, audio.duration):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore" if tags_only else "error", AudioWarning)
                measured = measure(part)
        except AudioError as error:
            assert isinstance(error, TruncatedAudio) or cut * len(whole) < 800  # noqa: PT017
        else:
            assert tags_only or kind == "untagged"
            if kind != "untagged":
                np.testing.assert_array_equal(measured, measure(whole))


def test_a_cut_without_a_tag_is_known_only_within_a_frame(untagged):
    """Every byte from one frame's beginning to the next: just the first leaves whole frames."""
    begin = len(untagged) // 2
    known = []
    for cut in range(begin, begin + 209):
        try:
            part = read(untagged[:cut])
        except TruncatedAudio:
            known.append(True)
        else:
            known.append(False)
            np.testing.assert_array_equal(part, read(untagged)[: len(part)])
    assert known.count(False) == 1


@pytest.mark.parametrize("size", [1, 10, 500, 1500, 15_000])
@pytest.mark.parametrize("counted", [True, False])
def test_junk_in_the_middle_is_passed_over_with_a_warning(tagged, untagged, size, counted):
    data = tagged if counted else untagged
    junk = bytes(np.random.default_rng(0).integers(0, 250, size, np.uint8))  # no byte begins a frame
    middle = data.index(data[:2], len(data) // 2) if counted else len(data) // 2
    whole = read(data)
    with pytest.warns(AudioWarning, match=r"\d+ bytes after .* are no frames"):
        part = read(data[:middle] + junk + data[middle:])
    assert len(whole) - len(part) in (0, 1152), "at most the frame that the junk was put in"
    assert np.abs(part[-RATE // 2 :] - whole[-RATE // 2 :]).max() < 1e-6


def test_between_recordings_and_behind_them_junk_is_passed_over_too(tagged):
    for chain in (tagged + bytes(3000) + tagged, tagged + b"\x55" * 15_000 + tagged + b"junk"):
        with pytest.warns(AudioWarning, match="passed over"):
            np.testing.assert_array_equal(read(chain), np.tile(read(tagged), 2))


@pytest.mark.parametrize("lost", [3000, 8000])
def test_lost_bytes_are_known_where_the_tag_counts(tagged, lost):
    middle = len(tagged) // 2
    for measure in (audio.read, audio.duration):
        with pytest.raises(TruncatedAudio, match=r"missing after 0\.\d\d s.* promises 2\.0"):
            measure(tagged[:middle] + tagged[middle + lost :])


def test_overwritten_frames_are_known_at_a_constant_bit_rate(untagged):
    middle = len(untagged) // 2
    with pytest.raises(TruncatedAudio, match=r"missing after 1\.\d\d s"):
        audio.read(untagged[:middle] + bytes(4000) + untagged[middle + 4000 :])
    with pytest.warns(AudioWarning):
        audio.read(untagged[:middle] + bytes(200) + untagged[middle + 200 :])


def test_the_duration_of_a_good_file_does_not_read_it():
    data = mp3(np.zeros(60 * RATE, np.float32))
    seen = []

    class Watched(io.BytesIO):
        def readinto(self, buffer):
            seen.append(len(buffer))
            return super().readinto(buffer)

        def read(self, size=-1):
            data = super().read(size)
            seen.append(len(data))
            return data

    assert audio.duration(Watched(data)) == pytest.approx(60.0)
    assert sum(seen) < len(data) / 10


@pytest.mark.parametrize(
    "evil",
    [b"\xff" * 4, b"\xff\xfb\x90\x64", b"ID3\x03" + bytes(6), b"Xing", b"\xff\xfb\x90\xc4" + bytes(17) + b"Info"],
    ids=["ones", "headers", "tags", "names", "frames"],
)
def test_hostile_files_take_no_longer_than_decoding(untagged, evil):
    data = untagged + evil * (8_000_000 // len(evil)) + untagged
    begin = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AudioWarning)
        with contextlib.suppress(AudioError):
            audio.duration(data)
    assert time.process_time() - begin < 10


def test_a_file_of_single_frames_is_not_read_to_the_first_in_silence(untagged):
    frame = untagged[: untagged.index(untagged[:2], 1)]
    with pytest.raises(TruncatedAudio, match="belong to no frame"):
        audio.read(frame * 3 + (b"junk" + frame) * 100)


def test_many_damaged_places_are_refused_quickly(untagged):
    frame = untagged[: untagged.index(untagged[:2], 1)]
    data = (frame * 3 + b"\xff") * 11_000
    begin = time.process_time()
    with pytest.raises(UndecodableAudio, match="more than 10000"):
        audio.duration(data)
    assert time.process_time() - begin < 10


@pytest.mark.slow
def test_noise_in_a_file_is_an_audio_error_or_a_warning(parts):
    rng = np.random.default_rng(0)
    for number in range(3000):
        data = bytearray(parts[sorted(parts)[number % len(parts)]])
        if number % 3 == 0:
            data += parts["lame"]
        for _ in range(rng.integers(1, 6)):
            at, size = rng.integers(0, len(data)), rng.integers(1, 400)
            match rng.integers(0, 4):
                case 0:
                    data[at : at + size] = rng.bytes(size)
                case 1:
                    del data[at : at + size]
                case 2:
                    data[at:at] = rng.bytes(size)
                case _:
                    data[rng.integers(0, 500)] ^= 1 << rng.integers(0, 8)
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            try:
                length, seconds = len(read(bytes(data))), audio.duration(bytes(data))
            except AudioError:
                continue
            assert abs(seconds * RATE - length) <= 1152
            assert {warning.category for warning in warned} <= {AudioWarning}


@pytest.mark.parametrize("junk", [bytes(5), bytes(2000), b"\xff\xfb" * 50, b"anything", ID3V2[:10] + bytes(300)])
def test_junk_in_front_is_passed_over_with_a_warning(tagged, junk):
    expected = read(tagged)
    for times in (1, 3):
        with pytest.warns(AudioWarning, match="after 0.00 s are no frames"):
            np.testing.assert_array_equal(read(junk + tagged * times), np.tile(expected, times))
    with pytest.raises(TruncatedAudio, match="first frame promises"):
        read(junk + tagged[: len(tagged) // 2])


def test_a_broadcast_begins_within_a_frame(untagged):
    with pytest.warns(AudioWarning, match="bytes after 0.00 s are no frames"):
        assert len(read(untagged[100:])) == len(read(untagged)) - 1152


@pytest.mark.parametrize("container", ["mpegts", "matroska", "avi", "flv", "mov", "mpeg"])
def test_frames_in_a_film_are_left_to_its_reader(encode_av, speechlike, container):
    data = encode_av(speechlike(1.0, RATE)[:, 0], RATE, container, "mp2" if container == "mpeg" else "mp3")
    assert find_mp3(io.BytesIO(data), "a film", len(data)) is None
    assert audio.duration(data) == pytest.approx(1.0, abs=0.1)


def test_a_chain_of_short_recordings_takes_the_memory_of_its_samples(encode, speechlike):
    chain = encode(speechlike(0.05, RATE), RATE, "mp3") * 200
    tracemalloc.start()
    samples = read(chain)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(samples) == 200 * round(0.05 * RATE)
    assert peak < 4 * samples.nbytes + len(chain) + (4 << 20)
