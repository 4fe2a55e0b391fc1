"""Emissions of recordings kept in a folder, to be decoded many times."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import file_digest, sha256
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sonant.api.encoder import SpeechEncoder
from sonant.data import ManifestEntry
from sonant.data.files import atomic
from sonant.decoding.results import Transcript
from sonant.extraction.decoders import TranscriptDecoder

GROUP = 64  # recordings whose emissions are computed, or decoded, at once
GROUP_FRAMES = 50_000  # of the recordings that are decoded at once, about 1,000 s


@dataclass(frozen=True, eq=False)
class KeptEmissions:
    """Emissions of recordings in one file, which is read as it is needed.

    Attributes:
        values: float32 (total, tokens), mapped into memory.
        frames: number of frames of each recording; None for one that could not be used.
        failures: messages of those, by name.
    """

    values: np.ndarray
    frames: Sequence[int | None]
    failures: Mapping[str, str]

    @classmethod
    def computed(
        cls, encoder: SpeechEncoder, entries: Sequence[ManifestEntry], folder: Path, options: Mapping[str, Any]
    ) -> KeptEmissions:
        """Compute the emissions of recordings, unless the folder has them already."""
        about, stored = folder / "emissions.json", folder / "emissions.f32"
        if not (about.exists() and stored.exists()):
            frames: list[int | None] = []
            failures: dict[str, str] = {}
            with atomic(stored) as draft, draft.open("wb") as file:
                for start in range(0, len(entries), GROUP):
                    group = list(entries[start : start + GROUP])

                    def fail(number: int, error: Exception, group: Sequence[ManifestEntry] = group) -> None:
                        failures[group[number].name] = str(error)

                    for emission in encoder.emissions(group, on_error="skip", on_failure=fail, **options):
                        frames.append(None if emission is None else len(emission))
                        if emission is not None:
                            file.write(np.ascontiguousarray(emission).data)
            with atomic(about) as draft:
                draft.write_text(json.dumps({"frames": frames, "failures": failures}) + "\n")
        found = json.loads(about.read_text())
        shape = sum(count or 0 for count in found["frames"]), len(encoder.ctc_vocabulary.tokens)
        values = np.memmap(stored, np.float32, "r", shape=shape) if shape[0] else np.zeros(shape)
        return cls(values, found["frames"], found["failures"])

    @staticmethod
    def digest(entries: Sequence[ManifestEntry]) -> str:
        """Return the SHA-256 of the contents of recordings; one that cannot be read counts as empty."""
        digest = sha256()
        for entry in {entry.path: entry for entry in entries}.values():
            try:
                with BytesIO(entry.data) if entry.data is not None else entry.path.open("rb") as file:
                    digest.update(file_digest(file, "sha256").digest())
            except OSError:
                digest.update(b"unreadable")
        return f"sha256:{digest.hexdigest()}"

    def texts(self, decoder: TranscriptDecoder, device: torch.device) -> list[str | None]:
        """Return the text of each recording; None for an unusable one."""
        return [None if each is None else each.text for each in self.transcripts(decoder, device)]

    def transcripts(self, decoder: TranscriptDecoder, device: torch.device) -> list[Transcript | None]:
        """Return the transcript of each recording, decoded in batches of similar length; None for an unusable one."""
        transcripts: list[Transcript | None] = [None] * len(self.frames)
        for rows in self._batches():
            found = decoder([(self._emission(row).to(device), 0.0) for row in rows])
            for row, transcript in zip(rows, found, strict=True):
                transcripts[row] = transcript
        return transcripts

    @cached_property
    def _ends(self) -> list[int]:
        return [0, *np.cumsum([count or 0 for count in self.frames]).tolist()]

    def _emission(self, row: int) -> Tensor:
        start, end = self._ends[row : row + 2]
        return torch.from_numpy(np.array(self.values[start:end]))

    def _batches(self) -> Iterator[list[int]]:
        known = [(count, row) for row, count in enumerate(self.frames) if count is not None]
        batch: list[int] = []
        for _, row in sorted(known, reverse=True):
            if batch and (len(batch) == GROUP or (len(batch) + 1) * (self.frames[batch[0]] or 0) > GROUP_FRAMES):
                yield batch
                batch = []
            batch.append(row)
        if batch:
            yield batch
