"""A folder of audio files as a corpus: labels from the names of folders, transcripts from files beside."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sonant.data.folders import AUDIO_SUFFIXES, is_audio, search
from sonant.data.rows import ManifestRow, lines_of, text_of
from sonant.errors import ManifestError, some_of

TRANSCRIPT = ".txt"  # of one recording, with its name
TRANSCRIPTS = ".trans.txt"  # LibriSpeech's, of all recordings of a folder: name and text in each line


@dataclass(frozen=True)
class AudioFolder:
    """The audio files of a folder and its subfolders.

    Attributes:
        rows: path, and `text`, `label`, `speaker` where they are known; sorted by path.
        unlisted: folders that could not be listed, with the reason.
    """

    rows: Sequence[ManifestRow]
    unlisted: Mapping[Path, OSError]


def read_audio_folder(folder: Path, *, label: int | None = None, speaker: int | None = None) -> AudioFolder:
    """Search a folder for audio files, as `sonant.data.folders.search` does.

    The `text` of `a.wav` is that of `a.txt`, or the line of `a` in LibriSpeech's `*.trans.txt`. Where every file lies
    in a folder directly below, and there are several of these, their names are the labels, as in Hugging Face's
    datasets; not if levels are given.

    Args:
        label, speaker: level of the folder whose name is the label or speaker: 1 is the first below `folder`, -1 the
            one that holds the file.

    Raises:
        ManifestError: no audio, transcripts that are not UTF-8, or a file without a folder of that level.
    """
    files, unlisted = search(folder, lambda name: is_audio(name) or name.endswith(TRANSCRIPT))
    recordings = sorted((path for path in files if is_audio(path.name)), key=str)
    if not recordings and not unlisted:
        raise ManifestError(
            f"The folder {str(folder)!r} holds no audio. Looked, in its subfolders too, for files that end in: "
            f"{' '.join(sorted(AUDIO_SUFFIXES))}; and for a manifest.jsonl."
        )
    folders = [path.relative_to(folder).parts[:-1] for path in recordings]
    if label is speaker is None and all(len(names) == 1 for names in folders) and len(set(folders)) > 1:
        label = 1
    levels = {name: level for name, level in (("label", label), ("speaker", speaker)) if level is not None}
    texts = _Transcripts(path for path in files if not is_audio(path.name))
    rows = []
    for path, names in zip(recordings, folders, strict=True):
        fields = {name: _at(names, level, name, path, folder) for name, level in levels.items()}
        text = texts.of(path)
        rows.append(ManifestRow(str(path), {"path": str(path)} | ({} if text is None else {"text": text}) | fields))
    return AudioFolder(rows, unlisted)


def all_listed(found: AudioFolder) -> Sequence[ManifestRow]:
    """Return the rows. Raises ManifestError if folders could not be listed."""
    if found.unlisted:
        raise ManifestError(
            f"{len(found.unlisted)} folders could not be listed: {some_of([str(path) for path in found.unlisted], 5)} "
            f"({next(iter(found.unlisted.values())).strerror}). Check their permissions, or list the recordings in a "
            "manifest."
        )
    return found.rows


def _at(names: Sequence[str], level: int, name: str, path: Path, folder: Path) -> str:
    """Return the name of the folder of a level."""
    number = level - 1 if level > 0 else level
    if level == 0 or not -len(names) <= number < len(names):
        raise ManifestError(
            f"{path} has no folder of level {level} below {folder} for its {name}: it lies {len(names)} folders deep. "
            "Levels are 1 for the first folder, 2 for the one below it; -1 for the one that holds the file."
        )
    return names[number]


class _Transcripts:
    """Transcripts beside recordings, read when they are asked for."""

    def __init__(self, files: Iterable[Path]) -> None:
        self._single: dict[Path, Path] = {}
        self._lists: dict[Path, list[Path]] = defaultdict(list)
        self._read: dict[Path, dict[str, str]] = {}
        for path in files:
            if path.name.endswith(TRANSCRIPTS):
                self._lists[path.parent].append(path)
            else:
                self._single[path.with_suffix("")] = path

    def of(self, recording: Path) -> str | None:
        """Return the transcript of a recording; None if there is none."""
        if (path := self._single.get(recording.with_suffix(""))) is not None:
            with text_of(path) as text:
                return " ".join(text.read().split())
        folder = recording.parent
        if folder not in self._read:
            self._read[folder] = {
                name: text
                for path in self._lists.get(folder, ())
                for name, text in (line.strip().split(maxsplit=1) for _, line in lines_of(path) if " " in line.strip())
            }
        return self._read[folder].get(recording.stem)
