"""Destination of results, by the name of the output: standard output, one file, or a folder."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Generic, Literal, TypeVar, get_args

from sonant.data.files import as_path
from sonant.data.folders import AUDIO_SUFFIXES
from sonant.data.lock import output_lock
from sonant.errors import ConfigurationError, UnknownName
from sonant.extraction.inputs import check_source
from sonant.extraction.vector_files import VECTOR_FORMATS, VectorFormat

UnitFormat = Literal["text", "jsonl", "npy"]
TranscriptFormat = Literal["text", "json", "srt", "vtt"]
TurnFormat = Literal["rttm", "json"]
AlignmentFormat = Literal["textgrid", "ctm", "json", "srt", "vtt"]
Kind = TypeVar("Kind", bound=str)

# Endings that stand for a file, never for a folder.
_FILES = AUDIO_SUFFIXES | {
    f".{name}"
    for name in (
        "npy npz safetensors parquet jsonl json txt text csv tsv srt vtt rttm ctm lab textgrid xml html md yaml yml "
        "pt pth ckpt bin onnx pkl pickle joblib h5 hdf5 mat arrow feather orc avro tfrecord db sqlite ark scp "
        "zip tar gz tgz bz2 xz zst 7z xls xlsx pdf log"
    ).split()
}


@dataclass(frozen=True)
class Destination(Generic[Kind]):
    """The destination of results.

    Attributes:
        path: file or folder; None: standard output.
        kind: format of the files.
        is_folder: whether `path` is a folder with one file per recording.
    """

    path: Path | None
    kind: Kind
    is_folder: bool

    @property
    def errors_path(self) -> Path | None:
        """The file that lists unusable recordings: in the folder, or beside the output file."""
        if self.path is None:
            return None
        return self.path / "errors.jsonl" if self.is_folder else self.path.with_name(f"{self.path.name}.errors.jsonl")

    def held(self) -> AbstractContextManager[None]:
        """Lock the destination against other jobs."""
        return nullcontext() if self.path is None else output_lock(self.path, is_folder=self.is_folder)


@dataclass(frozen=True, kw_only=True)
class OutputFormats(Generic[Kind]):
    """Formats of one kind of results, by output name.

    Attributes:
        what: name of the results in messages, such as "vectors".
        endings: formats of a single file, by its ending.
        folders: formats with one file per recording in a folder, the default first; others are always a single file.
        printed: default format on standard output; None: these results cannot be printed.
    """

    what: str
    endings: Mapping[str, Kind]
    folders: Sequence[Kind]
    printed: Kind | None = None

    def place(
        self, output: str | PathLike[str] | None, kind: Kind | None, source: str | PathLike[str]
    ) -> Destination[Kind]:
        """Return the destination for an output name.

        An existing folder is a folder by any name. A name with one of `endings` is a file. Endings of other kinds of
        files, such as audio, are refused; any other name is a folder, `run.v2` too.

        Args:
            output: path; "-" and None are standard output.
            kind: requested format; None: by the ending, else the default.
            source: source of the recordings, which must not be overwritten.

        Raises:
            UnknownName: no such format.
            ConfigurationError: the name and the format disagree, the output is the source, or `output` is no path.
        """
        kinds = dict.fromkeys([*self.folders, *self.endings.values()])
        if kind is not None and kind not in kinds:
            raise UnknownName(f"format of {self.what}", kind, kinds)
        check_source(source)
        if output is None or str(output) == "-":
            if self.printed is None or kind not in (None, *self.endings.values()):
                raise ConfigurationError(
                    f"{self.what.capitalize()} are not written to standard output: name a place. {self._known}"
                )
            return Destination(None, kind or self.printed, is_folder=False)
        output = as_path(output, f"the place for {self.what}")
        if output.is_file() and Path(source).exists() and output.samefile(source):
            raise ConfigurationError(f"The output {str(output)!r} is the source itself: name another file.")
        return self._by_name(output, kind)

    @property
    def _known(self) -> str:
        one_file = f", or into one file that ends in {', '.join(self.endings)}" if self.endings else ""
        return f"{self.what.capitalize()} go into a folder{one_file}."

    def _by_name(self, output: Path, kind: Kind | None) -> Destination[Kind]:
        suffix, in_folder = output.suffix.lower(), kind or self.folders[0]
        if output.is_dir():
            if in_folder not in self.folders:
                raise ConfigurationError(f"{str(output)!r} is a folder, and {kind} is one file: name a file in it.")
            return Destination(output, in_folder, is_folder=True)
        if suffix in self.endings:
            named = self.endings[suffix]
            if kind is not None and kind != named:
                raise ConfigurationError(
                    f"The output {str(output)!r} ends in {suffix}, which is {named}, and the format {kind} was asked "
                    "for: make them agree."
                )
            return Destination(output, named, is_folder=False)
        if suffix in _FILES:
            raise ConfigurationError(
                f"The output {str(output)!r} is named like a file of another kind ({suffix}). {self._known} A folder "
                "may have a point in its name, but no such ending."
            )
        if in_folder not in self.folders:
            return Destination(output, in_folder, is_folder=False)
        if output.exists():
            raise ConfigurationError(f"The output {str(output)!r} is there already and is no folder. {self._known}")
        return Destination(output, in_folder, is_folder=True)


VECTORS: OutputFormats[VectorFormat] = OutputFormats(
    what="vectors", endings={f".{kind}": kind for kind in VECTOR_FORMATS}, folders=VECTOR_FORMATS
)
UNITS: OutputFormats[UnitFormat] = OutputFormats(
    what="units", endings={".txt": "text", ".jsonl": "jsonl"}, folders=["npy"], printed="text"
)
TRANSCRIPTS: OutputFormats[TranscriptFormat] = OutputFormats(
    what="transcripts",
    endings={".txt": "text", ".tsv": "text", ".json": "json", ".jsonl": "json", ".srt": "srt", ".vtt": "vtt"},
    folders=get_args(TranscriptFormat),
    printed="text",
)
TURNS: OutputFormats[TurnFormat] = OutputFormats(
    what="turns",
    endings={".rttm": "rttm", ".json": "json", ".jsonl": "json"},
    folders=get_args(TurnFormat),
    printed="rttm",
)
ALIGNMENTS: OutputFormats[AlignmentFormat] = OutputFormats(
    what="alignments",
    endings={
        ".textgrid": "textgrid",
        ".ctm": "ctm",
        ".json": "json",
        ".jsonl": "json",
        ".srt": "srt",
        ".vtt": "vtt",
    },
    folders=get_args(AlignmentFormat),
    printed="ctm",
)
LABELS = OutputFormats(what="labels", endings={".json": "json", ".jsonl": "json"}, folders=["json"], printed="json")
ENHANCED: OutputFormats[str] = OutputFormats(what="enhanced recordings", endings={".wav": "wav"}, folders=["wav"])
SEPARATED: OutputFormats[str] = OutputFormats(what="separated recordings", endings={}, folders=["wav"])
