"""Writer of recordings: one or several WAV files for each recording."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from sonant.data.files import atomic
from sonant.data.folders import identity
from sonant.data.mixtures import Mixture
from sonant.errors import ConfigurationError
from sonant.extraction.destination import Destination
from sonant.extraction.inputs import Entry
from sonant.extraction.partial_results import PartialResults
from sonant.extraction.result_stores import FileStore, JobState, Result, ResultStore, usual_names
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

    def check(self, entries: Sequence[Entry], place: Destination[Any]) -> None:
        """Raise ConfigurationError if a result would replace a recording of the job, which would be lost."""
        sources = {identity(path): path for entry in entries for path in _files_of(entry)}
        for result in self._results(entries, place):
            if (found := identity(result)) is not None and found in sources:
                raise ConfigurationError(
                    f"The recording {str(sources[found])!r} would be replaced by its result: {self.what} go to "
                    f"{str(place.path)!r}, under the names of the recordings. Give another output (-o)."
                )

    def _results(self, entries: Sequence[Entry], place: Destination[Any]) -> Iterator[Path]:
        """Yield the places of the results."""
        assert place.path is not None
        if not place.is_folder:
            yield place.path
            return
        for folder, name in product(self.folders, usual_names(entries, "wav", self.folders[0])):
            yield place.path / folder / name

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


def _files_of(entry: Entry) -> list[Path]:
    """Return the files that a recording is read from."""
    if isinstance(entry.audio, Mixture):
        return [part.path for part in entry.audio.parts]
    return [Path(entry.audio)] if isinstance(entry.audio, str | Path) else []
