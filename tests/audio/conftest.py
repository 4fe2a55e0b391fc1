"""Recordings made on the fly, in every format that soundfile or PyAV writes."""

import io

import numpy as np
import pytest
import soundfile

from tests.formats import LIBSNDFILE


@pytest.fixture(scope="session")
def speechlike():
    """seconds, rate, channels -> float32 (samples, channels): noise in syllables, no sample of it exactly zero."""

    def make(seconds, rate=16000, channels=1, seed=0):
        samples = round(seconds * rate)
        rng = np.random.default_rng(seed)
        syllables = 0.6 + 0.4 * np.sin(2 * np.pi * 4 * np.arange(samples) / rate)[:, None]
        noise = rng.uniform(0.01, 0.2, (samples, channels)) * rng.choice([-1, 1], (samples, channels))
        return (syllables * noise).astype(np.float32)

    return make


@pytest.fixture(scope="session")
def encode():
    """samples, rate, format -> the bytes of a file, written by libsndfile."""

    def write(samples, rate, kind):
        container, subtype = LIBSNDFILE[kind]
        file = io.BytesIO()
        soundfile.write(file, samples, rate, format=container, subtype=subtype)
        return file.getvalue()

    return write


@pytest.fixture(scope="session")
def encode_av():
    """samples (samples,), rate, container, codec -> the bytes of a file, written by FFmpeg.

    With piped=True, written as to a pipe: the header never learns the length. The clock starts at `start` seconds,
    and jumps by `hole` seconds one second later.
    """
    av = pytest.importorskip("av")

    class Pipe:
        def __init__(self):
            self.data = bytearray()

        def write(self, data):
            self.data += data
            return len(data)

    def late(packets, start, hole):
        for packet in packets:
            shift = start + (hole if packet.pts * packet.time_base > 1 else 0)
            packet.pts += int(shift / packet.time_base)
            packet.dts += int(shift / packet.time_base)
            yield packet

    def write(samples, rate, container, codec, *, piped=False, options=None, codec_options=None, start=0.0, hole=0.0):
        file = Pipe() if piped else io.BytesIO()
        with av.open(file, "w", format=container, options=options or {}) as output:
            stream = output.add_stream(codec, rate=rate, layout="mono", options=codec_options or {})
            for begin in range(0, len(samples), 1024):
                planar = np.ascontiguousarray(samples[None, begin : begin + 1024])
                frame = av.AudioFrame.from_ndarray(planar, format="fltp", layout="mono")
                frame.sample_rate, frame.pts = rate, begin
                output.mux(late(stream.encode(frame), start, hole))
            output.mux(late(stream.encode(None), start, hole))
        return bytes(file.data) if piped else file.getvalue()

    return write
