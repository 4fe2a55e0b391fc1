"""Search of recordings for what a recorded query sounds like (query by example)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Unpack, overload

import numpy as np
import torch
from torch import Tensor

from sonant.api.alignment import TextAlignment
from sonant.api.audio_inputs import AudioInput, AudioInputs
from sonant.api.bulk import Source
from sonant.api.option_values import BULK, INFERENCE, completed
from sonant.api.options import BulkOptions, InferenceOptions
from sonant.api.recordings import listed
from sonant.api.running import answers_of, tell
from sonant.decoding.spoken_terms import LEAST_FRAMES, Match, matches
from sonant.errors import AudioError, ConfigurationError, NoSpeech
from sonant.evaluation.term_detection import normalized_scores
from sonant.extraction.heads import samples_for
from sonant.extraction.request import Layer
from sonant.extraction.sinks import Sink, in_memory
from sonant.extraction.sources import Source as AudioSource
from sonant.extraction.sources import is_many
from sonant.layers.packed import Packed

GROUP_FRAMES = 1 << 16  # of recordings that are searched together


@dataclass(frozen=True)
class SpokenMatch:
    """A place of a recording that sounds like a query.

    Attributes:
        path: of the recording, relative to the folder or manifest that was searched.
        start_seconds, end_seconds: in the recording.
        distance: mean of exp(1 - cosine) - 1 over the frames of the query, 0 if they are the same.
        score: of the recording's nearest place, how many standard deviations it is nearer than the mean of the
            recordings; 0 for a single recording. SUPERB takes 2 or more for a detection.
        channel: of the recording, if one was chosen.
    """

    path: str
    start_seconds: float
    end_seconds: float
    distance: float
    score: float
    channel: int | None = None


class SpokenSearch(TextAlignment):
    """A loaded model with a method that searches recordings for spoken queries."""

    @overload
    def search(  # type: ignore[overload-overlap]  # a str is also a sequence of str
        self,
        queries: AudioInput,
        source: Source,
        *,
        layer: Layer | None = ...,
        top: int = ...,
        per_recording: int = ...,
        index: str | PathLike[str] | None = ...,
        **options: Unpack[BulkOptions],
    ) -> list[SpokenMatch]: ...
    @overload
    def search(
        self,
        queries: AudioInputs,
        source: Source,
        *,
        layer: Layer | None = ...,
        top: int = ...,
        per_recording: int = ...,
        index: str | PathLike[str] | None = ...,
        **options: Unpack[BulkOptions],
    ) -> list[list[SpokenMatch]]: ...
    def search(
        self,
        queries: AudioInput | AudioInputs,
        source: Source,
        *,
        layer: Layer | None = None,
        top: int = 10,
        per_recording: int = 1,
        index: str | PathLike[str] | None = None,
        **options: Unpack[BulkOptions],
    ) -> list[SpokenMatch] | list[list[SpokenMatch]]:
        """Find the places of recordings that sound like a recorded query, or like each in a list.

        Frames of one layer are standardized by mean and deviation over all recordings, and compared by dynamic time
        warping, see `sonant.decoding.spoken_terms`.

        Args:
            queries: as in `encode`: a word or a phrase, cut closely. Of several, unusable ones are told like
                recordings, and have an empty list, unless `on_error` is "raise"; without `on_failure`, a warning tells.
            source: a recording, a folder (searched through), or a manifest.
            layer: a hidden state by number, or "last"; None: that of the preset "content".
            top: most places for a query.
            per_recording: most places of one recording, which do not overlap.
            index: folder for the frames of the recordings, as `embed` writes it, which later searches bring up to date;
                None: a temporary one.
            **options: see `BulkOptions`.

        Returns:
            The places, nearest first; of several queries a list for each.

        Raises:
            AudioError: no usable recordings, or a single query that cannot be used.
            ConfigurationError: the index is of another model or layer; top or per_recording is below 1.
        """
        if min(top, per_recording) < 1:
            raise ConfigurationError(f"top={top} and per_recording={per_recording} were given; expected 1 or more.")
        request = self.request(layer, None, "content" if layer is None else None)
        if request.stacked:
            raise ConfigurationError(f"layer={layer!r} was given; a search compares the frames of one layer.")
        layer = request.layers[0]
        wanted = self._queries(queries, layer, completed(options, BULK, self.search))
        usable = [each for each in wanted if each is not None]
        places: list[list[SpokenMatch]] = [[] for _ in wanted]
        if not usable:
            return places
        with ExitStack() as stack:
            folder = Path(index or stack.enter_context(TemporaryDirectory())).expanduser()
            self.embed(source, folder, layer=layer, format="npy", dtype="float16", **options)
            lines = (folder / "index.jsonl").read_text(encoding="utf-8").splitlines()
            rows: list[dict[str, Any]] = [json.loads(line) for line in lines]
            if not rows:
                raise AudioError(f"None of the recordings of {source} can be used. Their errors were reported.")
            found = iter(_found(usable, rows, folder, per_recording, self._devices[0]))
        places = [[] if each is None else _best(self._places(next(found), rows), top) for each in wanted]
        return places if is_many(queries) else places[0]

    def _queries(self, queries: AudioInput | AudioInputs, layer: Layer, options: BulkOptions) -> list[Tensor | None]:
        """Return the frames (frames, dim) of each query; None for unusable ones of several, which are told.

        Raises AudioError for a single one: TooShortAudio, or NoSpeech for a silent one.
        """
        channel, failures = options["channel"], list[tuple[int, Exception]]()
        given: InferenceOptions = {"channel": None if channel == "all" else channel, "precision": options["precision"]}
        if is_many(queries):
            given |= {
                "on_error": options["on_error"],
                "on_failure": lambda number, error: failures.append((number, error)),
            }
        own = completed(given, INFERENCE, self.search)
        request = self.request(layer, None, None)

        def sink_of(source: AudioSource) -> Sink:
            if not any(block.any() for block in source.blocks()):
                raise NoSpeech(
                    f"{source.name}: the query is silent, and would be found in every pause. Record the word again."
                )
            return in_memory(request)

        least, wanted = samples_for(LEAST_FRAMES, None, self.model), listed(queries)
        found = answers_of(
            self._engine(own),
            wanted,
            request,
            own,
            min_samples=least,
            make_sink=sink_of,
            finish=lambda value: value[0],
        )
        names = [str(each) if isinstance(each, str | PathLike) else f"query {at}" for at, each in enumerate(wanted)]
        on_failure = options["on_failure"]
        tell(
            failures,
            len(found),
            None if on_failure is None else lambda number, error: on_failure(names[number], error),
            noun="queries",
            instead="an empty list",
        )
        return list(found)

    def _places(self, found: list[Match], rows: Sequence[dict[str, Any]]) -> list[SpokenMatch]:
        """Return the places that were found for one query."""
        nearest: dict[int, float] = {}
        for each in found:
            nearest.setdefault(each.recording, each.distance)
        known = sorted(nearest)
        scores = dict(zip(known, normalized_scores([nearest[number] for number in known]), strict=True))
        return [
            SpokenMatch(
                row["path"],
                row.get("offset", 0.0) + each.start_frame / self.frame_rate,
                row.get("offset", 0.0) + each.end_frame / self.frame_rate,
                each.distance,
                scores[each.recording],
                row.get("channel"),
            )
            for each in found
            for row in [rows[each.recording]]
        ]


def _best(places: list[SpokenMatch], top: int) -> list[SpokenMatch]:
    return sorted(places, key=lambda place: place.distance)[:top]


def _found(
    queries: Sequence[Tensor], rows: Sequence[dict[str, Any]], folder: Path, per_recording: int, device: torch.device
) -> list[list[Match]]:
    """Search all recordings of an index, and return the matches of each query."""
    mean, deviation = _moments(folder, rows)
    found: list[list[Match]] = [[] for _ in queries]

    def standardized(frames: Tensor) -> Tensor:
        return ((frames.double() - mean) / deviation).float()

    packed = Packed.pack(map(standardized, queries)).to(device)
    for numbers in _groups(rows):
        recordings = Packed.pack(standardized(_frames(folder, rows[number])) for number in numbers).to(device)
        for each in matches(packed, recordings, per_recording=per_recording):
            found[each.query].append(each._replace(recording=numbers[each.recording]))
    return found


def _frames(folder: Path, row: dict[str, Any]) -> Tensor:
    """Read the frames (frames, dim) of a recording from the index."""
    return torch.from_numpy(np.load(folder / row["file"]).astype(np.float32))


def _moments(folder: Path, rows: Sequence[dict[str, Any]]) -> tuple[Tensor, Tensor]:
    """Compute mean and standard deviation (dim,) over the frames of all recordings, float64."""
    count, total, squares = 0, torch.zeros(()).double(), torch.zeros(()).double()
    for row in rows:
        frames = _frames(folder, row).double()
        count, total, squares = count + len(frames), total + frames.sum(0), squares + (frames**2).sum(0)
    mean = total / count
    return mean, (squares / count - mean**2).clamp(min=0).sqrt().clamp(min=1e-9)


def _groups(rows: Sequence[dict[str, Any]]) -> Iterator[list[int]]:
    """Yield numbers of recordings that are searched together."""
    group: list[int] = []
    held = 0
    for number, row in enumerate(rows):
        if group and held + row["frames"] > GROUP_FRAMES:
            yield group
            group, held = [], 0
        group.append(number)
        held += row["frames"]
    yield group
