"""Recursive search for files. No file is opened; each folder is searched once, also behind links."""

import os
from collections import deque
from collections.abc import Callable
from pathlib import Path, PurePath

# Formats of soundfile; below, those of the extra `audio`.
_SOUNDFILE = "wav flac mp3 ogg oga opus aif aiff aifc au snd caf w64 rf64 sph"
_PYAV = "m4a mp4 aac webm mka mkv wma amr 3gp"
AUDIO_SUFFIXES = frozenset(f".{name}" for name in f"{_SOUNDFILE} {_PYAV}".split())


def is_audio(name: str) -> bool:
    """Return True if a file name has the ending of an audio format."""
    return PurePath(name).suffix.lower() in AUDIO_SUFFIXES


def search(
    root: Path, wanted: Callable[[str], bool], *, leave_out: Path | None = None
) -> tuple[list[Path], dict[Path, OSError]]:
    """Return the wanted files below a folder, and the errors of folders that could not be listed.

    Hidden files and folders are left out. Links to folders are followed after all other folders, unless the target has
    been searched: loops end, and files have the name without a link if there is one.

    Args:
        wanted: returns whether a file of this name is wanted.
        leave_out: a folder not to search, unless it is `root`.
    """
    files: list[Path] = []
    failures: dict[Path, OSError] = {}
    seen = {identity(leave_out)} - {identity(root)}
    links = deque([root])
    while links:
        folders = [links.popleft()]
        while folders:
            here = folders.pop()
            try:
                status = here.stat()
                if (status.st_dev, status.st_ino) in seen:
                    continue
                seen.add((status.st_dev, status.st_ino))
                with os.scandir(here) as listing:
                    items = sorted(
                        (item for item in listing if not item.name.startswith(".")), key=lambda item: item.name
                    )
            except OSError as error:
                failures[here] = error
                continue
            for item in items:
                if _is_folder(item):
                    (links if item.is_symlink() else folders).append(here / item.name)
                elif wanted(item.name):
                    files.append(here / item.name)
    return files, failures


def _is_folder(item: os.DirEntry[str]) -> bool:
    try:
        return item.is_dir()
    except OSError:  # a link to itself, or into a folder without permission
        return False


def identity(path: Path | None) -> tuple[int, int] | None:
    """Return device and inode number, which do not depend on the path; None if there is no file."""
    try:
        status = None if path is None else path.stat()
    except OSError:
        return None
    return None if status is None else (status.st_dev, status.st_ino)
