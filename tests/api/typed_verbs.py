"""The types that a user's editor sees: `mypy` checks this file, in `make check` and by a test; nothing runs it."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, assert_type

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

import sonant
from sonant import SpeakerTurn, SpeechEncoder, Transcript, Verification
from sonant.extraction.summary import Summary
from sonant.extraction.units import Units

Frames = NDArray[np.float32]
Codes = NDArray[np.int64]


def one_recording_has_one_answer(encoder: SpeechEncoder, wave: np.ndarray, tensor: Tensor, file: BinaryIO) -> None:
    assert_type(encoder.encode("a.wav"), Frames)
    assert_type(encoder.encode(Path("a.wav"), layer=[4, 5], pool="mean", normalize=True), Frames)
    assert_type(encoder.encode(b"RIFF", task="speaker", batch_seconds=60), Frames)
    assert_type(encoder.encode(wave, sampling_rate=8000), Frames)
    assert_type(encoder.encode(tensor, channel=1, window_seconds=None), Frames)
    assert_type(encoder.encode([0.0, 0.5]), Frames)
    assert_type(encoder.encode((wave, 16_000)), Frames)
    assert_type(encoder.encode((16_000, wave)), Frames)
    assert_type(encoder.encode({"array": wave, "sampling_rate": 16_000}), Frames)
    assert_type(encoder.encode(file, to="torch"), Tensor)
    assert_type(encoder.units("a.wav", kmeans="kmeans.safetensors", layer=5), Codes)
    assert_type(encoder.units("a.wav", deduplicate=True), Units)
    assert_type(encoder.transcribe("a.wav"), Transcript)
    assert_type(encoder.transcribe("a.wav", lm="lm.arpa", hot_words=["NASA"], n_best=3), Transcript)
    assert_type(encoder.emissions("a.wav"), Frames)
    assert_type(encoder.speaker_vectors("a.wav"), Frames)
    assert_type(encoder.verify("a.wav", wave, threshold=0.5), Verification)
    assert_type(encoder.diarize("a.wav", num_speakers=2), list[SpeakerTurn])
    assert_type(encoder.classify("a.wav"), dict[str, float])
    assert_type(encoder.similarity("a.wav", Path("b.wav")), float)


def several_recordings_have_a_list(
    encoder: SpeechEncoder, paths: Sequence[Path], waves: list[np.ndarray], files: Iterator[BinaryIO]
) -> None:
    assert_type(encoder.encode(paths), list[Frames])
    assert_type(encoder.encode(waves), list[Frames])
    assert_type(encoder.encode(["a.wav", "b.wav"], to="torch"), list[Tensor])
    assert_type(encoder.units(["a.wav"]), list[Codes])
    assert_type(encoder.units(["a.wav"], deduplicate=True), list[Units])
    assert_type(encoder.transcribe(files), list[Transcript])
    assert_type(encoder.transcribe(files, beam=5, lm_weight=1), list[Transcript])
    assert_type(encoder.speaker_vectors([(waves[0], 8000)]), list[Frames])
    assert_type(encoder.verify(paths, paths), list[Verification])
    assert_type(encoder.diarize(paths), list[list[SpeakerTurn]])
    assert_type(encoder.classify(["a.wav", b"RIFF", waves[0]]), list[dict[str, float]])
    assert_type(encoder.similarity(paths, "a.wav"), Frames)
    assert_type(encoder.similarity("a.wav", paths), Frames)


def what_cannot_be_used_is_none(encoder: SpeechEncoder, paths: list[str]) -> None:
    assert_type(encoder.encode(paths, on_error="skip"), list[Frames | None])
    assert_type(encoder.units(paths, on_error="skip"), list[Codes | None])
    assert_type(encoder.transcribe(paths, on_error="skip"), list[Transcript | None])
    assert_type(encoder.speaker_vectors(paths, on_error="skip"), list[Frames | None])
    assert_type(encoder.verify(paths, paths, on_error="skip"), list[Verification | None])
    assert_type(encoder.diarize(paths, on_error="skip"), list[list[SpeakerTurn] | None])
    assert_type(encoder.classify(paths, on_error="skip"), list[dict[str, float] | None])


def functions_are_typed_as_the_methods(encoder: SpeechEncoder, paths: list[str]) -> None:
    model = "microsoft/wavlm-base-plus-sv"
    assert_type(sonant.load(model, device="cpu"), SpeechEncoder)
    assert_type(sonant.units("a.wav", model=encoder, layer=2), Codes)
    assert_type(sonant.units(paths, model=encoder), list[Codes])
    assert_type(sonant.transcribe("a.wav", model=model, language="fra"), Transcript)
    assert_type(sonant.transcribe(paths, model=model, precision="bfloat16"), list[Transcript])
    assert_type(sonant.verify("a.wav", "b.wav", model=model), Verification)
    assert_type(sonant.verify(paths, paths, model=model), list[Verification])
    assert_type(sonant.diarize("a.wav", model=model, num_speakers=2), list[SpeakerTurn])
    assert_type(sonant.diarize(paths, model=model), list[list[SpeakerTurn]])
    assert_type(sonant.classify("a.wav", model=model), dict[str, float])
    assert_type(sonant.enhance("a.wav", model=model), Frames)
    assert_type(sonant.separate(paths, model=model), list[Frames])
    assert_type(sonant.classify(paths, model=model), list[dict[str, float]])


def files_have_a_summary(encoder: SpeechEncoder) -> None:
    assert_type(encoder.embed("talks", "vectors", pool="mean", on_error="skip"), Summary)
    assert_type(encoder.write_units("talks", "units", deduplicate=True), Summary)


def mistakes_are_seen(encoder: SpeechEncoder, answer: Any) -> None:
    encoder.encode("a.wav", batch_secnds=60)  # type: ignore[call-overload]
    encoder.encode("a.wav", pool="median")  # type: ignore[call-overload]
    encoder.transcribe(3)  # type: ignore[call-overload]
    encoder.transcribe("a.wav", on_error="ignore")  # type: ignore[call-overload]
    encoder.transcribe("a.wav", hot_words=3)  # type: ignore[call-overload]
    encoder.embed("talks", "vectors", sampling_rate=8000)  # type: ignore[call-arg]
