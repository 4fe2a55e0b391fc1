"""Every option works in every verb that takes it: a table of verbs and options."""

import io
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from inspect import signature
from pathlib import Path
from typing import Any, get_type_hints

import numpy as np
import pytest
import soundfile
import torch

import sonant
from sonant.api import SpeechEncoder
from sonant.api.option_values import BULK, INFERENCE
from sonant.api.options import BulkOptions, InferenceOptions
from sonant.checkpoints import load_checkpoint
from sonant.errors import ConfigurationError, SonantError, SonantWarning, UnknownName
from sonant.models import WavLMConfig, build
from sonant.pretraining.kmeans import KMeans
from tests.heads import write_classifier, write_ctc, write_frame_classifier, write_masks, write_xvector
from tests.shapes import SMALL

RATE = 16_000
CLUSTERS = KMeans(torch.randn(7, SMALL["dim"], generator=torch.Generator().manual_seed(0)))

VERBS: dict[str, Callable[..., Any]] = {
    "encode": SpeechEncoder.encode,
    "units": lambda encoder, audio, **options: encoder.units(audio, kmeans=CLUSTERS, layer=2, **options),
    "transcribe": SpeechEncoder.transcribe,
    "speaker_vectors": SpeechEncoder.speaker_vectors,
    "verify": lambda encoder, audio, **options: encoder.verify(audio, audio, **options),
    "similarity": lambda encoder, audio, **options: encoder.similarity(audio, audio, **options),
    "diarize": SpeechEncoder.diarize,
    "classify": SpeechEncoder.classify,
    "enhance": SpeechEncoder.enhance,
    "separate": SpeechEncoder.separate,
    "sonant.units": lambda model, audio, **how: sonant.units(audio, model=model, kmeans=CLUSTERS, layer=2, **how),
    "sonant.transcribe": lambda model, audio, **options: sonant.transcribe(audio, model=model, **options),
    "sonant.verify": lambda model, audio, **options: sonant.verify(audio, audio, model=model, **options),
    "sonant.diarize": lambda model, audio, **options: sonant.diarize(audio, model=model, **options),
    "sonant.classify": lambda model, audio, **options: sonant.classify(audio, model=model, **options),
    "sonant.enhance": lambda model, audio, **options: sonant.enhance(audio, model=model, **options),
    "sonant.separate": lambda model, audio, **options: sonant.separate(audio, model=model, **options),
}
BULK_VERBS: dict[str, Callable[..., Any]] = {
    "embed": SpeechEncoder.embed,
    "write_units": lambda encoder, source, output, **options: encoder.write_units(
        source, output, kmeans=CLUSTERS, layer=2, **options
    ),
}
COMPARING = ("verify", "similarity", "sonant.verify")
WRONG = {
    "batch_seconds": 0,
    "window_seconds": -1.0,
    "overlap_seconds": 60.0,
    "precision": "float8",
    "device": "nowhere",
    "channel": "left",
    "on_error": "ignore",
    "batch_secnds": 60,
}
verbs = pytest.mark.parametrize("verb", VERBS)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> SpeechEncoder:
    """A model with a head of each kind."""
    folder = tmp_path_factory.mktemp("heads")
    torch.manual_seed(0)
    writers = (
        write_ctc,
        write_xvector,
        write_frame_classifier,
        write_classifier,
        write_masks,
        partial(write_masks, kind="enhancement"),
    )
    heads = [load_checkpoint(write(folder / str(number))).heads for number, write in enumerate(writers)]
    return SpeechEncoder(
        build(WavLMConfig(**SMALL)).eval(), heads={kind: head for own in heads for kind, head in own.items()}
    )


def noise(seconds: float, channels: int = 2) -> np.ndarray:
    """(samples, channels)."""
    return np.random.default_rng(0).normal(0, 0.1, (round(seconds * RATE), channels)).astype(np.float32)


def as_wav(samples: np.ndarray) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, RATE, format="WAV", subtype="FLOAT")
    return file.getvalue()


def same(one: Any, other: Any) -> bool:
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(np.array_equal(one, other)) if isinstance(one, np.ndarray) else bool(one == other)


def test_every_option_has_a_default() -> None:
    assert set(INFERENCE) == set(get_type_hints(InferenceOptions))
    assert set(BULK) == set(get_type_hints(BulkOptions))


@verbs
@pytest.mark.parametrize("option", WRONG)
def test_a_wrong_value_is_refused(verb: str, option: str, encoder: SpeechEncoder) -> None:
    kind = UnknownName if option in ("precision", "on_error", "batch_secnds") else ConfigurationError
    with pytest.raises(kind, match=option if kind is ConfigurationError else "There is no"):
        VERBS[verb](encoder, [as_wav(noise(0.5))], **{option: WRONG[option]})


@pytest.mark.parametrize("verb", BULK_VERBS)
@pytest.mark.parametrize("option", WRONG)
def test_a_wrong_value_is_refused_before_anything_is_written(
    verb: str, option: str, encoder: SpeechEncoder, tmp_path: Path
) -> None:
    (tmp_path / "a.wav").write_bytes(as_wav(noise(0.5)))
    with pytest.raises(SonantError):
        BULK_VERBS[verb](encoder, tmp_path / "a.wav", tmp_path / "out", **{option: WRONG[option]})
    assert not (tmp_path / "out").exists()


@verbs
def test_sampling_rate_is_that_of_bare_arrays(verb: str, encoder: SpeechEncoder) -> None:
    wave = noise(0.5)[:, 0]
    given = [wave] if verb != "similarity" else [wave.tolist()]  # arrays are vectors there
    expected = VERBS[verb](encoder, [(wave, 8000)])
    assert same(VERBS[verb](encoder, given, sampling_rate=8000), expected)


@verbs
def test_channel_is_the_one_that_is_read(verb: str, encoder: SpeechEncoder) -> None:
    stereo = noise(0.5)
    expected = VERBS[verb](encoder, [as_wav(stereo[:, 1])])
    assert same(VERBS[verb](encoder, [as_wav(stereo)], channel=1), expected)
    if verb not in COMPARING:
        by_channel = VERBS[verb](encoder, [as_wav(np.stack([stereo[:, 1]] * 2, axis=1))], channel="all")
        assert len(by_channel[0]) == 2
        if not verb.endswith("diarize"):  # its speakers are called after the channel
            assert same(by_channel, [[expected[0]] * 2])


@verbs
def test_what_cannot_be_used_is_skipped_and_told(verb: str, encoder: SpeechEncoder) -> None:
    good = as_wav(noise(0.5))
    told: list[tuple[int, str]] = []
    answers = VERBS[verb](
        encoder,
        [good, b"no audio", good],
        on_error="skip",
        on_failure=lambda number, error: told.append((number, type(error).__name__)),
    )
    expected = VERBS[verb](encoder, [good, good])
    if verb == "similarity":
        assert np.isnan(answers[1]).all()
        assert np.isnan(answers[:, 1]).all()
        np.testing.assert_allclose(answers[::2, ::2], expected, atol=1e-6)
        assert told == [(1, "UndecodableAudio"), (4, "UndecodableAudio")]
    else:
        assert [answer is None for answer in answers] == [False, True, False]
        assert {number for number, _ in told} == {1}
    with pytest.warns(SonantWarning, match=r"of \d (pairs of )?recordings could not be used"):
        assert VERBS[verb](encoder, [b"no audio"], on_error="skip") == [None] or verb == "similarity"
    with pytest.warns(SonantWarning, match="could not be used"):
        one = VERBS[verb](encoder, b"no audio", on_error="skip")
    assert np.isnan(one) if verb == "similarity" else one is None
    with pytest.raises(SonantError):
        VERBS[verb](encoder, [good, b"no audio"])


@verbs
def test_progress_is_a_bar_on_stderr(verb: str, encoder: SpeechEncoder, capsys: pytest.CaptureFixture[str]) -> None:
    VERBS[verb](encoder, [as_wav(noise(0.5))])
    assert capsys.readouterr().err == ""
    VERBS[verb](encoder, [as_wav(noise(0.5))], progress=True)
    assert capsys.readouterr().err != ""


@verbs
def test_windows_and_batches_change_little_or_nothing(verb: str, encoder: SpeechEncoder) -> None:
    clips = [as_wav(noise(1.5)), as_wav(noise(0.7))]
    expected = VERBS[verb](encoder, clips)
    answers = VERBS[verb](encoder, clips, batch_seconds=0.8, device="cpu", precision="float32")
    windows = VERBS[verb](encoder, clips, window_seconds=1.0, overlap_seconds=0.5)
    assert len(answers) == len(windows) == len(expected)
    if verb in ("encode", "speaker_vectors"):
        np.testing.assert_allclose(answers[0], expected[0], atol=1e-4)
        assert not np.array_equal(windows[0], expected[0])


def test_similarity_takes_one_vector_a_recording(encoder: SpeechEncoder) -> None:
    good = as_wav(noise(0.5))
    for how in ({"layer": [1, 2]}, {"task": "content"}):
        with pytest.raises(ConfigurationError, match="one vector per recording"):
            encoder.similarity(good, good, **how)
    assert encoder.similarity(good, good, task="content", pool="mean") == pytest.approx(1, abs=1e-5)


def test_similarity_of_nothing_is_a_matrix_without_rows(encoder: SpeechEncoder) -> None:
    good = as_wav(noise(0.5))
    assert encoder.similarity([], [good, good]).shape == (0, 2)
    assert encoder.similarity(good, []).shape == (0,)
    with pytest.warns(SonantWarning, match="1 of 2 recordings"):
        wide = encoder.similarity([good], [b"no audio"], pool="mean+std", on_error="skip")
    assert np.isnan(wide).tolist() == [[True]]


@pytest.mark.parametrize("verb", ["encode", "units", "diarize", "verify", "similarity", "embed", "write_turns"])
def test_a_misspelled_option_is_told_the_verbs_own_names(verb: str, encoder: SpeechEncoder) -> None:
    method = getattr(encoder, verb)
    own = [name for name, one in signature(method).parameters.items() if one.kind is one.KEYWORD_ONLY]
    two = [] if verb in ("encode", "units", "diarize") else ["out"]
    with pytest.raises(UnknownName, match=f"Did you mean '{own[-1]}'"):
        method(b"no audio", *two, **{f"{own[-1]}s": None})


@pytest.mark.slow
def test_an_editor_sees_the_types() -> None:
    root = Path(__file__).parent.parent.parent
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "tests/api/typed_verbs.py"],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
