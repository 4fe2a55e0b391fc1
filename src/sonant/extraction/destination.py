"""The destination of results, by the name of the output: lines on standard output, one file, or a folder."""

from collections.abc import Collection, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Generic, TypeVar

from sonant.data.files import as_path
from sonant.data.lock import held
from sonant.errors import ConfigurationError, UnknownName
from sonant.extraction.inputs import AUDIO_SUFFIXES

Kind = TypeVar("Kind", bound=str)

# Endings that nobody gives a folder: who names one of them expects a file of that kind.
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
        path: of a file or folder; None: standard output.
        kind: the format of the files.
        is_folder: whether it is a folder with a file for each recording.
    """

    path: Path | None
    kind: Kind
    is_folder: bool

    @property
    def errors_path(self) -> Path | None:
        """The file that lists recordings that could not be used: in the folder, or beside the output file."""
        if self.path is None:
            return None
        return self.path / "errors.jsonl" if self.is_folder else self.path.with_name(f"{self.path.name}.errors.jsonl")

    def held(self) -> AbstractContextManager[None]:
        """Lock the destination against other jobs while the context is open."""
        return nullcontext() if self.path is None else held(self.path, is_folder=self.is_folder)


def destination(
    output: str | PathLike[str] | None,
    kind: Kind | None,
    *,
    what: str,
    endings: Mapping[str, Kind],
    folders: Collection[Kind],
    usual: Kind,
    printed: Kind | None,
    source: str | PathLike[str] | None = None,
) -> Destination[Kind]:
    """Return the destination that an output's name stands for.

    A folder that exists is a folder, whatever its name. One of `endings` is one file. An ending that other kinds of
    files have, of audio or of a table, is refused; any other name is a folder, `run.v2` too.

    Args:
        output: the name as it was given; "-" and None are standard output.
        kind: the kind that was requested; None: by the ending, else `usual`.
        what: the name of the results in messages: "vectors".
        endings: the endings of a single file, with the kind of each.
        folders: the kinds with a file for each recording in a folder; others are a single file by any name.
        usual: the kind in a folder, unless one is requested.
        printed: the kind on standard output, unless one is requested; None: nothing can be printed.
        source: the source of the recordings, which must not be overwritten.

    Raises:
        UnknownName: a kind that is none of these.
        ConfigurationError: a name that fits no kind, or another than was asked for; the source itself; no path.
    """
    kinds = dict.fromkeys([*folders, *endings.values()])
    if kind is not None and kind not in kinds:
        raise UnknownName(f"format of {what}", kind, kinds)
    known = f"{what.capitalize()} go into a folder, or into one file that ends in {', '.join(endings)}."
    if output is None or str(output) == "-":
        if printed is None or kind not in (None, *endings.values()):
            raise ConfigurationError(f"{what.capitalize()} are not written to standard output: name a place. {known}")
        return Destination(None, kind or printed, is_folder=False)
    output = as_path(output, f"the place for {what}")
    if output.is_dir():
        if (kind or usual) not in folders:
            raise ConfigurationError(f"{str(output)!r} is a folder, and {kind} is one file: name a file in it.")
        return Destination(output, kind or usual, is_folder=True)
    if source is not None and output.exists() and Path(source).exists() and output.samefile(source):
        raise ConfigurationError(f"The output {str(output)!r} is the source itself: name another file.")
    suffix = output.suffix.lower()
    if suffix in endings:
        named = endings[suffix]
        if kind is not None and kind != named:
            raise ConfigurationError(
                f"The output {str(output)!r} ends in {suffix}, which is {named}, and the format {kind} was asked for: "
                "make them agree."
            )
        return Destination(output, named, is_folder=False)
    if suffix in _FILES:
        raise ConfigurationError(
            f"The output {str(output)!r} is named like a file of another kind ({suffix}). {known} A folder may have a "
            "point in its name, but no such ending."
        )
    if kind is not None and kind not in folders:
        return Destination(output, kind, is_folder=False)
    if output.exists():
        raise ConfigurationError(f"The output {str(output)!r} is there already and is no folder. {known}")
    return Destination(output, kind or usual, is_folder=True)
