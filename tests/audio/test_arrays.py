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
from sonant.errors import EmptyAudio, NonFiniteAudio, UndecodableAudio

FULL_SCALE = {"int8": 2**7, "int16": 2**15, "int32": 2**31}
dtypes = st.sampled_from(["int8", "uint8", "int16", "uint16", ">i2", "int32", "uint32", "float16", ">f4", "float64"])


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
    np.testing.assert_allclose(audio.read(array), values, atol=tolerance)
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
    np.testing.assert_array_equal(audio.read(samples.T), audio.read(samples))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_tensors(dtype, speechlike):
    tensor = torch.from_numpy(speechlike(0.1, channels=2)).T.to(dtype)
    expected = tensor.double().mean(0).numpy()
    np.testing.assert_allclose(audio.read(tensor), expected, atol=1e-7)
    np.testing.assert_allclose(audio.read(tensor.clone().requires_grad_()), expected, atol=1e-7)
    integers = (tensor.float() * 32768).to(torch.int16)
    np.testing.assert_array_equal(audio.read(integers), audio.read(integers.numpy()))


def test_lists_of_numbers():
    numbers = [0.5, -0.25] * 300
    np.testing.assert_array_equal(audio.read(numbers), np.array(numbers, np.float32))
    np.testing.assert_array_equal(audio.read({"array": numbers, "sampling_rate": 16000}), np.array(numbers, np.float32))


def test_the_rate_of_a_mapping_goes_before_source_rate_and_that_before_sampling_rate():
    samples = np.ones(8000)
    assert len(audio.read(samples)) == 8000
    assert len(audio.read(samples, sampling_rate=8000)) == 8000
    assert len(audio.read(samples, source_rate=8000)) == 16000
    assert len(audio.read({"array": samples, "sampling_rate": 4000}, source_rate=8000)) == 32000
    assert len(audio.read({"array": samples, "sampling_rate": None}, source_rate=8000)) == 16000


@pytest.mark.parametrize("shape", [(0,), (0, 2), (2, 0), (0, 0, 0)])
def test_no_samples(shape):
    with pytest.raises(EmptyAudio, match="no samples"):
        audio.read(np.zeros(shape))


@pytest.mark.parametrize(
    ("values", "why"),
    [
        (np.zeros((2, 3, 4)), "one recording"),
        (np.float32(3), "one recording"),
        (np.zeros((200, 16000)), "batch"),
        (np.zeros(500, np.int64), "int64"),
        (torch.zeros(500, dtype=torch.long), "int64"),
        ([0, 100, -100] * 200, "int64"),
        (np.zeros(500, bool), "bool"),
        (np.zeros(500, np.complex64), "complex"),
        (["a.wav", "b.wav"], "one by one"),
        ([np.zeros(3), np.zeros(4)], "could not be read"),
        (np.array([None] * 500), "object"),
    ],
)
def test_what_is_no_recording_is_refused_with_the_reason(values, why):
    with pytest.raises(UndecodableAudio, match=why):
        audio.read(values)


def test_numbers_too_large_for_float32_are_not_finite():
    with pytest.raises(NonFiniteAudio):
        audio.read(np.full(500, 1e300))
