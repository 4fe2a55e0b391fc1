"""Laws of extraction: order, batch mates, windows, memory that runs out, recordings that fail."""

import io
import sys
import threading
from dataclasses import replace

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sonant.errors import AudioError, ConfigurationError, NonFiniteAudio, TooShortAudio, UnknownName
from sonant.extraction.batching import usual_batch_seconds
from sonant.extraction.engine import Engine, collect
from sonant.extraction.pooling import POOLS
from sonant.extraction.request import EncodeRequest, resolve_layers
from sonant.extraction.sources import AudioSource
from sonant.models import W2vBERT2, W2vBERT2Config, WavLMConfig, build
from tests.shapes import SMALL

RATE = 16_000
TINY = WavLMConfig(**SMALL | {"num_layers": 3})
ALL = EncodeRequest(layers=(0, 1, 2, 3, "last"), stacked=True)


def speech(seconds: float, seed: int = 0) -> np.ndarray:
    """Noise whose loudness wanders, so that windows differ from the whole if they are normalized alone."""
    rng = np.random.default_rng(seed)
    samples = round(seconds * RATE)
    loudness = np.exp(np.interp(np.arange(samples), np.linspace(0, samples, 9), rng.normal(0, 1, 9)))
    return (0.02 * loudness * rng.standard_normal(samples) + 0.004).astype(np.float32)


def sources(*clips: object) -> list[AudioSource]:
    return [AudioSource(clip, RATE) for clip in clips]


def encode(
    engine: Engine, request: EncodeRequest, *clips: object, on_error: str = "raise"
) -> list[torch.Tensor | None]:
    return collect(engine, sources(*clips), request, on_error=on_error)[0]


def test_a_clip_alone_is_the_clip_in_a_batch_on_every_layer_and_order_is_kept(tiny_wavlm) -> None:
    engine = Engine([tiny_wavlm])
    clips = [speech(seconds, i) for i, seconds in enumerate((1.0, 0.1, 3.3, 0.025, 2.0, 0.7))]
    together = encode(engine, ALL, *clips)
    for clip, result in zip(clips, together, strict=True):
        (alone,) = encode(engine, ALL, clip)
        assert result.shape == (5, (len(clip) - 400) // 320 + 1, 32)
        assert (result - alone).norm() <= 1e-5 * alone.norm()


def test_layers_come_in_the_order_asked_for(tiny_wavlm) -> None:
    engine, clip = Engine([tiny_wavlm]), speech(1)
    (states,) = encode(engine, ALL, clip)
    (picked,) = encode(engine, EncodeRequest(layers=(3, 1, 3), stacked=True), clip)
    torch.testing.assert_close(picked, states[[3, 1, 3]])


@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize("seconds", [1.3, 7.9])
def test_pooled_is_the_pooling_of_the_frames(tiny_wavlm, pool: str, seconds: float) -> None:
    """Also in windows, where frames are never held together."""
    engine, clip = Engine([tiny_wavlm]), speech(seconds)
    cutting = {"window_seconds": 3.0, "overlap_seconds": 1.0}
    (frames,) = encode(engine, EncodeRequest(layers=(0, 2), stacked=True, **cutting), clip)
    (pooled,) = encode(engine, EncodeRequest(layers=(0, 2), stacked=True, pool=pool, **cutting), clip)
    parts = {
        "mean": [frames.mean(1)],
        "max": [frames.amax(1)],
        "mean+std": [frames.mean(1), frames.std(1, correction=0)],
    }
    torch.testing.assert_close(pooled, torch.cat(parts[pool], -1), rtol=1e-5, atol=1e-6)


def test_normalize_gives_unit_vectors(tiny_wavlm) -> None:
    engine, clip = Engine([tiny_wavlm]), speech(1)
    (frames,) = encode(engine, EncodeRequest(normalize=True), clip)
    torch.testing.assert_close(frames.norm(dim=-1), torch.ones(frames.shape[:2]))


@settings(deadline=None, max_examples=40)
@given(
    samples=st.integers(400, 60_000),
    window=st.floats(0.1, 2.0),
    overlap=st.floats(0, 0.7),
    normalize=st.booleans(),
    offset=st.floats(-0.5, 0.5),
)
def test_windows_give_frame_i_of_the_whole(
    Averager, samples: int, window: float, overlap: float, normalize: bool, offset: float
) -> None:
    """Where frames see their own samples alone, stitched equals whole: no frame is lost, moved or doubled."""
    wave = speech(samples / RATE, samples)[:samples] + np.float32(offset)
    engine = Engine([Averager(normalize=normalize)])
    (whole,) = encode(engine, EncodeRequest(layers=(0, "last"), stacked=True, window_seconds=None), wave)
    cutting = {"window_seconds": window, "overlap_seconds": overlap * (window - 0.08)}
    (stitched,) = encode(engine, EncodeRequest(layers=(0, "last"), stacked=True, **cutting), wave)
    torch.testing.assert_close(stitched, whole, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize("norm", ["group", "layer"])
def test_stitched_frames_are_near_those_of_the_whole(norm: str, normalize: bool) -> None:
    """Convolutions and norms are exact where the overlap covers their reach; attention alone sees less than the whole.

    Layer 0 lies before the first attention. The positional convolution reaches 8 frames to each side here.
    """
    torch.manual_seed(0)
    engine = Engine([build(replace(TINY, extractor_norm=norm, normalize=normalize)).eval()])
    clip = speech(12)
    (whole,) = encode(engine, EncodeRequest(layers=(0, 1, 2, 3), stacked=True, window_seconds=None), clip)
    distances = []
    for overlap in (0.0, 0.4, 2.0):
        request = EncodeRequest(layers=(0, 1, 2, 3), stacked=True, window_seconds=4.0, overlap_seconds=overlap)
        (stitched,) = encode(engine, request, clip)
        assert stitched.shape == whole.shape
        distances.append(
            [float((one - other).norm() / other.norm()) for one, other in zip(stitched, whole, strict=True)]
        )
    assert distances[0][0] > 0.005
    assert distances[1][0] < 1e-5
    assert distances[2][0] < 1e-5
    assert max(distances[2]) < 0.02


def conformer() -> W2vBERT2:
    torch.manual_seed(0)
    backbone = build(W2vBERT2Config(dim=24, num_layers=2, num_heads=3, feed_forward_dim=32, conv_kernel=7))
    assert isinstance(backbone, W2vBERT2)
    return backbone.eval()


def test_mel_energies_of_windows_are_normalized_as_those_of_the_whole() -> None:
    """Layer 0 of w2v-BERT 2.0 is exact in windows without any overlap: a frame is made of its own samples alone."""
    engine, clip = Engine([conformer()]), speech(12)
    (whole,) = encode(engine, EncodeRequest(layers=(0,), window_seconds=None), clip)
    (stitched,) = encode(engine, EncodeRequest(layers=(0,), window_seconds=4.0, overlap_seconds=0.0), clip)
    assert stitched.shape == whole.shape == (1, (len(clip) - 240) // 320, 24)
    assert (stitched - whole).norm() < 1e-5 * whole.norm()
    (alone,) = encode(engine, EncodeRequest(layers=(0,)), clip[4 * RATE : 8 * RATE])
    assert (alone - whole[:, 200 : 200 + alone.shape[1]]).norm() > 0.05 * alone.norm()


def test_weights_of_half_precision_hear_samples_of_full() -> None:
    """A quiet partial under a loud one would be lost if the samples themselves were rounded to 8 bits."""
    time = np.arange(2 * RATE) / RATE
    quiet = 1e-3 * np.sin(2 * np.pi * 3000 * time) * (1 + np.sin(2 * np.pi * 3 * time))
    clip = (np.sin(2 * np.pi * 200 * time) + quiet).astype(np.float32)
    request = EncodeRequest(layers=(0,), stacked=True)
    (full,), (half,) = (
        encode(Engine([conformer()]), request, clip),
        encode(Engine([conformer().bfloat16()]), request, clip),
    )
    assert (half - full).norm() < 0.02 * full.norm()


def allocators_error() -> Exception:
    """What the allocator of this CPU says when it is asked for too much."""
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 55, dtype=torch.uint8)
    return caught.value


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("not that much"),
        torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        RuntimeError("CUDA error: out of memory"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        MemoryError("Unable to allocate 2.00 GiB for an array"),
        allocators_error(),
    ],
    ids=lambda error: f"{type(error).__name__}: {str(error)[-40:]}",
)
def test_memory_that_runs_out_halves_the_budget_and_changes_nothing(Averager, error: Exception) -> None:
    clips = [speech(seconds, i) for i, seconds in enumerate((1.0, 0.9, 0.8, 0.7, 0.6, 0.5))]
    request = EncodeRequest(batch_seconds=10)
    roomy, narrow = Averager(), Averager(room_samples=2 * RATE, error=error)
    expected = encode(Engine([roomy]), request, *clips)
    got = encode(Engine([narrow]), request, *clips)
    for one, other in zip(expected, got, strict=True):
        torch.testing.assert_close(one, other)
    assert len(roomy.passes) == 1
    assert [sum(sizes) > 2 * RATE for sizes in narrow.passes].count(True) <= 2


def test_one_clip_that_does_not_fit_names_the_cure(Averager) -> None:
    with pytest.raises(ConfigurationError, match="window_seconds=5"):
        encode(Engine([Averager(room_samples=RATE)]), EncodeRequest(batch_seconds=100), speech(10))


def test_other_errors_of_the_model_are_not_taken_for_lack_of_memory(Averager, tiny_wavlm) -> None:
    class Broken(Averager):
        def forward(self, speech, *, layers=None, statistics=None):
            raise RuntimeError("shape mismatch")

    with pytest.raises(RuntimeError, match="shape mismatch"):
        encode(Engine([Broken()]), EncodeRequest(), speech(1))


def test_bad_recordings_are_skipped_in_place_or_raised(Averager) -> None:
    engine = Engine([Averager()])
    bad = speech(1)
    bad[77] = np.nan
    clips = [speech(1), bad, "nowhere.wav", speech(0.01), b"no audio at all", speech(2)]
    results, failures = collect(engine, sources(*clips), EncodeRequest(), on_error="skip")
    assert [result is not None for result in results] == [True, False, False, False, False, True]
    assert [failure.item for failure in failures] == [1, 2, 3, 4]
    assert isinstance(failures[0].error, NonFiniteAudio)
    assert isinstance(failures[2].error, TooShortAudio)
    with pytest.raises(AudioError) as caught:
        collect(engine, sources(speech(1), bad), EncodeRequest())
    assert "recording 1" in caught.value.__notes__[0]


def test_a_long_recording_that_breaks_halfway_is_skipped(Averager) -> None:
    bad = speech(30)
    bad[-5] = np.inf
    request = EncodeRequest(window_seconds=2, overlap_seconds=0.5)
    results, failures = collect(Engine([Averager()]), sources(bad, speech(1)), request, on_error="skip")
    assert results[0] is None
    assert results[1] is not None
    assert isinstance(failures[0].error, NonFiniteAudio)


def test_a_format_whose_package_is_missing_is_one_recording_s_fault(Averager, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    m4a = b"\0\0\0\x20ftypM4A " + bytes(64)
    results, failures = collect(Engine([Averager()]), sources(speech(1), m4a), EncodeRequest(), on_error="skip")
    assert [result is None for result in results] == [False, True]
    assert "pip install 'av" in str(failures[0].error)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # soundfile's callback swallows it
def test_a_disk_that_fails_while_reading_is_one_recording_s_fault_and_while_writing_it_is_not(Averager) -> None:
    class Failing(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if self.tell() > 100_000:
                raise OSError(5, "Input/output error")
            return super().read(size)

    file = io.BytesIO()
    soundfile.write(file, speech(20), RATE, format="WAV", subtype="FLOAT")
    request = EncodeRequest(window_seconds=5, overlap_seconds=1)
    results, failures = collect(Engine([Averager()]), sources(Failing(file.getvalue())), request, on_error="skip")
    assert results == [None]
    assert isinstance(failures[0].error, AudioError)

    class FullDisk:
        def append(self, frames) -> None:
            raise OSError(28, "No space left on device")

        def abandon(self) -> None:
            pass

    engine, source = Engine([Averager()]), sources(speech(20))
    batches = engine.plan([20.0], request)
    with pytest.raises(OSError, match="No space left"):
        list(engine.run(source, batches, request, lambda *_, **__: FullDisk(), on_error="skip"))


def test_decoding_goes_on_while_a_batch_is_computed(Averager) -> None:
    decoded = threading.Event()

    class Waiting(Averager):
        def forward(self, speech, *, layers=None, statistics=None):
            assert decoded.wait(timeout=10)  # of the last recording, while the first is computed
            return super().forward(speech, layers=layers, statistics=statistics)

    class Telling(AudioSource):
        def read(self):
            samples = super().read()
            decoded.set()
            return samples

    waveforms = [speech(1.0 - 0.1 * i, i) for i in range(3)]
    recordings = [*sources(*waveforms[:2]), Telling(waveforms[2], RATE)]
    results, _ = collect(Engine([Waiting()]), recordings, EncodeRequest(batch_seconds=0.1))
    assert len(results) == 3


def test_the_batches_suit_the_device(Averager) -> None:
    engine = Engine([Averager()])
    assert engine.batch_seconds(EncodeRequest()) == usual_batch_seconds(None)
    assert engine.batch_seconds(EncodeRequest(batch_seconds=7)) == 7
    by_memory = [usual_batch_seconds(size * 10**9) for size in (1, 8, 24, 80, 141)]
    assert by_memory == sorted(by_memory)
    assert by_memory[0] >= usual_batch_seconds(None)
    assert by_memory[-2] == by_memory[-1]


def test_several_devices_share_the_work_and_keep_the_order(Averager) -> None:
    first, second = Averager(), Averager()
    clips = [speech(0.2 + 0.05 * i, i) for i in range(40)]
    results = encode(Engine([first, second]), EncodeRequest(batch_seconds=0.5), *clips)
    alone = encode(Engine([Averager()]), EncodeRequest(), *clips)
    for one, other in zip(results, alone, strict=True):
        torch.testing.assert_close(one, other)
    assert len(first.passes) + len(second.passes) >= 20


def test_devices_share_the_windows_of_a_long_recording(Averager) -> None:
    meeting = threading.Barrier(2, timeout=10)  # passes only if both devices are at work at once

    class Meeting(Averager):
        def forward(self, speech, *, layers=None, statistics=None):
            if not self.passes:
                meeting.wait()
            return super().forward(speech, layers=layers, statistics=statistics)

    request = EncodeRequest(batch_seconds=2, window_seconds=2, overlap_seconds=0.5)
    (shared,) = encode(Engine([Meeting(), Meeting()]), request, speech(30))
    (alone,) = encode(Engine([Averager()]), request, speech(30))
    torch.testing.assert_close(shared, alone)


@pytest.mark.parametrize("model", ["group norm", "normalized", "mel energies"])
def test_windows_of_several_recordings_share_a_pass(model: str) -> None:
    """Each is normalized by the statistics of its own recording."""
    torch.manual_seed(0)
    backbone = conformer() if model == "mel energies" else build(replace(TINY, normalize=model == "normalized")).eval()
    passes = []
    backbone.register_forward_pre_hook(lambda _, args: passes.append(len(args[0])))
    clips = [speech(seconds, i) * (1 + i) for i, seconds in enumerate((5.0, 1.0, 7.5, 3.0))]
    request = EncodeRequest(layers=(0, 2), stacked=True, window_seconds=3.0, overlap_seconds=1.0, batch_seconds=30)
    together = encode(Engine([backbone]), request, *clips)
    assert passes == [3 + 1 + 4 + 1]
    for clip, result in zip(clips, together, strict=True):
        (alone,) = encode(Engine([backbone]), replace(request, batch_seconds=3.0), clip)
        assert result.shape == alone.shape
        assert (result - alone).norm() <= 1e-5 * alone.norm()


def test_layer_names_are_checked() -> None:
    assert resolve_layers("all", 2) == ((0, 1, 2), True)
    assert resolve_layers(1, 2) == ((1,), False)
    assert resolve_layers(["last", 0], 2) == (("last", 0), True)
    for unknown in (3, -1, "first", True, [0, 9], 1.5):
        with pytest.raises(UnknownName, match=r"Known: 0, 1, 2, last, all\."):
            resolve_layers(unknown, 2)
    with pytest.raises(ConfigurationError, match="empty"):
        resolve_layers([], 2)


@pytest.mark.parametrize(
    "wrong",
    [
        {"pool": "median"},
        {"batch_seconds": 0},
        {"window_seconds": -1},
        {"batch_seconds": float("nan")},
    ],
)
def test_requests_are_checked(wrong: dict) -> None:
    with pytest.raises((ConfigurationError, UnknownName), match=str(next(iter(wrong.values())))):
        EncodeRequest(**wrong)


def test_windows_that_do_not_move_on_are_refused(Averager) -> None:
    with pytest.raises(ConfigurationError, match="overlap"):
        encode(Engine([Averager()]), EncodeRequest(window_seconds=1, overlap_seconds=1), speech(3))
