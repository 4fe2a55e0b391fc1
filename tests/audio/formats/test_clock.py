"""The length of a recording is that of its sound, whatever its container's clock says."""

import io
import struct

import numpy as np
import pytest

from sonant import audio
from sonant.errors import AudioError, AudioWarning, TruncatedAudio

FRAGMENTS = {"movflags": "frag_every_frame+empty_moov+delay_moov"}
CONTAINERS = [  # codec, options, written to a pipe
    ("mpegts", "aac", None, False),
    ("mpeg", "mp2", None, False),
    ("webm", "libopus", None, False),
    ("webm", "libopus", None, True),
    ("matroska", "flac", None, False),
    ("matroska", "pcm_s16le", None, True),
    ("mp4", "aac", None, False),
    ("mp4", "aac", FRAGMENTS, True),
    ("flv", "aac", None, False),
    ("nut", "aac", None, False),
]


@pytest.fixture(scope="module")
def samples(speechlike):
    return speechlike(3.0, 44100)[:, 0]


def write(encode_av, samples, container, codec, options, **keywords):
    rate = 44100 if container == "flv" else 48000
    return encode_av(samples, rate, container, codec, options=options, **keywords)


@pytest.mark.parametrize("start", [0.3, 36000, (1 << 33) / 90000 - 1])  # the last: MPEG's clock starts anew
@pytest.mark.parametrize(("container", "codec", "options", "piped"), CONTAINERS)
def test_a_clock_that_does_not_start_at_0_changes_nothing(encode_av, samples, container, codec, options, piped, start):
    data = write(encode_av, samples, container, codec, options, start=start, piped=piped)
    seconds = len(audio.read(data)) / 16000
    assert seconds == pytest.approx(len(samples) / (44100 if container == "flv" else 48000), abs=0.06)
    assert audio.duration(data) == pytest.approx(seconds, abs=0.03)


@pytest.mark.parametrize(("container", "codec", "options", "piped"), CONTAINERS)
def test_a_hole_is_left_out_and_warned_of(encode_av, samples, container, codec, options, piped):
    data = write(encode_av, samples, container, codec, options, hole=100, piped=piped)
    with pytest.warns(AudioWarning, match="paused"):
        read = audio.read(data)
    np.testing.assert_array_equal(read, audio.read(write(encode_av, samples, container, codec, options)))
    if container not in ("mp4", "webm", "matroska") or (piped and container != "mp4"):  # their headers count the hole
        with pytest.warns(AudioWarning, match="paused"):
            assert audio.duration(data) == pytest.approx(len(read) / 16000, abs=0.01)


@pytest.mark.parametrize("start", [0, 3600])
def test_a_late_clock_does_not_hide_that_a_file_is_cut(encode_av, samples, start):
    for container, codec, options in (("matroska", "flac", None), ("mp4", "aac", None), ("mp4", "aac", FRAGMENTS)):
        data = write(encode_av, samples, container, codec, options, start=start)
        for part in (0.95, 0.6):
            with pytest.raises(TruncatedAudio, match="cut off"):
                audio.read(data[: int(part * len(data))])


def with_edits(data, edits):
    """An mp4 whose index is its last box, with another edit list: (milliseconds, first sample; -1: nothing)."""
    place = data.index(b"elst")
    size = int.from_bytes(data[place - 4 : place], "big")
    content = struct.pack(">4sII", b"elst", 0, len(edits))
    content += b"".join(struct.pack(">Iihh", *edit, 1, 0) for edit in edits)
    new = bytearray(data[: place - 4] + (len(content) + 4).to_bytes(4, "big") + content + data[place - 4 + size :])
    for box in (b"moov", b"trak", b"edts"):
        at = new.index(box) - 4
        new[at : at + 4] = (int.from_bytes(new[at : at + 4], "big") + len(content) + 4 - size).to_bytes(4, "big")
    return bytes(new)


@pytest.mark.parametrize(
    ("edits", "milliseconds"),
    [
        ([(1000, 24000)], 1000),
        ([(1000, -1), (2000, 0)], 2000),
        ([(500, 0), (500, 72000)], 1000),
        ([(1000, 0), (1000, 0)], 2000),
    ],
)
def test_edit_lists_are_followed(encode_av, samples, edits, milliseconds):
    data = with_edits(encode_av(samples, 48000, "mov", "pcm_s16le"), edits)
    assert len(audio.read(data)) == pytest.approx(16 * milliseconds, abs=0.05 * 16000)


def test_a_header_without_a_length_is_not_guessed_at(encode_av, samples):
    # FFmpeg guesses the length of a Matroska file from its bit rate: by 10 % wrong for this one.
    data = encode_av(samples, 48000, "matroska", "alac", piped=True)
    assert audio.duration(data) == pytest.approx(len(samples) / 48000, abs=0.03)


@pytest.mark.parametrize("codec", ["aac", "g726"])
def test_packets_without_times_are_counted(encode_av, samples, codec):
    data = encode_av(samples[:24000], 8000, "wav", codec)
    assert audio.duration(io.BytesIO(data)) == pytest.approx(len(audio.read(data)) / 16000, abs=1e-4)


@pytest.mark.filterwarnings("ignore::sonant.errors.AudioWarning")
def test_damage_looks_alike_in_a_file_and_in_bytes(encode_av, samples, tmp_path):
    data = encode_av(samples, 48000, "nut", "aac")
    for damaged in (*(data[: len(data) * part // 10] for part in range(1, 10)), data + bytes(range(256)) * 4):
        path = tmp_path / "damaged.mp3"
        path.write_bytes(damaged)
        for read in (audio.read, audio.duration):
            outcomes = []
            for source in (path, damaged):
                try:
                    outcomes.append(np.sum(read(source)))
                except AudioError as error:
                    outcomes.append(type(error))
            assert outcomes[0] == outcomes[1]
