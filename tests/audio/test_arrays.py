"""Arrays of any layout and number type mean the same sound."""

import io

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sonant import audio
from sonant.errors import AudioWarning, EmptyAudio, NonFiniteAudio, UndecodableAudio

FULL_SCALE = {"int8": 2**7, "int16": 2**15, "int32": 2**31}
dtypes = st.sampled_from(["int8", "uint8", "int16", "uint16", ">i2", "int32", "uint32", "float16", ">f4", "float64"])


@pytest.mark.filterwarnings("ignore::sonant.errors.AudioWarning")  # samples as small as 1e-5, as int32
@settings(deadline=None)
@given(
    values=hnp.arrays(np.float32, st.integers(400, 900), elements=st.floats(-1, 1, width=16)),
    dtype=dtypes,
    channels=st.integers(1, 3),
    samples_first=st.booleans(),
    stride=st.integers(1, 3),
)
def test_layout_and_number_type_do_not_matter(values, dtype, channels, samples_first, stride):
    kind = np.dtype(dtype)
    if kind.kind == "f":
        given_as, tolerance = values.astype(kind), 1e-6
    else:
        scale = 2 ** (8 * kind.itemsize - 1)
        whole = np.clip(np.round(values.astype(np.float64) * scale), -scale, scale - 1)
        given_as, tolerance = (whole + (scale if kind.kind == "u" else 0)).astype(kind), 1.01 / scale + 1e-7
    sparse = np.zeros((len(values) * stride, channels), kind)
    sparse[::stride] = given_as[:, None]
    array = sparse[::stride] if samples_first else sparse[::stride].T  # not contiguous
    array.flags.writeable = False
    np.testing.assert_allclose(audio.read(array, channel="mix"), values, atol=tolerance)
    if channels == 1:
        np.testing.assert_array_equal(audio.read(array.reshape(-1)), audio.read(array))


def test_integers_are_what_soundfile_makes_of_the_same_file(encode, speechlike):
    data = encode(speechlike(0.2), 16000, "wav")
    integers, rate = soundfile.read(io.BytesIO(data), dtype="int16")
    np.testing.assert_array_equal(audio.read(integers, source_rate=rate), audio.read(data))


@pytest.mark.parametrize(("dtype", "scale"), FULL_SCALE.items())
def test_full_scale(dtype, scale):
    extremes = np.resize(np.array([-scale, 0, scale - 1], dtype), 600)
    np.testing.assert_allclose(audio.read(extremes)[:3], [-1, 0, 1 - 1 / scale], atol=1e-7)


def test_channels_are_averaged_in_both_layouts(speechlike):
    samples = speechlike(0.1, channels=2)
    np.testing.assert_allclose(audio.read(samples), samples.mean(1), atol=1e-7)
    np.testing.assert_array_equal(audio.read(samples.T, channel="mix"), audio.read(samples))


@pytest.mark.parametrize("k", [2, 4, 64])
def test_what_may_be_a_batch_is_refused_with_both_cures(k):
    batch = np.full((k, 16000), 0.1, np.float32)
    for values in (batch, torch.from_numpy(batch), batch[:, None], batch.tolist()):
        with pytest.raises(UndecodableAudio, match=r'channel="mix".*list\(array\)'):
            audio.read(values)
        with pytest.raises(UndecodableAudio, match=r'channel="mix"'):
            list(audio.blocks(values))


@pytest.mark.parametrize("shape", [(16000,), (1, 16000), (16000, 1), (1, 1, 16000), (16000, 2), (16000, 64)])
def test_what_can_be_no_batch_is_read(shape):
    values = np.linspace(-0.5, 0.5, int(np.prod(shape)), dtype=np.float32).reshape(shape)
    np.testing.assert_allclose(audio.read(values), values.reshape(16000, -1).mean(1), atol=1e-6)
    assert audio.duration(values) == 1.0


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_tensors(dtype, speechlike):
    tensor = torch.from_numpy(speechlike(0.1, channels=2)).to(dtype)
    expected = tensor.double().mean(1).numpy()
    np.testing.assert_allclose(audio.read(tensor), expected, atol=1e-7)
    np.testing.assert_allclose(audio.read(tensor.clone().requires_grad_()), expected, atol=1e-7)
    integers = (tensor.float() * 32768).to(torch.int16)
    np.testing.assert_array_equal(audio.read(integers), audio.read(integers.numpy()))


def test_lists_of_numbers():
    numbers = [0.5, -0.25] * 300
    np.testing.assert_array_equal(audio.read(numbers), np.array(numbers, np.float32))
    np.testing.assert_array_equal(audio.read({"array": numbers, "sampling_rate": 16000}), np.array(numbers, np.float32))


def test_the_rate_of_a_bare_array_is_source_rate_or_sampling_rate():
    samples = np.ones(8000)
    assert len(audio.read(samples)) == 8000
    assert len(audio.read(samples, sampling_rate=8000)) == 8000
    assert len(audio.read(samples, source_rate=8000)) == 16000


@pytest.mark.parametrize("shape", [(0,), (0, 2), (2, 0), (0, 0, 0)])
def test_no_samples(shape):
    with pytest.raises(EmptyAudio, match="no samples"):
        audio.read(np.zeros(shape))


@pytest.mark.parametrize(
    ("values", "why"),
    [
        (np.zeros((2, 3, 4)), "one recording"),
        (np.float32(3), "single number"),
        (np.zeros((200, 16000)), "batch"),
        (np.zeros(500, np.int64), "int64"),
        (torch.zeros(500, dtype=torch.long), "int64"),
        ([0, 100, -100] * 200, "int64"),
        (np.zeros(500, bool), "bool"),
        (np.zeros(500, np.complex64), "complex"),
        (["a.wav", "b.wav"], "one by one"),
        ([np.zeros(3), np.zeros(4)], "could not be read"),
        (np.array([None] * 500), "object"),
        (np.ma.masked_greater(np.linspace(0, 1, 500), 0.5), "filled"),
        (torch.empty(500, device="meta"), "could not be read"),
        ([16000, np.zeros(500)], "tuple"),
        ([[0.1, 0.2], [0.3]], "could not be read"),
    ],
)
def test_what_is_no_recording_is_refused_with_the_reason(values, why):
    with pytest.raises(UndecodableAudio, match=why):
        audio.read(values)


def test_numbers_too_large_for_float32_are_not_finite():
    with pytest.raises(NonFiniteAudio):
        audio.read(np.full(500, 1e300))


@pytest.mark.parametrize("kind", ["wav", "flac", "ogg", "mp3", "tagged mp3", "aiff", "caf", "au", "w64", "rf64"])
def test_the_bytes_of_a_file_are_not_samples(encode, speechlike, kind):
    """Neither in an array, nor as a list of numbers; under the key 'bytes' they are what they say."""
    data = encode(speechlike(0.5), 16000, kind.split()[-1])
    data = b"ID3\x04\x00\x00" + bytes(4) + data if "tagged" in kind else data
    array = np.frombuffer(data, np.uint8)
    for values in (array, array[None], torch.from_numpy(array.copy()), list(data), array.astype(np.int32)):
        with pytest.raises(UndecodableAudio, match=r"bytes\(array\)"):
            audio.read(values)
    np.testing.assert_array_equal(audio.read(bytes(array)), audio.read(data))
    np.testing.assert_array_equal(audio.read({"bytes": array}), audio.read(data))


def test_numbers_at_the_wrong_scale_warn(encode):
    values = np.resize(np.array([100, -32000], np.int32), 600)

    def file(samples):
        written = io.BytesIO()
        soundfile.write(written, samples, 16000, format="WAV", subtype="PCM_32")
        return written.getvalue()

    for source in (values, torch.from_numpy(values), {"array": values, "sampling_rate": 16000}, file(values)):
        with pytest.warns(AudioWarning, match="int16") as told:
            audio.read(source)
        assert len(told) == 1
    audio.read(values * 65536)
    audio.read(file(values * 65536))
    audio.read(np.zeros(600, np.int32))
    floats = values.astype(np.float32)
    for source in (floats, torch.from_numpy(floats), encode(floats[:, None], 16000, "wav-float")):
        with pytest.warns(AudioWarning, match="32768") as told:
            read = audio.read(source)
        assert len(told) == 1
        assert read[1] == -32000
        with pytest.warns(AudioWarning, match="32768"):
            list(audio.blocks(source))
    standardized = np.random.default_rng(0).standard_cauchy(16000).clip(-80, 80)  # to unit variance, with long pauses
    audio.read(standardized)


@pytest.mark.parametrize(("container", "codec"), [("adts", "aac"), ("mp4", "aac"), ("webm", "libopus")])
def test_neither_are_those_that_ffmpeg_reads(encode_av, speechlike, container, codec):
    data = encode_av(speechlike(0.5, 48000)[:, 0], 48000, container, codec)
    with pytest.raises(UndecodableAudio, match=r"bytes\(array\)"):
        audio.read(np.frombuffer(data, np.uint8))


@settings(deadline=None, max_examples=200)
@given(head=st.binary(max_size=12), seed=st.integers(0, 1000))
def test_loud_samples_of_eight_bits_are_samples(head, seed):
    """Also where they begin with the bits of a frame of MPEG audio; only a container's name is taken for one."""
    noise = np.random.default_rng(seed).integers(0, 256, 4000, dtype=np.uint8).tobytes()
    values = np.frombuffer(b"\xff\xfb" + head + noise, np.uint8)
    np.testing.assert_allclose(audio.read(values), (values.astype(float) - 128) / 128)
