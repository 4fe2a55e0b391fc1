"""Samples of the states of a model on a corpus, computed in parts that are kept on disk, and read by layer.

Each part is a folder of .npy files, renamed into place when it is complete, so that an analysis that was stopped goes
on after the last complete part. Arrays begin with the layers, so that one layer is read without the others.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sonant.analysis.plan import PlannedSegment, SamplePlan
from sonant.analysis.sample_sink import RecordingSample, SampleSink
from sonant.analysis.timed_labels import Tier
from sonant.data.settings import write_or_check_settings
from sonant.extraction.engine import Engine, OnError
from sonant.extraction.request import EncodeRequest
from sonant.extraction.sinks import Sink
from sonant.extraction.sources import Source
from sonant.layers.frame_grid import FrameGrid

Floats = npt.NDArray[np.float32]
PART_RECORDINGS = 64
ABOUT = "about.json"
LAYERED = ("pooled", "frames", "segments", "abx")
FLAT = ("mel", "level", "pitch", "mel_pooled", "abx_sizes")


@dataclass(frozen=True, eq=False)
class LayerSamples:
    """The samples of a corpus.

    Attributes:
        recordings: numbers of the usable recordings, in order.
        failures: errors of the others, by number.
        num_layers: of states, with that of number 0.
    """

    folder: Path
    plan: SamplePlan
    recordings: tuple[int, ...]
    failures: dict[int, str]
    num_layers: int
    _parts: tuple[Path, ...]

    def pooled(self, layer: int) -> Floats:
        """Return mean and deviation of the frames of each usable recording: (recordings, 2 dim)."""
        return self._layer("pooled", layer)

    def frames(self, layer: int) -> Floats:
        """Return the drawn frames of all usable recordings: (frames, dim)."""
        return self._layer("frames", layer)

    def segments(self, layer: int, tier: Tier) -> Floats:
        """Return the means of the segments of `segments_of`: (segments, dim)."""
        is_of_tier = [each.tier == tier for each in self._in_order(self.plan.segments)]
        return self._layer("segments", layer)[np.array(is_of_tier, dtype=bool)]

    def segments_of(self, tier: Tier) -> list[PlannedSegment]:
        """Return the segments of a tier whose means are kept, in order."""
        return [each for each in self._in_order(self.plan.segments) if each.tier == tier]

    def abx_segments(self, layer: int, tier: Tier) -> dict[int, Floats]:
        """Return the frames (frames, dim) of ABX items by their number, of usable recordings."""
        sizes = self.of_frames("abx_sizes").astype(np.int64)
        ends = np.cumsum(sizes)
        frames = self._layer("abx", layer)
        number = {id(each): place for place, each in enumerate(self.plan.abx_order.get(tier, ()))}
        return {
            number[id(each)]: frames[end - size : end]
            for each, size, end in zip(self._in_order(self.plan.abx), sizes, ends, strict=True)
            if id(each) in number and size
        }

    def of_frames(self, name: str) -> Floats:
        """Return mel, level or pitch of the drawn frames, or `mel_pooled` of the recordings."""
        return np.concatenate([np.load(part / f"{name}.npy") for part in self._parts])

    def recording_of_frames(self) -> npt.NDArray[np.int64]:
        """Return the number of the recording of each drawn frame (frames,)."""
        return np.concatenate([np.load(part / "frame_recordings.npy") for part in self._parts])

    def phone_of_frames(self) -> npt.NDArray[np.str_]:
        """Return the phone of each drawn frame, "" where it is unknown (frames,)."""
        return np.concatenate([np.load(part / "frame_phones.npy") for part in self._parts])

    def _layer(self, name: str, layer: int) -> Floats:
        return np.concatenate([np.load(part / f"{name}.npy", mmap_mode="r")[layer] for part in self._parts])

    def _in_order(self, by_recording: Sequence[Sequence[PlannedSegment]]) -> list[PlannedSegment]:
        return [each for number in self.recordings for each in by_recording[number]]


def compute_samples(
    engine: Engine,
    sources: Sequence[Source],
    seconds: Sequence[float | None],
    plan: SamplePlan,
    folder: Path,
    settings: Mapping[str, Any],
    request: EncodeRequest,
    *,
    on_error: OnError = "skip",
    progress: Callable[[float], None] = lambda _: None,
) -> LayerSamples:
    """Compute the samples of recordings, or go on where an earlier call was stopped.

    Args:
        seconds: durations; None: the recording is left out.
        settings: that determine the samples; others in the folder are refused.
        request: with all layers.

    Raises ConfigurationError: the folder has samples of other settings.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_or_check_settings(folder / "settings.json", settings, has_results=any(folder.glob("part-*")))
    parts, recordings, failures = [], list[int](), dict[int, str]()
    for start in range(0, len(sources), PART_RECORDINGS):
        items = [each for each in range(start, min(start + PART_RECORDINGS, len(sources))) if seconds[each] is not None]
        part = folder / f"part-{start // PART_RECORDINGS:06d}"
        about = _complete(part, items)
        if about is None:
            about = _compute_part(engine, sources, seconds, plan, part, items, request, on_error, progress)
        else:
            progress(sum(seconds[each] or 0.0 for each in items))
        failures |= {int(number): message for number, message in about["failures"].items()}
        if about["usable"]:
            parts.append(part)
            recordings += about["usable"]
    return LayerSamples(folder, plan, tuple(recordings), failures, len(request.layers), tuple(parts))


def _complete(part: Path, items: Sequence[int]) -> dict[str, Any] | None:
    """Return what is known of a complete part without failures; None if it is to be computed."""
    try:
        about: dict[str, Any] = json.loads((part / ABOUT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return about if about.get("usable") == list(items) else None


def _compute_part(
    engine: Engine,
    sources: Sequence[Source],
    seconds: Sequence[float | None],
    plan: SamplePlan,
    part: Path,
    items: Sequence[int],
    request: EncodeRequest,
    on_error: OnError,
    progress: Callable[[float], None],
) -> dict[str, Any]:
    grid = FrameGrid(engine.stride, engine.receptive_field)

    def sink(place: int, *, windowed: bool) -> Sink:  # noqa: ARG001 - the sink is the same in windows
        number = items[place]
        return SampleSink(
            sources[number], plan.frames[number], plan.segments[number], plan.abx[number], grid, engine.sampling_rate
        )

    of_part = [sources[number] for number in items]
    batches = engine.plan([seconds[number] for number in items], request)
    found: dict[int, RecordingSample] = {}
    failures: dict[int, str] = {}
    for outcomes in engine.run(of_part, batches, request, sink, on_error=on_error, progress=progress):
        for outcome in outcomes:
            if outcome.error is None:
                found[items[outcome.item]] = outcome.value
            else:
                failures[items[outcome.item]] = str(outcome.error)
    usable = sorted(found)
    about = {"usable": usable, "failures": failures}
    shutil.rmtree(part, ignore_errors=True)
    draft = part.with_name(part.name + ".unfinished")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir()
    if usable:
        _write(draft, [found[number] for number in usable], usable, plan)
    (draft / ABOUT).write_text(json.dumps(about), encoding="utf-8")
    draft.rename(part)
    return about


def _write(folder: Path, samples: Sequence[RecordingSample], usable: Sequence[int], plan: SamplePlan) -> None:
    np.save(folder / "pooled.npy", np.stack([each["pooled"] for each in samples], axis=1))
    for name in LAYERED[1:]:
        np.save(folder / f"{name}.npy", np.concatenate([each[name] for each in samples], axis=1))
    for name in FLAT:
        np.save(folder / f"{name}.npy", np.concatenate([each[name] for each in samples]))
    counts = [len(each["mel"]) for each in samples]
    np.save(folder / "frame_recordings.npy", np.repeat(np.array(usable, dtype=np.int64), counts))
    phones = [
        phone or "" for number, count in zip(usable, counts, strict=True) for phone in plan.frame_phones[number][:count]
    ]
    np.save(folder / "frame_phones.npy", np.array(phones, dtype=np.str_))
