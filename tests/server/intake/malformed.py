"""Files that are no recordings, or not the ones they say they are: every one of them is to be refused, and quickly.

    for name, data in malformed_files(): ...

The same files in the same order every time, but for the serial numbers that encoders draw; together some 30 MB. The
bombs are such at the server's own limits: half an hour, 512 MiB decoded.
"""

import base64
import gzip
import io
import pickle
import struct
import tarfile
import zipfile
from collections.abc import Iterator
from functools import cache

import av
import numpy as np
import soundfile

from tests.formats import LIBSNDFILE
from tests.server.intake import forge
from tests.server.intake.forge import box, chunk, patched, riff, wav

RATE = 16000
PROMISING = tuple(LIBSNDFILE)[:11]  # their headers tell the length
FFMPEG = {"m4a": ("mp4", "aac"), "webm": ("webm", "libopus"), "mka": ("matroska", "flac"), "aac": ("adts", "aac")}


def malformed_files() -> Iterator[tuple[str, bytes]]:
    """Names and contents."""
    for group, files in (
        ("other", _no_sound_at_all()),
        ("cut", _cut_short()),
        ("short", _too_short()),
        ("wav", _forged_wav()),
        ("values", _impossible_values()),
        ("header", _forged_headers()),
        ("mp4", _forged_mp4()),
        ("stream", _broken_streams()),
        ("bomb", bombs()),
    ):
        for name, data in files:
            yield f"{group}: {name}", data


@cache
def recording(kind: str, seconds: float = 0.5) -> bytes:
    """Noise in a good file of some kind, a key of LIBSNDFILE or FFMPEG."""
    file = io.BytesIO()
    if kind in LIBSNDFILE:
        container, encoding = LIBSNDFILE[kind]
        soundfile.write(file, _noise(round(seconds * RATE)), RATE, format=container, subtype=encoding)
        return file.getvalue()
    container, codec = FFMPEG[kind]
    rate = 48000 if codec == "libopus" else RATE
    samples = _noise(round(seconds * rate))
    with av.open(file, "w", format=container) as output:
        stream = output.add_stream(codec, rate=rate, layout="mono")
        for begin in range(0, len(samples), 1024):
            frame = av.AudioFrame.from_ndarray(samples[None, begin : begin + 1024].copy(), format="fltp", layout="mono")
            frame.sample_rate, frame.pts = rate, begin
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return file.getvalue()


def _noise(samples: int) -> np.ndarray:
    return np.random.default_rng(0).uniform(-0.2, 0.2, samples).astype(np.float32)


def _pcm(samples: int = 8000) -> bytes:
    return (_noise(samples) * 32767).astype("<i2").tobytes()


def _no_sound_at_all() -> Iterator[tuple[str, bytes]]:
    good = recording("wav")
    random = np.random.default_rng(1)
    yield "empty", b""
    yield "one zero", b"\0"
    yield "zeros", bytes(4096)
    yield "ones", b"\xff" * 4096
    for size in (16, 1000, 100_000):
        yield f"{size} random bytes", b"\x01" + random.bytes(size)
    yield "samples without a header", b"\x01" + _pcm()
    yield "floats without a header", b"\x01\x01" + _noise(8000).tobytes()
    yield "text", b"The quick brown fox jumps over the lazy dog.\n" * 50
    yield "text in UTF-16", "\N{SNOWMAN} no sound \n".encode("utf-16-le") * 50
    yield "html", b"<!doctype html><html><head><title>404</title></head><body>Not found</body></html>"
    yield "json", b'{"error": {"message": "not found", "code": 404}}'
    yield "xml", b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>'
    yield "xml that grows", b'<!DOCTYPE a [<!ENTITY b "bbbb"><!ENTITY c "&b;&b;&b;&b;">]><a>&c;</a>'
    yield "svg", b'<svg xmlns="http://www.w3.org/2000/svg"><circle r="1"/></svg>'
    yield "script", b"#!/bin/sh\necho no sound\n"
    yield "pickle", pickle.dumps({"array": [0.0] * 1000, "sampling_rate": 16000})
    yield "numpy", b"\x93NUMPY\x01\0v\0{'descr': '<f4', 'fortran_order': False, 'shape': (8000,), }".ljust(128) + good
    yield "pdf", b"%PDF-1.7\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF"
    yield "elf", b"\x7fELF\x02\x01\x01" + bytes(500)
    yield "sqlite", b"SQLite format 3\0" + bytes(4080)
    yield (
        "png",
        base64.b64decode(
            "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
        ),
    )
    yield "png of 2 thousand million pixels", _png(46341, 46341)
    yield (
        "gif",
        b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xff\xff\xff!\xf9\x04\x01\0\0\0\0,\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0;",
    )
    yield "jpeg", b"\xff\xd8\xff\xe0\0\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0\xff\xdb\0\x43\0" + b"\x08" * 64 + b"\xff\xd9"
    yield "bmp", b"BM" + struct.pack("<IHHI", 58, 0, 0, 54) + struct.pack("<IiiHHIIiiII", 40, 1, 1, 1, 24, *[0] * 6)
    yield "midi", b"MThd\0\0\0\x06\0\0\0\x01\0\x60MTrk\0\0\0\x04\0\xff\x2f\0"
    yield "zip of a recording", _zip({"a.wav": good})
    yield "zip in a zip", _zip({"a.zip": _zip({"b.zip": _zip({"a.wav": good})})})
    yield "zip bomb", _zip({"a.wav": wav(bytes(10 << 20))})
    yield "gzip of a recording", gzip.compress(good, mtime=0)
    yield "tar of a recording", _tar("a.wav", good)
    yield "7z", b"7z\xbc\xaf\x27\x1c\0\x04" + bytes(100)
    yield "base64 of a recording", base64.b64encode(good)
    yield "data address", b"data:audio/wav;base64," + base64.b64encode(good)
    yield "hex of a recording", good.hex().encode()
    yield "good but backwards", good[::-1]
    yield "playlist", b"#EXTM3U\n#EXTINF:3,\n/etc/passwd\n"
    hls = "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:9\n#EXTINF:3,\n{}\n#EXT-X-ENDLIST\n"
    yield "hls of a file", hls.format("file:///etc/passwd").encode()
    yield "hls of an address", hls.format("http://169.254.169.254/latest/meta-data/").encode()
    yield "concat", b"ffconcat version 1.0\nfile /etc/passwd\n"
    yield "sdp", b"v=0\no=- 0 0 IN IP4 ::\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 5004 RTP/AVP 0\n"
    yield "dash", b'<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"><Period/></MPD>'
    yield "cue sheet", b'FILE "a.wav" WAVE\n  TRACK 01 AUDIO\n    INDEX 01 00:00:00\n'
    yield "pls", b"[playlist]\nFile1=http://127.0.0.1/\nNumberOfEntries=1\n"
    yield "subtitles", b"1\n00:00:00,000 --> 00:00:01,000\nno sound\n"
    yield "real reference", b"rtsp://127.0.0.1/a.rm\n"
    yield "asx", b'<asx version="3.0"><entry><ref href="http://127.0.0.1/a.wma"/></entry></asx>'
    for kind in ("mp4", "matroska", "avi"):
        yield f"film without sound, {kind}", _film(kind)


def _png(width: int, height: int) -> bytes:
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + bytes(4) + struct.pack(">I", 100) + b"IDAT" + bytes(104)
    )


def _zip(files: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
    return file.getvalue()


def _tar(name: str, data: bytes) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        entry = tarfile.TarInfo(name)
        entry.size = len(data)
        archive.addfile(entry, io.BytesIO(data))
    return file.getvalue()


def _film(container: str) -> bytes:
    file = io.BytesIO()
    with av.open(file, "w", format=container) as output:
        stream = output.add_stream("mpeg4", rate=10)
        stream.width = stream.height = 32
        for _ in range(5):
            output.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")))
        output.mux(stream.encode(None))
    return file.getvalue()


def _cut_short() -> Iterator[tuple[str, bytes]]:
    for kind in PROMISING:
        data = recording(kind)
        for size in (4, 12, 21, 40):
            yield f"{kind}, {size} bytes", data[:size]
        for share in (0.1, 0.3, 0.5, 0.7, 0.9):
            yield f"{kind}, {share:.0%}", data[: round(share * len(data))]
        yield f"{kind}, but for 48 bytes", data[:-48]
    for kind in ("ogg", "opus"):
        for size in (4, 20, 28, 50, 80):
            yield f"{kind}, {size} bytes", recording(kind)[:size]
    for size in (3, 10, 40):
        yield f"mp3, {size} bytes", recording("mp3")[:size]
    for kind in ("m4a", "webm", "mka"):
        data = recording(kind, 2.0)
        for share in (0.01, 0.05, 0.2, 0.5, 0.8):
            yield f"{kind}, {share:.0%}", data[: round(share * len(data))]
    yield "aac, 5 bytes", recording("aac")[:5]


def _too_short() -> Iterator[tuple[str, bytes]]:
    for kind in (*PROMISING, "ogg", "opus"):
        container, encoding = LIBSNDFILE[kind]
        for samples in (0, 1, 399):
            file = io.BytesIO()
            soundfile.write(file, _noise(samples), RATE, format=container, subtype=encoding)
            yield f"{kind} of {samples} samples", file.getvalue()


def _forged_wav() -> Iterator[tuple[str, bytes]]:
    pcm = _pcm()
    for rate in (0, 1, 999, 768_001, 2**31 - 1, 2**31, 2**32 - 1):
        yield f"rate {rate}", wav(pcm, rate=rate)
    for channels in (0, 1025, 4096, 65535):
        yield f"{channels} channels", wav(pcm, channels=channels)
    yield "1024 channels of 7 samples", wav(pcm[: 1024 * 14], channels=1024)
    for bits in (0, 48, 255, 65535):
        yield f"{bits} bits", wav(pcm, bits=bits)
    for tag in (0, 0x1234, 0x674F, 0xFFFF):
        yield f"codec {tag:#06x}", wav(pcm, tag=tag)
    yield "mp3 inside that is none", wav(b"\x00" * 5000, tag=0x55, extra=bytes(14))
    yield "extensible with an unknown codec", wav(pcm, tag=0xFFFE, extra=struct.pack("<HHI", 22, 16, 4) + b"\x99" * 16)
    yield "extensible that ends early", wav(pcm, tag=0xFFFE, extra=b"\x16\0")
    for size in (len(pcm) + 1000, 0x1000_0000, 0x7FFE_FFFF, 0xFFFF_0000):
        yield f"data of {size} bytes promised", wav(pcm, size=size)
    yield "no data chunk", riff(chunk(b"fmt ", struct.pack("<HHIIHH", 1, 1, 16000, 32000, 2, 16)))
    yield "no fmt chunk", riff(chunk(b"data", pcm))
    yield "fmt of no bytes", riff(chunk(b"fmt ", b"") + chunk(b"data", pcm))
    yield "fmt of 4 bytes", riff(chunk(b"fmt ", b"\1\0\1\0") + chunk(b"data", pcm))
    yield "fmt of 4 GiB", riff(chunk(b"fmt ", struct.pack("<HHI", 1, 1, 16000), size=2**32 - 1) + chunk(b"data", pcm))
    yield "a chunk of 4 GiB first", riff(chunk(b"LIST", b"", size=0xFFFF_FFF0) + recording("wav")[12:])
    yield "nothing but RIFF", b"RIFF"
    yield "nothing but RIFF and WAVE", riff(b"")
    yield "a million empty chunks", riff(chunk(b"LIST", b"") * 1_000_000)
    yield "a RIFF in a RIFF in a RIFF", riff(riff(riff(recording("wav"))))
    yield "RIFF of pictures", b"RIFF" + struct.pack("<I", 100) + b"AVI LIST" + bytes(100)
    yield "webp", b"RIFF\x1a\0\0\0WEBPVP8L\r\0\0\0/\0\0\0\x10\x07\x10\x11\x11\x88\x88\xfe\x07\0"
    yield "RIFX, but little-endian", b"RIFX" + recording("wav")[4:]
    yield "RIFF, but big-endian", b"RIFF" + wav(pcm, order=">")[4:]
    yield "RIFX that promises too much", wav(pcm, order=">", size=0x0100_0000)
    rf64 = recording("rf64")
    place = rf64.index(b"ds64")
    for name, size in (("2^62", 2**62), ("2^63", 2**63), ("2^64 - 1", 2**64 - 1), ("a thousand too many", 17000)):
        forged = patched(rf64, place + 16, struct.pack("<Q", size))
        yield f"RF64 of {name} bytes", patched(forged, forged.index(b"data") + 4, b"\xff\xff\xff\xff")
    yield "RF64 without ds64", b"RF64" + b"\xff\xff\xff\xffWAVE" + rf64[place + 8 + 28 : place + 8 + 30]
    yield "ADPCM blocks of no bytes", wav(pcm, tag=2, bits=4, block=0, extra=bytes(34))
    yield (
        "ADPCM blocks of 64 KiB, cut",
        wav(pcm, tag=0x11, bits=4, block=65535, extra=struct.pack("<HH", 2, 65535), size=65535),
    )


def _impossible_values() -> Iterator[tuple[str, bytes]]:
    noise = _noise(8000)
    for name, value in (("NaN", np.nan), ("infinite", np.inf), ("minus infinite", -np.inf)):
        for place in (0, 4000, 7999):
            samples = noise.copy()
            samples[place] = value
            yield f"wav, {name} at {place}", wav(samples.astype("<f4").tobytes(), tag=3, bits=32)
    everywhere = np.full(8000, np.nan, np.float32)
    yield "wav, NaN everywhere", wav(everywhere.tobytes(), tag=3, bits=32)
    yield (
        "wav, NaN in one of two channels",
        wav(np.stack([noise, everywhere], axis=1).astype("<f4").tobytes(), tag=3, bits=32, channels=2),
    )
    yield "wav, doubles too large", wav(np.full(8000, 1e300, "<f8").tobytes(), tag=3, bits=64)
    yield (
        "wav, floats that resampling makes infinite",
        wav((np.sign(noise) * np.float32(3.4e38)).astype("<f4").tobytes(), tag=3, bits=32, rate=44100),
    )
    au = b".snd" + struct.pack(">IIIII", 24, 32000, 6, RATE, 1)
    yield "au, NaN", au + everywhere.astype(">f4").tobytes()


def _forged_headers() -> Iterator[tuple[str, bytes]]:
    pcm = _pcm()
    for name, fields in {
        "no rate": (24, 16000, 3, 0, 1),
        "4 GHz": (24, 16000, 3, 2**32 - 1, 1),
        "no channels": (24, 16000, 3, RATE, 0),
        "two thousand million channels": (24, 16000, 3, RATE, 2**31),
        "an unknown encoding": (24, 16000, 99, RATE, 1),
        "samples behind the end": (2**31, 16000, 3, RATE, 1),
        "more samples than there are": (24, 17000, 3, RATE, 1),
    }.items():
        yield f"au with {name}", b".snd" + struct.pack(">IIIII", *fields) + pcm
    aiff = recording("aiff")
    comm = aiff.index(b"COMM") + 8
    yield "aiff without channels", patched(aiff, comm, b"\0\0")
    yield "aiff with 65535 channels", patched(aiff, comm, b"\xff\xff")
    yield "aiff of 255 bits", patched(aiff, comm + 6, b"\0\xff")
    yield "aiff at an infinite rate", patched(aiff, comm + 8, b"\x7f\xff\x80" + bytes(7))
    yield "aiff at 0 Hz", patched(aiff, comm + 8, bytes(10))
    yield "aiff at -16 kHz", patched(aiff, comm + 8, b"\xc0")
    yield "aiff with a SSND of 256 MiB", patched(aiff, aiff.index(b"SSND") + 4, b"\x10\0\0\0")
    yield "aiff without SSND", aiff[: aiff.index(b"SSND")]
    yield "aiff of a million empty chunks", b"FORM\0\x80\0\0AIFF" + b"ANNO\0\0\0\0" * 1_000_000
    caf = recording("caf")
    desc = caf.index(b"desc") + 12
    for name, rate in (
        ("NaN", float("nan")),
        ("infinite", float("inf")),
        ("0", 0.0),
        ("-16000", -16000.0),
        ("1e9", 1e9),
    ):
        yield f"caf at a rate of {name}", patched(caf, desc, struct.pack(">d", rate))
    yield "caf without channels", patched(caf, desc + 24, bytes(4))
    yield "caf with 65535 channels", patched(caf, desc + 24, b"\0\0\xff\xff")
    yield "caf with an unknown encoding", patched(caf, desc + 8, b"zzzz")
    yield "caf with 2^62 bytes of data", patched(caf, caf.index(b"data") + 4, struct.pack(">q", 2**62))
    w64 = recording("w64")
    data = w64.index(b"data\xf3\xac\xd3\x11") + 16
    for name, size in (("a gigabyte", 1 << 30), ("2^62 bytes", 2**62)):
        yield f"w64 with {name} of data", patched(w64, data, struct.pack("<q", size))
    yield "w64 without data", w64[: data - 16]
    nist = recording("nist")
    for name, old, new in (
        ("no rate", b"sample_rate -i 16000", b"sample_rate -i 00000"),
        ("a rate of words", b"sample_rate -i 16000", b"sample_rate -i fast!"),
        ("no channels", b"channel_count -i 1", b"channel_count -i 0"),
        ("many samples", b"sample_count -i 8000", b"sample_count -i 9999"),
        ("10^30 bytes a sample", b"sample_n_bytes -i 2", b"sample_n_bytes -i 1" + b"0" * 30),
        ("another magic", b"NIST_1A", b"NIST_9Z"),
    ):
        yield f"nist with {name}", nist.replace(old, new)[: len(nist)]
    for name, head in _flac_heads().items():
        yield f"flac with {name}", head
    mkv = recording("mka")
    duration = mkv.index(b"\x44\x89\x88") + 3
    for seconds in (1e5, 1e8, 1e12):
        yield f"matroska of {seconds:g} s", patched(mkv, duration, struct.pack(">d", seconds * 1000))
    yield "nothing but EBML", b"\x1a\x45\xdf\xa3" + bytes(100)
    yield "EBML of unknown size without end", b"\x1a\x45\xdf\xa3\xff" + b"\x18\x53\x80\x67\xff" * 1000
    yield "ID3 and nothing else", forge.id3(1000)
    yield "ID3 of 256 MiB that is not there", forge.id3(1000, claimed=2**28 - 1)
    yield "two hundred thousand ID3 tags", forge.id3(0) * 200_000
    yield "ID3 with a picture", b"ID3\x03\0\0\0\0\x07hAPIC\0\0\x03\xd7\0\0\0image/png\0\x03\0" + bytes(1000)


def _flac_heads() -> dict[str, bytes]:
    flac = recording("flac")
    info = 8
    packed = int.from_bytes(flac[info + 10 : info + 18], "big")

    def with_packed(value: int) -> bytes:
        return patched(flac, info + 10, value.to_bytes(8, "big"))

    return {
        "2^36 - 1 samples": with_packed(packed | (1 << 36) - 1),
        "a sample too many": with_packed(packed + 1),
        "a STREAMINFO of no bytes": patched(flac, 5, bytes(3)),
        "a STREAMINFO of 16 MiB": patched(flac, 5, b"\xff\xff\xff"),
        "another magic": b"fLaX" + flac[4:],
        "no frames": flac[: info + 34],
        "noise for frames": flac[: info + 34] + b"\x01" + np.random.default_rng(2).bytes(8000),
        "four thousand blocks of padding": b"fLaC" + flac[4:42].replace(b"\x84", b"\0") + b"\1\0\0\0" * 4000,
    }


def _forged_mp4() -> Iterator[tuple[str, bytes]]:
    m4a = recording("m4a", 2.0)
    ftyp = m4a[: int.from_bytes(m4a[:4], "big")]
    yield "ftyp alone", ftyp
    yield "moov of no bytes", ftyp + box(b"moov")
    yield "moov of 4 GiB", ftyp + box(b"moov", size=2**32 - 1)
    yield "moov within moov", ftyp + box(b"moov", box(b"moov", box(b"moov")))
    deep = b""
    for _ in range(2000):
        deep = box(b"moov", deep)
    yield "moov two thousand deep", ftyp + deep
    yield "mdat alone", ftyp + box(b"mdat", bytes(1000))
    yield "no index", m4a.replace(b"moov", b"zzzz")
    yield "a video's handler", m4a.replace(b"soun", b"vide")
    yield "an unknown codec", m4a.replace(b"mp4a", b"zz9a").replace(b"esds", b"zzzz")
    yield "a unit of a second", patched(m4a, m4a.index(b"mdhd") + 16, struct.pack(">I", 1))
    stsz, stco, stsc, stts = (m4a.index(name) + 4 for name in (b"stsz", b"stco", b"stsc", b"stts"))
    yield "all packets behind the end", patched(m4a, stco + 8, struct.pack(">I", 2**32 - 10))
    yield "packets of 2 GiB", patched(m4a, stsz + 4, struct.pack(">I", 2**31 - 1))
    yield "four thousand million packets", patched(m4a, stsz + 4, struct.pack(">II", 1, 2**32 - 1))
    yield "no packets", patched(m4a, stsz + 8, bytes(4))
    yield "chunks of no packets", patched(m4a, stsc + 12, bytes(4))
    yield "2^32 - 1 kinds of chunk", patched(m4a, stsc + 4, b"\xff\xff\xff\xff")
    for delta in (2**20, 2**31 - 1):
        yield f"packets of {delta} samples", patched(m4a, stts + 12, struct.pack(">I", delta))
    yield "2^32 - 1 durations", patched(m4a, stts + 4, b"\xff\xff\xff\xff")


def _broken_streams() -> Iterator[tuple[str, bytes]]:
    opus = forge.opus(20)
    yield "ogg whose checksums are wrong", patched(opus, 22, b"\0\0\0\0")
    yield "ogg of no known codec", forge.ogg([(0, [b"\x80zzzzzz" + bytes(23)]), (1000, [bytes(100)])])
    yield "ogg of pictures", forge.ogg([(0, [b"\x80theora\3\2\1" + bytes(32)])])
    yield "ogg of pages without packets", forge.ogg([(0, [])] * 1000)
    yield "opus without channels", forge.opus(20, channels=0)
    yield "opus with 255 channels", forge.opus(20, channels=255)
    yield "opus, a head and no sound", forge.opus(0)
    yield "vorbis, half of its head", recording("ogg")[: len(recording("ogg")) // 8]
    yield "mp3 frames that never are whole", b"\xff\xfb\x90\x64" * 50
    yield "an mp3 frame alone", forge.mp3(1)[:60]
    yield "mp3 of free bitrate", b"\xff\xfb\x00\xc0" * 5000
    yield "nothing but sync", b"\xff\xe0" * 5000
    yield "adts frames of no bytes", b"\xff\xf1\x50\x80\0\x1f\xfc" * 1000
    yield "amr, a head and no sound", b"#!AMR\n"
    yield "amr of reserved frames", b"#!AMR\n" + b"\x64" * 5
    yield "asf, a head alone", bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c") + bytes(60)
    yield "flv, a head alone", b"FLV\x01\x04\0\0\0\x09\0\0\0\0"
    yield "voc, a head alone", b"Creative Voice File\x1a\x1a\0\x0a\x01\x29\x11\0"
    yield "wavpack, a head alone", b"wvpk" + struct.pack("<IHBBIIIII", 24, 0x410, 0, 0, 2**32 - 1, 0, 0, 0, 0)
    yield "tta of many samples", b"TTA1" + struct.pack("<HHHII", 1, 1, 16, RATE, 2**32 - 1) + bytes(4)
    yield "ape, a head alone", b"MAC \x96\x0f" + bytes(100)
    xing = b"\xff\xe3\x18\xc0" + bytes(9) + b"Info" + struct.pack(">III", 3, 2**31 - 1, 2**31 - 1) + bytes(43)
    yield "mp3 whose head counts two thousand million frames", xing + forge.mp3(100)
    yield "mpeg transport, empty packets", (b"\x47\x1f\xff\x10" + b"\xff" * 184) * 100


def bombs() -> Iterator[tuple[str, bytes]]:
    """Small files whose sound lasts longer, or is more, than the server's own limits allow."""
    yield "3 h of silence in 38 kB of flac", forge.flac(2700)
    yield "the same of unknown length", forge.flac(2700, promised=0)
    yield "8 channels at 655350 Hz in 10 kB of flac", forge.flac(300, channels=8, rate=655350)
    yield "the same 8 channels of unknown length", forge.flac(300, channels=8, rate=655350, promised=0)
    yield "half an hour and a bit in 32 kB of opus", forge.opus(15100)
    yield "half an hour and a bit in 1.8 MB of mp3", forge.mp3(25100)
    yield "the same behind a tag", b"ID3\4\0\0" + bytes(4) + forge.mp3(25100)
    yield "8 bits at 1000 Hz for half an hour", wav(b"\x80\x81" * 900_500, rate=1000, bits=8)
    yield "gsm for half an hour", wav(bytes(65 * 45_100), rate=8000, tag=49, block=65, bits=0, extra=b"\2\0\x40\1")
    yield "an hour of silent aac", _silent_aac(3600)


def _silent_aac(seconds: int) -> bytes:
    """ADTS frames stand alone: one of silence, over and over."""
    file = io.BytesIO()
    with av.open(file, "w", format="adts") as output:
        stream = output.add_stream("aac", rate=8000, layout="mono")
        for begin in range(0, 8192, 1024):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            frame.sample_rate, frame.pts = 8000, begin
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    data = file.getvalue()
    frames = []
    while data:
        size = (data[3] & 3) << 11 | data[4] << 3 | data[5] >> 5
        frames.append(data[:size])
        data = data[size:]
    return frames[len(frames) // 2] * (seconds * 8000 // 1024)
