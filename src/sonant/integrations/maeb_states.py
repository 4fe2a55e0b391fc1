"""Vectors of every state of a model for a manifest, computed once and kept on disk."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sonant.api.encoder import SpeechEncoder
from sonant.api.options import ComputingOptions
from sonant.data import ManifestEntry, write_manifest
from sonant.data.files import digest
from sonant.data.manifest import is_manifest
from sonant.errors import ManifestError
from sonant.extraction.inputs import gather
from sonant.extraction.names import key_of
from sonant.extraction.request import Layer
from sonant.integrations.state_choice import StateChoice
from sonant.models.identity import fingerprint

Vectors = NDArray[np.float32]


@dataclass(frozen=True)
class PooledStates:
    """Mean and standard deviation of every state of recordings.

    Attributes:
        rows: numbers of the rows of the manifest that could be used.
        layers: the states.
        values: (recordings, layers, 2 * dim).
    """

    rows: Sequence[int]
    layers: tuple[Layer, ...]
    values: Vectors

    def vectors(self, choice: StateChoice, pool: str) -> Vectors:
        """Return the vectors (recordings, width) of some states; `pool`: "mean" or "mean+std"."""
        states = [self.layers.index(layer) for layer in choice.layers]
        width = self.values.shape[2] // (1 if pool == "mean+std" else 2)
        return np.ascontiguousarray(choice.combined(self.values[:, states, :width].swapaxes(0, 1)), np.float32)


class StateStore:
    """The pooled states of one model for manifests, in a folder that every evaluation with that model may use.

    An interrupted computation goes on when it is asked for again; changed recordings are computed again.
    """

    def __init__(self, encoder: SpeechEncoder, folder: Path, options: ComputingOptions) -> None:
        self.encoder, self._options = encoder, options
        self.weights = fingerprint(encoder.model)
        settings = [encoder.precision, *(options.get(name) for name in ("precision", "window_seconds"))]
        kind = digest(f"{self.weights} {settings} {options.get('overlap_seconds')}")
        self._folder = folder / f"{Path(encoder.name).name}-{kind}"

    def of(self, manifest: Path, entries: Sequence[ManifestEntry], failures: dict[str, str]) -> PooledStates:
        """Compute the states of the recordings of a manifest, or read them.

        Args:
            manifest: a file, or a folder that is a corpus.
            entries: its rows.
            failures: gets a message for each recording that cannot be used, by its name.

        Raises ManifestError: none can be used.
        """
        place = self._folder / f"{manifest.stem}-{digest(str(manifest.resolve()))}"
        listed = manifest
        if not is_manifest(manifest):
            listed = place.with_name(f"{place.name}.jsonl")
            listed.parent.mkdir(parents=True, exist_ok=True)
            write_manifest(listed, entries)
        layers: tuple[Layer, ...] = (*range(self.encoder.num_layers + 1), "last")
        self.encoder.embed(
            listed,
            place,
            layer=list(layers),
            pool="mean+std",
            on_error="skip",
            on_failure=lambda name, error: failures.__setitem__(name, str(error)),
            **self._options,
        )
        lines = (place / "index.jsonl").read_text(encoding="utf-8").splitlines()
        recordings = gather(listed, sampling_rate=self.encoder.sampling_rate)
        row_of = {recording.key: row for row, recording in enumerate(recordings)}
        if not lines or len(recordings) != len(entries):
            first = next(iter(failures.values()), "the manifest changed while it was read")
            raise ManifestError(f"No recording of {manifest} can be used. The first: {first}")
        values = np.load(place / "vectors.npy", mmap_mode="r")
        return PooledStates([row_of[key_of(json.loads(line))] for line in lines], layers, values)
