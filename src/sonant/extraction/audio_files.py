"""Writer of recordings: one or several WAV files for each recording."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from sonant.data.files import atomic
from sonant.extraction.partial_results import PartialResults
from sonant.extraction.result_stores import FileStore, JobState, Result, ResultStore
from sonant.extraction.sinks import Sink
from sonant.extraction.sources import Source
from sonant.extraction.writers import BYTES_A_RECORDING, Writer


@dataclass(frozen=True, kw_only=True)
class AudioWriter(Writer):
    """A writer of waveforms in WAV of 32-bit floating point, which keeps them as they are.

    Attributes:
        make_sink: makes the sink of a recording, whose answer is (samples,) or (files, samples).
        folders: of a recording's files, as in `FileStore`.
        sampling_rate: of the waveforms.
    """

    make_sink: Callable[[Source], Sink]
    folders: Sequence[str]
    sampling_rate: int

    def sink(self, source: Source, partial: PartialResults | None) -> Sink:  # noqa: ARG002 - windows are stitched
        return self.make_sink(source)

    def estimated_bytes(self, recordings: int, seconds: float) -> int:
        return round(len(self.folders) * (BYTES_A_RECORDING * recordings + 4 * self.sampling_rate * seconds))

    def store(self, opened: JobState) -> ResultStore:
        return FileStore(opened, self._save, ending="wav", folders=self.folders)

    def _save(self, paths: Sequence[Path], result: Result) -> None:
        for path, samples in zip(paths, np.atleast_2d(result[1].value), strict=True):
            with atomic(path) as draft:
                soundfile.write(draft, samples, self.sampling_rate, format="WAV", subtype="FLOAT")
