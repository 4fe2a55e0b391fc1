"""What the headers of uncompressed files promise, what they conceal, and the markers that streams leave."""

import contextlib
import io
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sonant import audio
from sonant.audio.formats.extent import FORGIVEN
from sonant.audio.formats.headers import check_header
from sonant.errors import AudioError, AudioWarning, EmptyAudio, TruncatedAudio, UndecodableAudio

KINDS = ["wav", "wav-float", "wav-24", "wavex", "rf64", "w64", "aiff", "au", "caf", "nist"]
LENGTHS = {  # where the length of the sound stands: name of the chunk, bytes behind it, format, what is counted besides
    "wav": (b"data", 4, "<I", 0),
    "wav-24": (b"data", 4, "<I", 0),
    "rf64": (b"ds64", 16, "<Q", 0),
    "w64": (b"data\xf3", 16, "<q", 24),
    "aiff": (b"SSND", 4, ">I", 8),
    "au": (b".snd", 8, ">I", 0),
    "caf": (b"data", 4, ">q", 4),
}


def chunk(kind, name, content):
    """A chunk with this content, as files of this kind hold it."""
    if kind == "caf":
        return name + struct.pack(">q", len(content)) + content
    if kind == "w64":
        rest = bytes.fromhex("f3acd3118cd100c04f8edb8a")
        return name.lower() + rest + struct.pack("<q", len(content) + 24) + content + bytes(-len(content) % 8)
    order = ">" if kind == "aiff" else "<"
    return name + struct.pack(order + "I", len(content)) + content + bytes(len(content) % 2)


def with_length(kind, data, length):
    """The file with another length of the sound in its header, in bytes."""
    if kind == "nist":
        return data.replace(b"sample_count -i 3200\n", b"sample_count -i %4d\n" % (length // 2))
    name, offset, form, more = LENGTHS[kind]
    data = bytearray(data)
    struct.pack_into(form, data, data.index(name) + offset, length + more)
    return bytes(data)


@pytest.fixture(scope="module")
def files(encode, speechlike):
    return {kind: encode(speechlike(0.2), 16000, kind) for kind in KINDS}


@settings(deadline=None)
@given(kind=st.sampled_from(KINDS), samples=st.integers(400, 700), channels=st.integers(1, 3))
def test_a_whole_file_promises_what_it_holds(encode, speechlike, kind, samples, channels):
    data = encode(speechlike(samples / 16000, channels=channels), 16000, kind)
    check = check_header(io.BytesIO(data), len(data), "a file")
    assert check.note is None
    assert check.end in (len(data), len(data) - 1), "at most a byte of padding is left"


@pytest.mark.parametrize("kind", ["wav", "wav-24", "wavex", "rf64", "w64", "aiff", "caf"])
@pytest.mark.parametrize("size", [0, 1, 5, 4000, 70_001, 1_000_000])
def test_chunks_before_the_sound_do_not_count(files, tmp_path, kind, size):
    # libsndfile 1.2 reads the chunk, or zeros, as the samples of a CAF, and finds no samples in an AIFF.
    data = files[kind]
    place = data.index(b"SSND" if kind == "aiff" else b"data")
    for name in (b"free", b"JUNK", b"LIST", b"NAME", b"abcd"):
        noted = data[:place] + chunk(kind, name, bytes(range(256)) * (size // 256) + bytes(size % 256)) + data[place:]
        path = tmp_path / "noted"
        path.write_bytes(noted)
        for source in (path, noted):
            np.testing.assert_array_equal(audio.read(source), audio.read(data))
            assert audio.duration(source) == pytest.approx(0.2)
        with pytest.raises(TruncatedAudio):
            audio.read(noted[:-100])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "tail",
    [
        lambda kind: chunk(kind, b"LIST", b"INFO!") + chunk(kind, b"abcd", bytes(70_000)),
        lambda kind: chunk(kind, b"id3 ", bytes(301))[:-1],  # whose padding is missing
        lambda kind: chunk(kind, b"LIST", bytes(5000))[:-700],  # cut off, but the sound is whole
        lambda kind: b"TAG" + bytes(range(125)),
        lambda kind: b"\r\n--boundary\r\n",
        lambda kind: bytes(4096),
    ],
    ids=["chunks", "unpadded", "cut", "ID3", "stray", "zeros"],
)
def test_what_stands_behind_the_sound_does_not_count(files, tmp_path, kind, tail):
    if kind in ("au", "nist") and len(tail(kind)) not in (128, 16, 4096):  # they know no chunks
        return
    path = tmp_path / "tailed"
    path.write_bytes(files[kind] + tail(kind))
    np.testing.assert_array_equal(audio.read(path), audio.read(files[kind]))


@pytest.mark.parametrize("kind", [*LENGTHS, "nist"])
def test_a_header_that_says_too_little_is_named_and_read_on(files, tmp_path, kind):
    short = with_length(kind, files[kind], 2400)
    path = tmp_path / "short"
    path.write_bytes(short)
    for source in (path, short):
        with pytest.warns(AudioWarning, match="240[0-9] bytes of sound, and [0-9]+ more"):
            np.testing.assert_array_equal(audio.read(source), audio.read(files[kind]))


@pytest.mark.parametrize("kind", [*LENGTHS, "nist"])
def test_a_header_that_counts_itself_is_forgiven(files, kind):
    data = files[kind]
    sound = len(audio.read(data)) * (3 if kind == "wav-24" else 2)
    for more in (1, 8, 36, FORGIVEN):
        if kind != "nist" or more % 2 == 0:
            np.testing.assert_array_equal(audio.read(with_length(kind, data, sound + more)), audio.read(data))
    with pytest.raises(TruncatedAudio):
        audio.read(with_length(kind, data, sound + FORGIVEN + 2))


@pytest.mark.parametrize("behind", [b"", chunk("wav", b"LIST", b"INFO")])
@pytest.mark.parametrize("kind", ["wav", "wav-24", "au", "aiff"])
def test_beyond_4_gib_a_length_that_started_anew_is_seen_through(encode, tmp_path, kind, behind):
    head = encode(np.zeros((0, 1)), 16000, kind)
    header = head[: head.index(b"SSND") + 16] if kind == "aiff" else head
    if kind == "wav-24":
        header = header[: header.index(b"data") + 8]
    length = 9 * (1 << 30)
    length -= length % 6
    path = tmp_path / "long"
    with path.open("wb") as file:
        file.write(with_length(kind, header, length % (1 << 32)))
        file.truncate(len(header) + length)
        file.seek(0, io.SEEK_END)
        file.write(b"" if kind in ("au", "aiff") else behind)
    with pytest.warns(AudioWarning, match="cannot count"):
        seconds = audio.duration(path)
    assert seconds == pytest.approx(length / (3 if kind == "wav-24" else 2) / 16000)


@pytest.mark.parametrize("kind", ["wav", "aiff"])
def test_a_second_recording_behind_the_first_is_refused(files, kind):
    with pytest.raises(UndecodableAudio, match="second recording"):
        audio.read(files[kind] * 2)


def test_sound_in_two_chunks_is_joined(files):
    data = files["wav"]
    sound = data[44:]
    parts = chunk("wav", b"data", sound[:1001]) + chunk("wav", b"LIST", b"INFO") + chunk("wav", b"data", sound[1001:])
    np.testing.assert_array_equal(audio.read(data[:36] + parts), audio.read(data))
    np.testing.assert_array_equal(audio.read(data[:36] + chunk("wav", b"data", b"") + data[36:]), audio.read(data))


@pytest.mark.parametrize(("container", "codec"), [("w64", "pcm_s16le"), ("w64", "pcm_f32le"), ("rf64", "pcm_s24le")])
def test_long_formats_written_to_a_pipe(encode_av, speechlike, container, codec):
    samples = speechlike(0.5)[:, 0]
    options = {"rf64": "always"} if container == "rf64" else {}
    data = encode_av(
        samples, 16000, container.replace("rf", "wav").replace("wav64", "wav"), codec, piped=True, options=options
    )
    np.testing.assert_allclose(audio.read(data), samples, atol=2 / 32768)
    assert audio.duration(data) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("kind", "marker"),
    [(kind, marker) for kind in ("au", "aiff") for marker in (0, 0xFFFFFFFF, 0x7FFFFFFF)]
    + [(kind, marker) for kind in ("caf", "w64") for marker in (0, -1, (1 << 63) - 1)],
)
def test_streams_of_unknown_length_in_other_formats(files, kind, marker):
    more = LENGTHS[kind][3]
    np.testing.assert_array_equal(audio.read(with_length(kind, files[kind], marker - more)), audio.read(files[kind]))


@pytest.mark.parametrize("codec", ["libmp3lame", "mp2", "adpcm_ms", "adpcm_ima_wav", "adpcm_g722", "g726"])
@pytest.mark.parametrize("container", ["wav", "w64"])
@pytest.mark.parametrize("piped", [False, True])
def test_compressed_sound_in_wav(encode_av, codec, container, piped):
    tone = (0.3 * np.sin(2 * np.pi * 440 * np.arange(16000) / 8000)).astype(np.float32)
    rate = 8000 if codec in ("g726", "adpcm_g722") else 16000
    data = encode_av(tone, rate, container, codec, piped=piped)
    read = audio.read(data, sampling_rate=rate)
    assert len(read) == pytest.approx(16000, abs=2400)  # a packet or two of delay
    assert audio.duration(data) == pytest.approx(len(read) / rate)
    spectrum = np.abs(np.fft.rfft(read[2000:14000]))
    assert spectrum.argmax() * 8000 / 12000 == pytest.approx(440, abs=2)


@pytest.mark.parametrize("kind", ["caf", "w64", "rf64"])
@pytest.mark.parametrize("length", [(1 << 63) - 1 - 24, (1 << 62) - 1, 1 << 50, 1 << 33])
def test_forged_lengths_of_64_bits_are_no_crash(files, tmp_path, kind, length):
    data = files[kind]
    mark = b"data" if kind == "rf64" else {"caf": b"data", "w64": b"data\xf3"}[kind]
    place = data.index(mark)
    noted = bytearray(data[:place] + chunk(kind, b"free", bytes(8)) + data[place:])
    form, header = (">q", 4) if kind == "caf" else ("<q", 16)
    if kind == "rf64":
        noted = bytearray(with_length(kind, data, length))
    else:
        struct.pack_into(form, noted, place + header, length)
    path = tmp_path / "forged"
    path.write_bytes(noted)
    for source in (path, bytes(noted)):
        for read in (audio.read, audio.duration):
            with pytest.raises(TruncatedAudio) if length < 1 << 62 else contextlib.suppress(AudioError):
                read(source)


def test_films_of_chunks(encode_av, speechlike):
    samples = speechlike(1.0)[:, 0]
    data = encode_av(samples, 16000, "avi", "pcm_s16le")
    assert len(audio.read(data)) == 16000
    with pytest.raises(TruncatedAudio):
        audio.read(data[: len(data) // 2])
    assert len(audio.read(encode_av(samples, 16000, "avi", "pcm_s16le", piped=True))) == 16000


def wav_of(samples, *, bits, container_bits, channels=1, valid=None, order="<", code=1):
    """A WAV of int samples in containers of so many bits; extensible if the valid bits are named."""
    width = container_bits // 8
    kept = samples.astype(f"{order}i4").view(np.uint8).reshape(-1, 4)
    sound = (kept[:, 4 - width :] if order == "<" else kept[:, :width]).tobytes()
    rate = 16000 * width * channels
    form = struct.pack(order + "HHIIHH", 0xFFFE if valid else code, channels, 16000, rate, width * channels, bits)
    if valid:
        form += struct.pack("<HHIH", 22, valid, 0, code) + bytes.fromhex("000000001000800000aa00389b71")
    body = (
        b"WAVE" + b"fmt " + struct.pack(order + "I", len(form)) + form + b"data" + struct.pack(order + "I", len(sound))
    )
    return (b"RIFF" if order == "<" else b"RIFX") + struct.pack(order + "I", len(body) + len(sound)) + body + sound


@pytest.mark.parametrize(
    "form",
    [
        {"bits": 16, "container_bits": 16, "order": ">"},
        {"bits": 24, "container_bits": 24, "order": ">"},
        {"bits": 24, "container_bits": 24, "valid": 20},
        {"bits": 32, "container_bits": 32, "valid": 24},
        {"bits": 16, "container_bits": 16, "valid": 12},
        {"bits": 20, "container_bits": 24},
        {"bits": 12, "container_bits": 16},
    ],
)
def test_odd_numbers_of_bits_and_orders_of_bytes(speechlike, form):
    samples = (speechlike(0.2)[:, 0] * 2**31).astype(np.int32)
    samples &= -(1 << (32 - (form.get("valid") or form["bits"])))
    np.testing.assert_allclose(audio.read(wav_of(samples, **form)), samples / 2**31, atol=1e-7)


def test_a_wav_of_the_broadcasters_for_long_recordings(files):
    data = files["rf64"]
    np.testing.assert_array_equal(audio.read(b"BW64" + data[4:]), audio.read(data))  # ITU-R BS.2088


@pytest.mark.parametrize("length", [0, 0x7FFF0000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xFFFFFFDB])
@pytest.mark.parametrize("wrap", [bytes, io.BytesIO])
def test_wav_streams_of_unknown_length_just_work(encode, speechlike, length, wrap):
    data = bytearray(encode(speechlike(0.2), 16000, "wav"))
    whole = audio.read(data)
    assert data[36:40] == b"data"
    struct.pack_into("<I", data, 40, length)
    struct.pack_into("<I", data, 4, 0xFFFFFFFF)
    np.testing.assert_array_equal(audio.read(wrap(data)), whole)
    assert audio.duration(wrap(data)) == pytest.approx(0.2)


def test_wav_written_to_a_pipe_by_ffmpeg(encode_av, speechlike):
    samples = speechlike(0.5)[:, 0]
    data = encode_av(samples, 16000, "wav", "pcm_s16le", piped=True)
    np.testing.assert_allclose(audio.read(data), samples, atol=2 / 32768)


def test_an_empty_wav_with_a_chunk_behind_is_empty(encode):
    data = encode(np.zeros((0, 1)), 16000, "wav") + b"LIST" + struct.pack("<I", 4) + b"INFO"
    with pytest.raises(EmptyAudio):
        audio.read(data)


@given(
    data=st.binary(max_size=300),
    kind=st.sampled_from(
        [
            b"RIFF????WAVE",
            b"RIFX????WAVE",
            b"BW64????WAVE",
            b"FORM????AIFC",
            b"caff",
            b"riff",
            b".snd",
            b"NIST",
            b"????ftyp",
        ]
    ),
)
def test_junk_behind_a_magic_never_hangs_or_crashes(data, kind):
    data = kind + data
    file = io.BytesIO(data)
    check_header(file, len(data), "junk")
    assert file.tell() == 0


@pytest.mark.parametrize("kind", ["wav", "caf", "aiff"])
def test_a_file_of_empty_chunks_is_refused_at_once(files, kind):
    data = files[kind]
    place = data.index({"aiff": b"SSND"}.get(kind, b"data"))
    with pytest.raises(UndecodableAudio, match="more than 1000 chunks"):
        audio.read(data[:place] + chunk(kind, b"junk", b"") * 1001 + data[place:])
